#include "kernels/nn/batch_norm.h"
#include "kernels/nn/batch_norm_math.h"
#include "kernels/nn/pixel_sums.cuh"

namespace boneage {
namespace {

template <class T>
struct Moments {
    Activations<const T, Device> src;

    template <int kCount>
    __device__ Packet<T, kCount> begin(int64_t first, int64_t channel) const {
        return load_packet<kCount>(src.data + first * src.pixel_stride + channel);
    }
    template <int kCount>
    __device__ void add(const Packet<T, kCount>& pivot, int64_t pixel, int64_t channel,
                        float (&sums)[kBatchNormSums][kCount]) const {
        const Packet<T, kCount> values = load_packet<kCount>(src.data + pixel * src.pixel_stride + channel);
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            const float distance = to_float(values.value[i]) - to_float(pivot.value[i]);
            sums[0][i] += distance;
            sums[1][i] += distance * distance;
        }
    }
    __device__ void finish(int64_t first, int64_t count, int64_t channel, const float* sums, double* totals) const {
        unshift_moments(to_float(src.data[first * src.pixel_stride + channel]), count, sums, totals);
    }
};

template <class T, bool relu>
struct GradientSums {
    Activations<const T, Device> d_dst, dst, src;
    const float* mean;

    template <int kCount>
    __device__ Packet<float, kCount> begin(int64_t /*first*/, int64_t channel) const {
        return load_packet<kCount>(mean + channel);
    }
    template <int kCount>
    __device__ void add(const Packet<float, kCount>& centre, int64_t pixel, int64_t channel,
                        float (&sums)[kBatchNormSums][kCount]) const {
        const auto d_y = load_packet<kCount>(d_dst.data + pixel * d_dst.pixel_stride + channel);
        const auto x = load_packet<kCount>(src.data + pixel * src.pixel_stride + channel);
        Packet<T, kCount> y;
        if constexpr (relu) {
            y = load_packet<kCount>(dst.data + pixel * dst.pixel_stride + channel);
        }
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            float g = to_float(d_y.value[i]);
            if constexpr (relu) {
                g = relu_gradient(g, to_float(y.value[i]));
            }
            sums[0][i] += g;
            sums[1][i] += g * (to_float(x.value[i]) - centre.value[i]);
        }
    }
    __device__ void finish(int64_t /*first*/, int64_t /*count*/, int64_t /*channel*/, const float* sums,
                           double* totals) const {
        totals[0] = static_cast<double>(sums[0]);
        totals[1] = static_cast<double>(sums[1]);
    }
};

// Pixels of a thread: what belongs to its channels is loaded once for all of them.
constexpr int kPixelsPerThread = 4;

// The device addresses of what each channel keeps.
struct ChannelPointers {
    const float* weight;
    const float* bias;
    const float* mean;
    const float* inverse_deviation;
};

ChannelPointers pointers_to(const BatchNormChannels<Device>& channels) {
    return {channels.weight.data, channels.bias.data, channels.mean.data, channels.inverse_deviation.data};
}

bool aligned_for(const ChannelPointers& channels, int64_t count) {
    return aligned_for(channels.weight, count) && aligned_for(channels.bias, count) &&
           aligned_for(channels.mean, count) && aligned_for(channels.inverse_deviation, count);
}

template <int kCount>
__device__ __forceinline__ Packet<float, kCount> load_scale(const ChannelPointers& channels, int64_t channel) {
    Packet<float, kCount> scale = load_packet<kCount>(channels.weight + channel);
    const auto inverse_deviation = load_packet<kCount>(channels.inverse_deviation + channel);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
        scale.value[i] *= inverse_deviation.value[i];
    }
    return scale;
}

template <class T, int kCount, bool relu, bool add>
__global__ void __launch_bounds__(kThreads)
    normalise_kernel(Activations<const T, Device> src, Activations<const T, Device> residual, ChannelPointers channels,
                     Activations<T, Device> dst) {
    const int64_t channel = pixel_thread().packet * kCount;
    if (channel >= src.c) {
        return;
    }
    const auto scale = load_scale<kCount>(channels, channel);
    const auto mean = load_packet<kCount>(channels.mean + channel);
    const auto bias = load_packet<kCount>(channels.bias + channel);
    int64_t pixel = static_cast<int64_t>(blockIdx.x) * blockDim.y * kPixelsPerThread + threadIdx.y;
#pragma unroll
    for (int j = 0; j < kPixelsPerThread; ++j, pixel += blockDim.y) {
        if (pixel >= src.pixels()) {
            return;
        }
        auto x = load_packet<kCount>(src.data + pixel * src.pixel_stride + channel);
        Packet<T, kCount> r;
        if constexpr (add) {
            r = load_packet<kCount>(residual.data + pixel * residual.pixel_stride + channel);
        }
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            float y = normalised(to_float(x.value[i]), mean.value[i], scale.value[i], bias.value[i]);
            if constexpr (add) {
                y += to_float(r.value[i]);
            }
            x.value[i] = from_float<T>(relu ? relu_value(y) : y);
        }
        store_packet(dst.data + pixel * dst.pixel_stride + channel, x);
    }
}

template <class T, int kCount, bool relu, bool branch>
__global__ void __launch_bounds__(kThreads)
    batch_norm_backward_kernel(Activations<const T, Device> d_dst, Activations<const T, Device> dst,
                               Activations<const T, Device> src, ChannelPointers channels, const float* mean_gradient,
                               const float* slope, Activations<T, Device> d_src, Activations<T, Device> d_residual) {
    const int64_t channel = pixel_thread().packet * kCount;
    if (channel >= src.c) {
        return;
    }
    const auto scale = load_scale<kCount>(channels, channel);
    const auto mean = load_packet<kCount>(channels.mean + channel);
    const auto average = load_packet<kCount>(mean_gradient + channel);
    const auto tilt = load_packet<kCount>(slope + channel);
    int64_t pixel = static_cast<int64_t>(blockIdx.x) * blockDim.y * kPixelsPerThread + threadIdx.y;
#pragma unroll
    for (int j = 0; j < kPixelsPerThread; ++j, pixel += blockDim.y) {
        if (pixel >= src.pixels()) {
            return;
        }
        // Everything is read before anything is written: d_src or d_residual may be d_dst's memory.
        auto d_y = load_packet<kCount>(d_dst.data + pixel * d_dst.pixel_stride + channel);
        auto x = load_packet<kCount>(src.data + pixel * src.pixel_stride + channel);
        Packet<T, kCount> y;
        if constexpr (relu) {
            y = load_packet<kCount>(dst.data + pixel * dst.pixel_stride + channel);
        }
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            float g = to_float(d_y.value[i]);
            if constexpr (relu) {
                g = relu_gradient(g, to_float(y.value[i]));
            }
            d_y.value[i] = from_float<T>(g);
            x.value[i] = from_float<T>(normalised_gradient(g, to_float(x.value[i]), mean.value[i], scale.value[i],
                                                           average.value[i], tilt.value[i]));
        }
        if constexpr (branch) {
            store_packet(d_residual.data + pixel * d_residual.pixel_stride + channel, d_y);
        }
        store_packet(d_src.data + pixel * d_src.pixel_stride + channel, x);
    }
}

Geometry normalise_geometry(int64_t pixels, int64_t packets) {
    Geometry geometry = pixel_geometry(pixels, packets);
    geometry.grid.x = blocks_for(pixels, int64_t{geometry.block.y} * kPixelsPerThread);
    return geometry;
}

// Calls body(first, second) with the two flags as constants.
template <class Body>
void with_flags(bool first, bool second, const Body& body) {
    const auto with_second = [&](auto constant) {
        if (second) {
            body(constant, std::true_type{});
        } else {
            body(constant, std::false_type{});
        }
    };
    if (first) {
        with_second(std::true_type{});
    } else {
        with_second(std::false_type{});
    }
}

template <class T>
void normalise(const Stream& stream, const Activations<const T, Device>& src,
               const Activations<const T, Device>& residual, const ChannelPointers& channels,
               const Activations<T, Device>& dst, bool relu) {
    constexpr int kFull = kFullPacket<T>;
    const bool add = residual.data != nullptr;
    const bool packets = packets_fit(src, kFull) && packets_fit(dst, kFull) && (!add || packets_fit(residual, kFull)) &&
                         aligned_for(channels, kFull);
    with_flags(relu, add, [&](auto has_relu, auto has_residual) {
        const auto launch = [&](auto count) {
            const Geometry geometry = normalise_geometry(src.pixels(), ceil_div(src.c, count));
            Launch{geometry.grid, geometry.block, stream}(
                normalise_kernel<T, decltype(count)::value, decltype(has_relu)::value, decltype(has_residual)::value>,
                src, residual, channels, dst);
        };
        if (packets) {
            launch(std::integral_constant<int, kFull>{});
        } else {
            launch(std::integral_constant<int, 1>{});
        }
    });
}

}  // namespace

template <class T>
void batch_norm(Stream& stream, Activations<const T, Device> src, Activations<const T, Device> residual,
                const BatchNormChannels<Device>& channels, Activations<T, Device> dst, const BatchNormParams& params,
                Bytes<Device> scratch) {
    check_batch_norm_forward<T>(src, residual, channels, dst, scratch);
    const int64_t pixels = src.pixels();
    auto* partials = ScratchCursor<Device>(scratch).take<double>(pixel_chunks(pixels) * src.c * kBatchNormSums);
    pixel_sums<kBatchNormSums, kFullPacket<T>>(
        stream, pixels, src.c, packets_fit(src, kFullPacket<T>), Moments<T>{src}, partials,
        MomentsToStatistics{static_cast<double>(pixels), params.eps, params.momentum, channels.running_mean.data,
                            channels.running_variance.data, channels.mean.data, channels.inverse_deviation.data});
    normalise(stream, src, residual, pointers_to(channels), dst, params.relu);
}

template <class T>
void batch_norm_again(Stream& stream, Activations<const T, Device> src, const BatchNormChannels<Device>& channels,
                      Activations<T, Device> dst, const BatchNormParams& params) {
    check_batch_norm_again<T>(src, channels, dst);
    normalise(stream, src, {}, pointers_to(channels), dst, params.relu);
}

template <class T>
void batch_norm_backward(Stream& stream, Activations<const T, Device> d_dst, Activations<const T, Device> dst,
                         Activations<const T, Device> src, const BatchNormChannels<Device>& channels,
                         const BatchNormGradients<T, Device>& gradients, const BatchNormParams& params,
                         Bytes<Device> scratch) {
    check_batch_norm_backward<T>(d_dst, dst, src, channels, gradients, params.relu, scratch);
    constexpr int kFull = kFullPacket<T>;
    const int64_t pixels = src.pixels();
    ScratchCursor<Device> cursor(scratch);
    auto* partials = cursor.take<double>(pixel_chunks(pixels) * src.c * kBatchNormSums);
    auto* mean_gradient = cursor.take<float>(src.c);
    auto* slope = cursor.take<float>(src.c);
    const ChannelPointers pointers{channels.weight.data, nullptr, channels.mean.data, channels.inverse_deviation.data};
    const bool branch = gradients.d_residual.data != nullptr;
    const bool reads_fit = packets_fit(d_dst, kFull) && packets_fit(src, kFull) &&
                           (!params.relu || packets_fit(dst, kFull)) && aligned_for(pointers, kFull);
    const bool fit =
        reads_fit && packets_fit(gradients.d_src, kFull) && (!branch || packets_fit(gradients.d_residual, kFull));
    with_flags(params.relu, branch, [&](auto has_relu, auto has_branch) {
        constexpr bool kRelu = decltype(has_relu)::value;
        constexpr bool kBranch = decltype(has_branch)::value;
        pixel_sums<kBatchNormSums, kFull>(
            stream, pixels, src.c, reads_fit, GradientSums<T, kRelu>{d_dst, dst, src, pointers.mean}, partials,
            SumsToGradients{static_cast<double>(pixels), pointers.inverse_deviation, gradients.d_weight.data,
                            gradients.d_bias.data, mean_gradient, slope});
        const auto launch = [&](auto count) {
            const Geometry geometry = normalise_geometry(pixels, ceil_div(src.c, count));
            Launch{geometry.grid, geometry.block, stream}(
                batch_norm_backward_kernel<T, decltype(count)::value, kRelu, kBranch>, d_dst, dst, src, pointers,
                mean_gradient, slope, gradients.d_src, gradients.d_residual);
        };
        if (fit) {
            launch(std::integral_constant<int, kFull>{});
        } else {
            launch(std::integral_constant<int, 1>{});
        }
    });
}

template void batch_norm(Stream&, Activations<const float, Device>, Activations<const float, Device>,
                         const BatchNormChannels<Device>&, Activations<float, Device>, const BatchNormParams&,
                         Bytes<Device>);
template void batch_norm_backward(Stream&, Activations<const float, Device>, Activations<const float, Device>,
                                  Activations<const float, Device>, const BatchNormChannels<Device>&,
                                  const BatchNormGradients<float, Device>&, const BatchNormParams&, Bytes<Device>);
template void batch_norm(Stream&, Activations<const bfloat16, Device>, Activations<const bfloat16, Device>,
                         const BatchNormChannels<Device>&, Activations<bfloat16, Device>, const BatchNormParams&,
                         Bytes<Device>);
template void batch_norm_backward(Stream&, Activations<const bfloat16, Device>, Activations<const bfloat16, Device>,
                                  Activations<const bfloat16, Device>, const BatchNormChannels<Device>&,
                                  const BatchNormGradients<bfloat16, Device>&, const BatchNormParams&, Bytes<Device>);
template void batch_norm(Stream&, Activations<const float16, Device>, Activations<const float16, Device>,
                         const BatchNormChannels<Device>&, Activations<float16, Device>, const BatchNormParams&,
                         Bytes<Device>);
template void batch_norm_backward(Stream&, Activations<const float16, Device>, Activations<const float16, Device>,
                                  Activations<const float16, Device>, const BatchNormChannels<Device>&,
                                  const BatchNormGradients<float16, Device>&, const BatchNormParams&, Bytes<Device>);
template void batch_norm_again(Stream&, Activations<const float, Device>, const BatchNormChannels<Device>&,
                               Activations<float, Device>, const BatchNormParams&);
template void batch_norm_again(Stream&, Activations<const bfloat16, Device>, const BatchNormChannels<Device>&,
                               Activations<bfloat16, Device>, const BatchNormParams&);
template void batch_norm_again(Stream&, Activations<const float16, Device>, const BatchNormChannels<Device>&,
                               Activations<float16, Device>, const BatchNormParams&);

}  // namespace boneage

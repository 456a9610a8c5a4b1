#include "kernels/nn/batch_norm.h"

#include "kernels/nn/batch_norm_math.h"

namespace boneage {
namespace {

// Sums of distances from the chunk's first pixel, and of their squares.
template <class T>
struct Moments {
    Activations<const T, Host> src;

    void add(int64_t first, int64_t pixel, int64_t channel, int64_t count, float* const sums[2]) const {
        const T* __restrict from = src.data + pixel * src.pixel_stride + channel;
        const T* __restrict pivot = src.data + first * src.pixel_stride + channel;
        float* __restrict sum = sums[0];
        float* __restrict squares = sums[1];
        for (int64_t k = 0; k < count; ++k) {
            const float distance = to_float(from[k]) - to_float(pivot[k]);
            sum[k] += distance;
            squares[k] += distance * distance;
        }
    }
    void finish(int64_t first, int64_t count, int64_t channel, const float* sums, double* totals) const {
        unshift_moments(to_float(src.data[first * src.pixel_stride + channel]), count, sums, totals);
    }
};

// Sums of the gradient, and of the gradient times the distance from the mean.
template <class T, bool relu>
struct GradientSums {
    Activations<const T, Host> d_dst, dst, src;
    const float* mean;

    void add(int64_t /*first*/, int64_t pixel, int64_t channel, int64_t count, float* const sums[2]) const {
        const T* __restrict gradient = d_dst.data + pixel * d_dst.pixel_stride + channel;
        const T* __restrict y = dst.data + pixel * dst.pixel_stride + channel;
        const T* __restrict x = src.data + pixel * src.pixel_stride + channel;
        const float* __restrict centre = mean + channel;
        float* __restrict sum = sums[0];
        float* __restrict products = sums[1];
        for (int64_t k = 0; k < count; ++k) {
            const float d = to_float(gradient[k]);
            const float g = relu ? relu_gradient(d, to_float(y[k])) : d;
            sum[k] += g;
            products[k] += g * (to_float(x[k]) - centre[k]);
        }
    }
    static void finish(int64_t /*first*/, int64_t /*count*/, int64_t /*channel*/, const float* sums, double* totals) {
        totals[0] = static_cast<double>(sums[0]);
        totals[1] = static_cast<double>(sums[1]);
    }
};

constexpr int64_t kBlock = 256;  // channels whose scales are computed once for a range of pixels

// Calls body(pixel, channel, count, scale) for blocks of channels; `scale` holds their weight * inverse_deviation.
template <class T, class Body>
void for_each_block(Workers& workers, const Activations<const T, Host>& src, const BatchNormChannels<Host>& channels,
                    const Body& body) {
    const int64_t grain = std::max<int64_t>(16, (1 << 14) / src.c);
    workers.parallel_for(src.pixels(), grain, [&](int64_t begin, int64_t end) {
        alignas(64) float scale[kBlock];
        for (int64_t channel = 0; channel < src.c; channel += kBlock) {
            const int64_t count = std::min(kBlock, src.c - channel);
            for (int64_t k = 0; k < count; ++k) {
                scale[k] = channels.weight.data[channel + k] * channels.inverse_deviation.data[channel + k];
            }
            for (int64_t pixel = begin; pixel < end; ++pixel) {
                body(pixel, channel, count, static_cast<const float*>(scale));
            }
        }
    });
}

template <class T, bool relu>
void normalise(Workers& workers, const Activations<const T, Host>& src, const Activations<const T, Host>& residual,
               const BatchNormChannels<Host>& channels, const Activations<T, Host>& dst) {
    for_each_block(workers, src, channels, [&](int64_t pixel, int64_t channel, int64_t count, const float* scale) {
        const T* x = src.data + pixel * src.pixel_stride + channel;
        T* y = dst.data + pixel * dst.pixel_stride + channel;
        const float* mean = channels.mean.data + channel;
        const float* bias = channels.bias.data + channel;
        const auto act = [](float value) { return from_float<T>(relu ? relu_value(value) : value); };
        if (residual.data == nullptr) {
#pragma GCC ivdep
            for (int64_t k = 0; k < count; ++k) {
                y[k] = act(normalised(to_float(x[k]), mean[k], scale[k], bias[k]));
            }
            return;
        }
        const T* r = residual.data + pixel * residual.pixel_stride + channel;
#pragma GCC ivdep
        for (int64_t k = 0; k < count; ++k) {
            y[k] = act(normalised(to_float(x[k]), mean[k], scale[k], bias[k]) + to_float(r[k]));
        }
    });
}

template <class T, bool relu>
void backward(Workers& workers, const Activations<const T, Host>& d_dst, const Activations<const T, Host>& dst,
              const Activations<const T, Host>& src, const BatchNormChannels<Host>& channels,
              const BatchNormGradients<T, Host>& gradients, Bytes<Host> scratch) {
    const int64_t pixels = src.pixels();
    ScratchCursor<Host> cursor(scratch);
    auto* partials = cursor.take<double>(pixel_chunks(pixels) * src.c * kBatchNormSums);
    auto* mean_gradient = cursor.take<float>(src.c);
    auto* slope = cursor.take<float>(src.c);
    pixel_sums<kBatchNormSums>(workers, pixels, src.c, GradientSums<T, relu>{d_dst, dst, src, channels.mean.data},
                               partials,
                               SumsToGradients{static_cast<double>(pixels), channels.inverse_deviation.data,
                                               gradients.d_weight.data, gradients.d_bias.data, mean_gradient, slope});
    const auto gradient = [](T d, const T* y, int64_t k) {
        if constexpr (relu) {
            return relu_gradient(to_float(d), to_float(y[k]));
        } else {
            return to_float(d);
        }
    };
    for_each_block(workers, src, channels, [&](int64_t pixel, int64_t channel, int64_t count, const float* scale) {
        const T* d_y = d_dst.data + pixel * d_dst.pixel_stride + channel;
        const T* y = dst.data + pixel * dst.pixel_stride + channel;
        const T* x = src.data + pixel * src.pixel_stride + channel;
        const float* mean = channels.mean.data + channel;
        if (gradients.d_residual.data != nullptr) {
            // May overwrite d_dst: masking twice masks once.
            T* d_r = gradients.d_residual.data + pixel * gradients.d_residual.pixel_stride + channel;
#pragma GCC ivdep
            for (int64_t k = 0; k < count; ++k) {
                d_r[k] = from_float<T>(gradient(d_y[k], y, k));
            }
        }
        T* d_x = gradients.d_src.data + pixel * gradients.d_src.pixel_stride + channel;
#pragma GCC ivdep
        for (int64_t k = 0; k < count; ++k) {
            d_x[k] = from_float<T>(normalised_gradient(gradient(d_y[k], y, k), to_float(x[k]), mean[k], scale[k],
                                                       mean_gradient[channel + k], slope[channel + k]));
        }
    });
}

}  // namespace

int64_t batch_norm_scratch_bytes(int64_t pixels, int64_t channels) {
    return pixel_sums_scratch_bytes(pixels, channels, kBatchNormSums) + 2 * scratch_part<float>(channels);
}

template <class T>
void batch_norm(Workers& workers, Activations<const T, Host> src, Activations<const T, Host> residual,
                const BatchNormChannels<Host>& channels, Activations<T, Host> dst, const BatchNormParams& params,
                Bytes<Host> scratch) {
    check_batch_norm_forward<T>(src, residual, channels, dst, scratch);
    const int64_t pixels = src.pixels();
    auto* partials = ScratchCursor<Host>(scratch).take<double>(pixel_chunks(pixels) * src.c * kBatchNormSums);
    pixel_sums<kBatchNormSums>(
        workers, pixels, src.c, Moments<T>{src}, partials,
        MomentsToStatistics{static_cast<double>(pixels), params.eps, params.momentum, channels.running_mean.data,
                            channels.running_variance.data, channels.mean.data, channels.inverse_deviation.data});
    const auto run = params.relu ? normalise<T, true> : normalise<T, false>;
    run(workers, src, residual, channels, dst);
}

template <class T>
void batch_norm_again(Workers& workers, Activations<const T, Host> src, const BatchNormChannels<Host>& channels,
                      Activations<T, Host> dst, const BatchNormParams& params) {
    check_batch_norm_again<T>(src, channels, dst);
    const auto run = params.relu ? normalise<T, true> : normalise<T, false>;
    run(workers, src, {}, channels, dst);
}

template <class T>
void batch_norm_backward(Workers& workers, Activations<const T, Host> d_dst, Activations<const T, Host> dst,
                         Activations<const T, Host> src, const BatchNormChannels<Host>& channels,
                         const BatchNormGradients<T, Host>& gradients, const BatchNormParams& params,
                         Bytes<Host> scratch) {
    check_batch_norm_backward<T>(d_dst, dst, src, channels, gradients, params.relu, scratch);
    const auto run = params.relu ? backward<T, true> : backward<T, false>;
    run(workers, d_dst, dst, src, channels, gradients, scratch);
}

template void batch_norm(Workers&, Activations<const float, Host>, Activations<const float, Host>,
                         const BatchNormChannels<Host>&, Activations<float, Host>, const BatchNormParams&, Bytes<Host>);
template void batch_norm_backward(Workers&, Activations<const float, Host>, Activations<const float, Host>,
                                  Activations<const float, Host>, const BatchNormChannels<Host>&,
                                  const BatchNormGradients<float, Host>&, const BatchNormParams&, Bytes<Host>);
template void batch_norm(Workers&, Activations<const bfloat16, Host>, Activations<const bfloat16, Host>,
                         const BatchNormChannels<Host>&, Activations<bfloat16, Host>, const BatchNormParams&,
                         Bytes<Host>);
template void batch_norm_backward(Workers&, Activations<const bfloat16, Host>, Activations<const bfloat16, Host>,
                                  Activations<const bfloat16, Host>, const BatchNormChannels<Host>&,
                                  const BatchNormGradients<bfloat16, Host>&, const BatchNormParams&, Bytes<Host>);
template void batch_norm(Workers&, Activations<const float16, Host>, Activations<const float16, Host>,
                         const BatchNormChannels<Host>&, Activations<float16, Host>, const BatchNormParams&,
                         Bytes<Host>);
template void batch_norm_backward(Workers&, Activations<const float16, Host>, Activations<const float16, Host>,
                                  Activations<const float16, Host>, const BatchNormChannels<Host>&,
                                  const BatchNormGradients<float16, Host>&, const BatchNormParams&, Bytes<Host>);
template void batch_norm_again(Workers&, Activations<const float, Host>, const BatchNormChannels<Host>&,
                               Activations<float, Host>, const BatchNormParams&);
template void batch_norm_again(Workers&, Activations<const bfloat16, Host>, const BatchNormChannels<Host>&,
                               Activations<bfloat16, Host>, const BatchNormParams&);
template void batch_norm_again(Workers&, Activations<const float16, Host>, const BatchNormChannels<Host>&,
                               Activations<float16, Host>, const BatchNormParams&);

}  // namespace boneage

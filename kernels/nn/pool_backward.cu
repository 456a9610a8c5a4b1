#include "kernels/nn/packet.cuh"
#include "kernels/nn/pool_backward.h"
#include "kernels/nn/pool_backward_math.h"

#include <limits>

namespace boneage {
namespace {

// As max_pool_kernel; the place of the maximum so far travels with it.
template <class T, int kCount>
__global__ void __launch_bounds__(kThreads)
    max_pool_with_positions_kernel(Activations<const T, Device> src, Activations<T, Device> dst,
                                   Activations<uint8_t, Device> positions, PoolParams params) {
    const auto [row, x, packet] = row_thread(dst.w);
    if (x >= dst.w || packet * kCount >= dst.c) {
        return;
    }
    const auto [image, y] = image_row(row, dst.h);
    const int64_t top = y * params.stride - params.padding;
    const int64_t left = x * params.stride - params.padding;
    const int64_t first_row = max(top, int64_t{0});
    const int64_t first_column = max(left, int64_t{0});
    const int64_t end_row = min(top + params.size, src.h);
    const int64_t end_column = min(left + params.size, src.w);
    float best[kCount];
    int place[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
        best[i] = -std::numeric_limits<float>::infinity();
        place[i] = static_cast<int>((first_row - top) * params.size + first_column - left);
    }
    for (int64_t v = first_row; v < end_row; ++v) {
        for (int64_t u = first_column; u < end_column; ++u) {
            const Packet<T, kCount> in = load_packet<kCount>(src.pixel(image, v, u) + packet * kCount);
            const int here = static_cast<int>((v - top) * params.size + u - left);
#pragma unroll
            for (int i = 0; i < kCount; ++i) {
                const float value = to_float(in.value[i]);
                const bool takes = takes_the_lead(value, best[i]);
                best[i] = takes ? value : best[i];
                place[i] = takes ? here : place[i];
            }
        }
    }
    Packet<T, kCount> out;
    Packet<uint8_t, kCount> out_place;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
        out.value[i] = from_float<T>(best[i]);
        out_place.value[i] = static_cast<uint8_t>(place[i]);
    }
    store_packet(dst.pixel(image, y, x) + packet * kCount, out);
    store_packet(positions.pixel(image, y, x) + packet * kCount, out_place);
}

// A thread owns a packet of one pixel of d_src and asks the few windows that hold it whether it won: no two threads
// write the same gradient, so nothing is atomic and the order of the sum is fixed.
template <class T, int kCount, bool accumulate>
__global__ void __launch_bounds__(kThreads)
    max_pool_backward_kernel(Activations<const T, Device> d_dst, Activations<const uint8_t, Device> positions,
                             Activations<T, Device> d_src, PoolParams params) {
    const auto [row, x, packet] = row_thread(d_src.w);
    if (x >= d_src.w || packet * kCount >= d_src.c) {
        return;
    }
    const auto [image, y] = image_row(row, d_src.h);
    const WindowRange rows = windows_of(y, d_dst.h, params);
    const WindowRange columns = windows_of(x, d_dst.w, params);
    float sum[kCount] = {};
    for (int64_t v = rows.first; v < rows.end; ++v) {
        for (int64_t u = columns.first; u < columns.end; ++u) {
            const int64_t i = y + params.padding - v * params.stride;
            const int64_t j = x + params.padding - u * params.stride;
            const auto place = static_cast<uint8_t>(i * params.size + j);
            const auto gradient = load_packet<kCount>(d_dst.pixel(image, v, u) + packet * kCount);
            const auto winner = load_packet<kCount>(positions.pixel(image, v, u) + packet * kCount);
#pragma unroll
            for (int k = 0; k < kCount; ++k) {
                sum[k] += winner.value[k] == place ? to_float(gradient.value[k]) : 0.0F;
            }
        }
    }
    T* to = d_src.pixel(image, y, x) + packet * kCount;
    Packet<T, kCount> out;
    if constexpr (accumulate) {
        out = load_packet<kCount>(to);
    }
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
        out.value[k] = written(out.value[k], sum[k], accumulate);
    }
    store_packet(to, out);
}

template <class T, int kCount, bool accumulate>
__global__ void __launch_bounds__(kThreads)
    global_average_pool_backward_kernel(Activations<const float, Device> d_dst, Activations<T, Device> d_src,
                                        float share) {
    const auto [row, x, packet] = row_thread(d_src.w);
    if (x >= d_src.w || packet * kCount >= d_src.c) {
        return;
    }
    const auto [image, y] = image_row(row, d_src.h);
    const auto gradient = load_packet<kCount>(d_dst.data + image * d_dst.pixel_stride + packet * kCount);
    T* to = d_src.pixel(image, y, x) + packet * kCount;
    Packet<T, kCount> out;
    if constexpr (accumulate) {
        out = load_packet<kCount>(to);
    }
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
        out.value[k] = written(out.value[k], gradient.value[k] / share, accumulate);
    }
    store_packet(to, out);
}

// Calls body(count, accumulate) with both as constants.
template <int kFull, class Body>
void with_constants(bool packets, Write write, const Body& body) {
    const auto with_write = [&](auto count) {
        if (write == Write::accumulate) {
            body(count, std::true_type{});
        } else {
            body(count, std::false_type{});
        }
    };
    if (packets) {
        with_write(std::integral_constant<int, kFull>{});
    } else {
        with_write(std::integral_constant<int, 1>{});
    }
}

}  // namespace

template <class T>
void max_pool_with_positions(Stream& stream, Activations<const T, Device> src, Activations<T, Device> dst,
                             Activations<uint8_t, Device> positions, const PoolParams& params) {
    check_max_pool<const T, Device>(src, positions, params);
    expects(same_shape(dst, positions), "dst and positions must have the same shape");
    const auto launch = [&](auto count) {
        const Geometry geometry = row_geometry(dst.n * dst.h, dst.w, ceil_div(dst.c, count));
        Launch{geometry.grid, geometry.block, stream}(max_pool_with_positions_kernel<T, decltype(count)::value>, src,
                                                      dst, positions, params);
    };
    constexpr int kFull = kFullPacket<T>;
    if (packets_fit(src, kFull) && packets_fit(dst, kFull) && packets_fit(positions, kFull)) {
        launch(std::integral_constant<int, kFull>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

template <class T>
void max_pool_backward(Stream& stream, Activations<const T, Device> d_dst, Activations<const uint8_t, Device> positions,
                       Activations<T, Device> d_src, const PoolParams& params, Write write) {
    check_max_pool<T, Device>(d_src, positions, params);
    expects(same_shape(d_dst, positions), "d_dst and positions must have the same shape");
    constexpr int kFull = kFullPacket<T>;
    const bool packets = packets_fit(d_dst, kFull) && packets_fit(positions, kFull) && packets_fit(d_src, kFull);
    with_constants<kFull>(packets, write, [&](auto count, auto accumulate) {
        const Geometry geometry = row_geometry(d_src.n * d_src.h, d_src.w, ceil_div(d_src.c, count));
        Launch{geometry.grid, geometry.block, stream}(
            max_pool_backward_kernel<T, decltype(count)::value, decltype(accumulate)::value>, d_dst, positions, d_src,
            params);
    });
}

template <class T>
void global_average_pool_backward(Stream& stream, Activations<const float, Device> d_dst, Activations<T, Device> d_src,
                                  Write write) {
    const int64_t pixels = d_src.h * d_src.w;
    expects(pixels >= 1, "d_src must have pixels");
    expects(same_shape(d_dst, Activations<float, Device>(nullptr, d_src.n, 1, 1, d_src.c)),
            "d_dst must be [n, 1, 1, c]");
    constexpr int kFull = kFullPacket<T>;
    const bool packets = packets_fit(d_dst, kFull) && packets_fit(d_src, kFull);
    with_constants<kFull>(packets, write, [&](auto count, auto accumulate) {
        const Geometry geometry = row_geometry(d_src.n * d_src.h, d_src.w, ceil_div(d_src.c, count));
        Launch{geometry.grid, geometry.block, stream}(
            global_average_pool_backward_kernel<T, decltype(count)::value, decltype(accumulate)::value>, d_dst, d_src,
            static_cast<float>(pixels));
    });
}

template void max_pool_with_positions(Stream&, Activations<const float, Device>, Activations<float, Device>,
                                      Activations<uint8_t, Device>, const PoolParams&);
template void max_pool_backward(Stream&, Activations<const float, Device>, Activations<const uint8_t, Device>,
                                Activations<float, Device>, const PoolParams&, Write);
template void global_average_pool_backward(Stream&, Activations<const float, Device>, Activations<float, Device>,
                                           Write);
template void max_pool_with_positions(Stream&, Activations<const bfloat16, Device>, Activations<bfloat16, Device>,
                                      Activations<uint8_t, Device>, const PoolParams&);
template void max_pool_backward(Stream&, Activations<const bfloat16, Device>, Activations<const uint8_t, Device>,
                                Activations<bfloat16, Device>, const PoolParams&, Write);
template void global_average_pool_backward(Stream&, Activations<const float, Device>, Activations<bfloat16, Device>,
                                           Write);
template void max_pool_with_positions(Stream&, Activations<const float16, Device>, Activations<float16, Device>,
                                      Activations<uint8_t, Device>, const PoolParams&);
template void max_pool_backward(Stream&, Activations<const float16, Device>, Activations<const uint8_t, Device>,
                                Activations<float16, Device>, const PoolParams&, Write);
template void global_average_pool_backward(Stream&, Activations<const float, Device>, Activations<float16, Device>,
                                           Write);

}  // namespace boneage

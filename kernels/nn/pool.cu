#include "kernels/nn/packet.cuh"
#include "kernels/nn/pool.h"

#include <limits>

namespace boneage {
namespace {

// A thread owns a packet of channels of one pixel of dst. Overlapping windows read a pixel again, from L1: the threads
// of a block lie side by side in one row.
template <class T, int kCount>
__global__ void __launch_bounds__(kThreads)
    max_pool_kernel(Activations<const T, Device> src, Activations<T, Device> dst, PoolParams params) {
    const auto [row, x, packet] = row_thread(dst.w);
    if (x >= dst.w || packet * kCount >= dst.c) {
        return;
    }
    const auto [image, y] = image_row(row, dst.h);
    const int64_t top = y * params.stride - params.padding;
    const int64_t left = x * params.stride - params.padding;
    const int64_t bottom = min(top + params.size, src.h);
    const int64_t right = min(left + params.size, src.w);
    float best[kCount];
#pragma unroll
    for (float& value : best) {
        value = -std::numeric_limits<float>::infinity();
    }
    for (int64_t v = max(top, int64_t{0}); v < bottom; ++v) {
        for (int64_t u = max(left, int64_t{0}); u < right; ++u) {
            const Packet<T, kCount> in = load_packet<kCount>(src.pixel(image, v, u) + packet * kCount);
#pragma unroll
            for (int i = 0; i < kCount; ++i) {
                const float value = to_float(in.value[i]);
                best[i] = best[i] >= value || best[i] != best[i] ? best[i] : value;
            }
        }
    }
    Packet<T, kCount> out;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
        out.value[i] = from_float<T>(best[i]);
    }
    store_packet(dst.pixel(image, y, x) + packet * kCount, out);
}

constexpr unsigned kAverageThreads = 64;  // small blocks: a batch of one has only its channels to fill a device with

// A thread owns a channel and adds its pixels in row order; a warp reads 32 neighbouring channels at a time.
template <class T>
__global__ void __launch_bounds__(kAverageThreads)
    global_average_pool_kernel(Activations<const T, Device> src, Activations<float, Device> dst) {
    const unsigned blocks_per_image = blocks_for(src.c, kAverageThreads);
    const int64_t image = blockIdx.x / blocks_per_image;
    const int64_t channel = static_cast<int64_t>(blockIdx.x % blocks_per_image) * kAverageThreads + threadIdx.x;
    if (channel >= src.c) {
        return;
    }
    const int64_t pixels = src.h * src.w;
    const T* from = src.data + image * pixels * src.pixel_stride + channel;
    double sum = 0;
    // The additions are one chain, but the loads need not wait for them.
#pragma unroll 8
    for (int64_t p = 0; p < pixels; ++p) {
        sum += static_cast<double>(to_float(from[p * src.pixel_stride]));
    }
    dst.data[image * dst.pixel_stride + channel] = static_cast<float>(sum / static_cast<double>(pixels));
}

}  // namespace

template <class T>
void max_pool(Stream& stream, Activations<const T, Device> src, Activations<T, Device> dst, const PoolParams& params) {
    expects(params.size >= 1 && params.stride >= 1 && params.padding >= 0 && 2 * params.padding <= params.size,
            "window and stride must be at least 1, padding at most half a window");
    const int64_t height = pooled_size(src.h, params);
    const int64_t width = pooled_size(src.w, params);
    expects(height >= 1 && width >= 1, "no window fits the image");
    expects(same_shape(dst, Activations<T, Device>(nullptr, src.n, height, width, src.c)),
            "dst must have the pooled size");
    const auto launch = [&](auto count) {
        const Geometry geometry = row_geometry(dst.n * dst.h, dst.w, dst.c / count);
        Launch{geometry.grid, geometry.block, stream}(max_pool_kernel<T, decltype(count)::value>, src, dst, params);
    };
    if (packets_fit(src, kFullPacket<T>) && packets_fit(dst, kFullPacket<T>)) {
        launch(std::integral_constant<int, kFullPacket<T>>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

template <class T>
void global_average_pool(Stream& stream, Activations<const T, Device> src, Activations<float, Device> dst) {
    expects(src.h * src.w >= 1, "src must have pixels");
    expects(same_shape(dst, Activations<float, Device>(nullptr, src.n, 1, 1, src.c)), "dst must be [n, 1, 1, c]");
    const dim3 grid(static_cast<unsigned>(src.n) * blocks_for(src.c, kAverageThreads));
    Launch{grid, dim3(kAverageThreads), stream}(global_average_pool_kernel<T>, src, dst);
}

template void max_pool(Stream&, Activations<const float, Device>, Activations<float, Device>, const PoolParams&);
template void max_pool(Stream&, Activations<const bfloat16, Device>, Activations<bfloat16, Device>, const PoolParams&);
template void global_average_pool(Stream&, Activations<const float, Device>, Activations<float, Device>);
template void global_average_pool(Stream&, Activations<const bfloat16, Device>, Activations<float, Device>);
template void max_pool(Stream&, Activations<const float16, Device>, Activations<float16, Device>, const PoolParams&);
template void global_average_pool(Stream&, Activations<const float16, Device>, Activations<float, Device>);

}  // namespace boneage

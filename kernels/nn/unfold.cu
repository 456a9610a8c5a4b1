#include "kernels/nn/packet.cuh"
#include "kernels/nn/unfold.h"
#include "kernels/nn/unfold_math.h"

namespace boneage {
namespace {

// A thread makes one window: overlapping windows read the same few lines of the first-level cache, and a warp writes
// 512 bytes in a row.
template <class T>
__global__ void __launch_bounds__(kThreads)
    unfold_rows_kernel(Activations<const T, Device> src, Activations<T, Device> dst, UnfoldParams params) {
    const auto [row, x, packet] = row_thread(dst.w);
    if (x >= dst.w) {
        return;
    }
    const T* from = src.data + row * src.w * src.pixel_stride;
    const int64_t first = x * params.stride - params.padding;
    Packet<T, kUnfoldedChannels> window;
#pragma unroll
    for (int j = 0; j < kUnfoldedChannels; ++j) {
        window.value[j] = window_pixel(from, src.w, src.pixel_stride, first, j, params.width);
    }
    store_packet(dst.data + (row * dst.w + x) * kUnfoldedChannels, window);
}

}  // namespace

template <class T>
void unfold_rows(Stream& stream, Activations<const T, Device> src, Activations<T, Device> dst,
                 const UnfoldParams& params) {
    check_unfold(src, dst, params);
    expects(aligned_for(dst.data, kUnfoldedChannels), "dst must be aligned to 16 bytes");
    const Geometry geometry = row_geometry(dst.n * dst.h, dst.w, 1);
    Launch{geometry.grid, geometry.block, stream}(unfold_rows_kernel<T>, src, dst, params);
}

template void unfold_rows(Stream&, Activations<const bfloat16, Device>, Activations<bfloat16, Device>,
                          const UnfoldParams&);
template void unfold_rows(Stream&, Activations<const float16, Device>, Activations<float16, Device>,
                          const UnfoldParams&);

}  // namespace boneage

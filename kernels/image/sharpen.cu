#include "kernels/image/pixel_vectors.cuh"
#include "kernels/image/sharpen.h"
#include "kernels/image/sharpen_math.h"

namespace boneage {
namespace {

// A thread owns 16 bytes of a row and marches down kRows rows, keeping the three rows of its window in registers: each
// pixel is loaded once per block (and twice at the block's top and bottom, where L2 serves it). Its left and right
// neighbours come from the lanes beside it, so no shared memory and no barrier are needed.
constexpr int kRows = 16;
constexpr int kWarpsPerBlock =
    4;  // four warps march over four bands of rows: 128 threads hide the latency of the loads
constexpr unsigned kAllLanes = 0xffffffffU;

// One row of a thread's window: its own pixels and the one on either side.
template <class P>
struct RowWindow {
    P left;
    PixelVector<P, kVectorPixels<P>> own;
    P right;
};

// Loads row y for columns [x, x + kPixels). Columns outside the image are never used for a pixel inside it, except the
// mirrored neighbours of the first and last column, which are loaded on their own.
template <class P>
__device__ RowWindow<P> load_row(const Image<const P, Device>& image, int64_t y, int64_t x, bool vectors) {
    constexpr int kPixels = kVectorPixels<P>;
    const P* row = image.row(reflect_101(y, image.height));
    RowWindow<P> window;
    window.own = load_vector<kPixels>(row, x, image.width, vectors);
    const unsigned lane = threadIdx.x;
    window.left = static_cast<P>(__shfl_up_sync(kAllLanes, static_cast<int>(window.own.get(kPixels - 1)), 1));
    window.right = static_cast<P>(__shfl_down_sync(kAllLanes, static_cast<int>(window.own.get(0)), 1));
    if (x < image.width) {
        if (lane == 0 || x == 0) {
            window.left = row[reflect_101(x - 1, image.width)];
        }
        if (lane == 31 && x + kPixels < image.width) {
            window.right = row[x + kPixels];
        }
        // The mirrored neighbour of the last column takes the place of the first pixel past it.
        const int64_t past = image.width - x;
        if (past <= kPixels) {
            const P mirrored = row[reflect_101(image.width, image.width)];
#pragma unroll
            for (int i = 0; i < kPixels; ++i) {
                // A comparison, not an index: the window has to stay in registers.
                if (i == past) {
                    window.own.set(i, mirrored);
                }
            }
            window.right = past == kPixels ? mirrored : window.right;
        }
    }
    return window;
}

template <class P>
__device__ P at(const RowWindow<P>& row, int i) {
    return i < 0 ? row.left : (i < kVectorPixels<P> ? row.own.get(i) : row.right);
}

// `masks` is null, and `background` unused, unless kMasked.
template <class P, SharpenKernel kernel, bool kMasked>
__global__ void __launch_bounds__(32 * kWarpsPerBlock)
    sharpen_kernel(const Image<const P, Device>* sources, const Image<const uint8_t, Device>* masks,
                   const Image<P, Device>* targets, float amount, P background) {
    constexpr int kPixels = kVectorPixels<P>;
    const Image<const P, Device> src = sources[blockIdx.z];
    const Image<P, Device> dst = targets[blockIdx.z];
    const int64_t x = (static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x) * kPixels;
    const int64_t begin = (static_cast<int64_t>(blockIdx.y) * kWarpsPerBlock + threadIdx.y) * kRows;
    const int64_t end = begin + kRows < src.height ? begin + kRows : src.height;
    // Whole warps leave here, so the shuffles below always find all 32 lanes.
    if (begin >= end || static_cast<int64_t>(blockIdx.x) * 32 * kPixels >= src.width) {
        return;
    }
    const bool vectors = vector_rows<kPixels>(src) && vector_rows<kPixels>(dst);
    Image<const uint8_t, Device> mask;
    bool mask_vectors = false;
    if constexpr (kMasked) {
        mask = masks[blockIdx.z];
        mask_vectors = vector_rows<kPixels>(mask);
    }
    const SharpenParams params{kernel, amount};
    RowWindow<P> above = load_row(src, begin - 1, x, vectors);
    RowWindow<P> here = load_row(src, begin, x, vectors);
    for (int64_t y = begin; y < end; ++y) {
        const RowWindow<P> below = load_row(src, y + 1, x, vectors);
        PixelVector<uint8_t, kPixels> kept;
        if constexpr (kMasked) {
            kept = load_vector<kPixels>(mask.row(y), x, mask.width, mask_vectors);
        }
        PixelVector<P, kPixels> out;
#pragma unroll
        for (int i = 0; i < kPixels; ++i) {
            const P sharp =
                sharpen_pixel<P>({at(above, i - 1), at(above, i), at(above, i + 1), at(here, i - 1), at(here, i),
                                  at(here, i + 1), at(below, i - 1), at(below, i), at(below, i + 1)},
                                 params);
            out.set(i, !kMasked || kept.get(i) != 0 ? sharp : background);
        }
        store_vector(dst.row(y), x, dst.width, vectors, out);
        above = here;
        here = below;
    }
}

template <class P, bool kMasked>
void launch(Stream& stream, Batch<const P, Device> src, const Image<const uint8_t, Device>* masks, Batch<P, Device> dst,
            const SharpenParams& params, P background) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    const auto kernel =
        params.kernel == SharpenKernel::laplacian4   ? sharpen_kernel<P, SharpenKernel::laplacian4, kMasked>
        : params.kernel == SharpenKernel::laplacian8 ? sharpen_kernel<P, SharpenKernel::laplacian8, kMasked>
                                                     : sharpen_kernel<P, SharpenKernel::unsharp, kMasked>;
    const dim3 grid(blocks_for(src.max_width, 32 * kVectorPixels<P>),
                    blocks_for(src.max_height, kRows * kWarpsPerBlock), static_cast<unsigned>(src.count));
    Launch{grid, dim3(32, kWarpsPerBlock), stream}(kernel, src.images, masks, dst.images, params.amount, background);
}

}  // namespace

template <class P>
void sharpen(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, const SharpenParams& params) {
    launch<P, false>(stream, src, nullptr, dst, params, P{0});
}

template <class P>
void sharpen_masked(Stream& stream, Batch<const P, Device> src, Batch<const uint8_t, Device> mask, Batch<P, Device> dst,
                    const SharpenParams& params, std::type_identity_t<P> background) {
    expects(src.count == mask.count, "src and mask must hold as many images");
    launch<P, true>(stream, src, mask.images, dst, params, background);
}

template void sharpen(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, const SharpenParams&);
template void sharpen(Stream&, Batch<const uint16_t, Device>, Batch<uint16_t, Device>, const SharpenParams&);
template void sharpen_masked(Stream&, Batch<const uint8_t, Device>, Batch<const uint8_t, Device>,
                             Batch<uint8_t, Device>, const SharpenParams&, uint8_t);
template void sharpen_masked(Stream&, Batch<const uint16_t, Device>, Batch<const uint8_t, Device>,
                             Batch<uint16_t, Device>, const SharpenParams&, uint16_t);

}  // namespace boneage

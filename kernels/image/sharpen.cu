#include "kernels/base/launch.cuh"
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

template <class P>
struct Vector {
    static constexpr int kPixels = 16 / sizeof(P);
    alignas(16) P pixel[kPixels];
};

// One row of a thread's window: its own pixels and the one on either side.
template <class P>
struct RowWindow {
    P left;
    Vector<P> own;
    P right;
};

// Loads row y for columns [x, x + kPixels). Columns outside the image are never used for a pixel inside it, except the
// mirrored neighbours of the first and last column, which are loaded on their own.
template <class P>
__device__ RowWindow<P> load_row(const Image<const P, Device>& image, int64_t y, int64_t x, bool vectors) {
    constexpr int kPixels = Vector<P>::kPixels;
    const P* row = image.row(reflect_101(y, image.height));
    RowWindow<P> window;
    if (vectors && x + kPixels <= image.width) {
        *reinterpret_cast<uint4*>(window.own.pixel) = __ldg(reinterpret_cast<const uint4*>(row + x));
    } else {
#pragma unroll
        for (int i = 0; i < kPixels; ++i) {
            window.own.pixel[i] = x + i < image.width ? row[x + i] : P(0);
        }
    }
    const unsigned lane = threadIdx.x;
    window.left = static_cast<P>(__shfl_up_sync(kAllLanes, static_cast<int>(window.own.pixel[kPixels - 1]), 1));
    window.right = static_cast<P>(__shfl_down_sync(kAllLanes, static_cast<int>(window.own.pixel[0]), 1));
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
                // A select, not an index: the window has to stay in registers.
                window.own.pixel[i] = i == past ? mirrored : window.own.pixel[i];
            }
            window.right = past == kPixels ? mirrored : window.right;
        }
    }
    return window;
}

template <class P>
__device__ P at(const RowWindow<P>& row, int i) {
    return i < 0 ? row.left : (i < Vector<P>::kPixels ? row.own.pixel[i] : row.right);
}

template <class P, SharpenKernel kernel>
__global__ void __launch_bounds__(32 * kWarpsPerBlock)
    sharpen_kernel(const Image<const P, Device>* sources, const Image<P, Device>* targets, float amount) {
    constexpr int kPixels = Vector<P>::kPixels;
    const Image<const P, Device> src = sources[blockIdx.z];
    const Image<P, Device> dst = targets[blockIdx.z];
    const int64_t x = (static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x) * kPixels;
    const int64_t begin = (static_cast<int64_t>(blockIdx.y) * kWarpsPerBlock + threadIdx.y) * kRows;
    const int64_t end = begin + kRows < src.height ? begin + kRows : src.height;
    // Whole warps leave here, so the shuffles below always find all 32 lanes.
    if (begin >= end || static_cast<int64_t>(blockIdx.x) * 32 * kPixels >= src.width) {
        return;
    }
    const bool vectors =
        (reinterpret_cast<uintptr_t>(src.data) | reinterpret_cast<uintptr_t>(dst.data) |
         static_cast<uintptr_t>(src.stride * sizeof(P)) | static_cast<uintptr_t>(dst.stride * sizeof(P))) %
            16 ==
        0;
    const SharpenParams params{kernel, amount};
    RowWindow<P> above = load_row(src, begin - 1, x, vectors);
    RowWindow<P> here = load_row(src, begin, x, vectors);
    for (int64_t y = begin; y < end; ++y) {
        const RowWindow<P> below = load_row(src, y + 1, x, vectors);
        Vector<P> out;
#pragma unroll
        for (int i = 0; i < kPixels; ++i) {
            out.pixel[i] =
                sharpen_pixel<P>({at(above, i - 1), at(above, i), at(above, i + 1), at(here, i - 1), at(here, i),
                                  at(here, i + 1), at(below, i - 1), at(below, i), at(below, i + 1)},
                                 params);
        }
        P* row = dst.row(y);
        if (vectors && x + kPixels <= dst.width) {
            *reinterpret_cast<uint4*>(row + x) = *reinterpret_cast<const uint4*>(out.pixel);
        } else {
#pragma unroll
            for (int i = 0; i < kPixels; ++i) {
                if (x + i < dst.width) {
                    row[x + i] = out.pixel[i];
                }
            }
        }
        above = here;
        here = below;
    }
}

}  // namespace

template <class P>
void sharpen(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, const SharpenParams& params) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    const auto kernel = params.kernel == SharpenKernel::laplacian4   ? sharpen_kernel<P, SharpenKernel::laplacian4>
                        : params.kernel == SharpenKernel::laplacian8 ? sharpen_kernel<P, SharpenKernel::laplacian8>
                                                                     : sharpen_kernel<P, SharpenKernel::unsharp>;
    const dim3 grid(blocks_for(src.max_width, 32 * Vector<P>::kPixels),
                    blocks_for(src.max_height, kRows * kWarpsPerBlock), static_cast<unsigned>(src.count));
    Launch{grid, dim3(32, kWarpsPerBlock), stream}(kernel, src.images, dst.images, params.amount);
}

template void sharpen(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, const SharpenParams&);
template void sharpen(Stream&, Batch<const uint16_t, Device>, Batch<uint16_t, Device>, const SharpenParams&);

}  // namespace boneage

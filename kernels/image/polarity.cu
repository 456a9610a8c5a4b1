#include "kernels/base/buffer.h"
#include "kernels/image/pixel_vectors.cuh"
#include "kernels/image/polarity.h"
#include "kernels/image/polarity_math.h"

namespace boneage {
namespace {

constexpr int kSumThreads = 256;
constexpr int kSumRows = 64;  // of a region, for one block

// The sum of a 32-bit word's pixels.
template <class P>
__device__ uint32_t word_sum(uint32_t word) {
    if constexpr (sizeof(P) == 1) {
        const uint32_t pairs = (word & 0x00ff00ffU) + ((word >> 8) & 0x00ff00ffU);
        return (pairs & 0xffffU) + (pairs >> 16);
    } else {
        return (word & 0xffffU) + (word >> 16);
    }
}

// This thread's share of the sum over rows [top, bottom) of a region. Vectors are counted from the left edge of the
// image, where rows are aligned; of those that cross an edge of the region only the pixels within count.
template <class P>
__device__ unsigned long long thread_sum(const Image<const P, Device>& src, const Region& region, int64_t top,
                                         int64_t bottom) {
    constexpr int kPixels = kVectorPixels<P>;
    const bool vectors = vector_rows<kPixels>(src);
    const int64_t first = region.left / kPixels;
    const int64_t count = ceil_div(region.right, kPixels) - first;
    const RowShare share = share_rows(static_cast<int>(threadIdx.x), kSumThreads, count);
    unsigned long long sum = 0;
    for (int64_t y = top + share.row; y < bottom; y += share.rows) {
        const P* row = src.row(y);
        for (int64_t v = first + share.lane; v < first + count; v += share.lanes) {
            const int64_t x = v * kPixels;
            const PixelVector<P, kPixels> pixels = load_vector<kPixels>(row, x, src.width, vectors);
            if (x >= region.left && x + kPixels <= region.right) {
#pragma unroll
                for (const uint32_t word : pixels.word) {
                    sum += word_sum<P>(word);
                }
            } else {
#pragma unroll
                for (int k = 0; k < kPixels; ++k) {
                    sum += x + k >= region.left && x + k < region.right ? pixels.get(k) : 0;
                }
            }
        }
    }
    return sum;
}

// Block (i, r, n): kSumRows rows of region r of image n. Integer sums do not depend on who adds first.
template <class P>
__global__ void __launch_bounds__(kSumThreads)
    sum_regions_kernel(const Image<const P, Device>* sources, RegionSums* sums) {
    const Image<const P, Device> src = sources[blockIdx.z];
    const int which = static_cast<int>(blockIdx.y);
    const Region region = polarity_region(src.height, src.width, which);
    const int64_t top = region.top + static_cast<int64_t>(blockIdx.x) * kSumRows;
    const int64_t bottom = top + kSumRows < region.bottom ? top + kSumRows : region.bottom;
    if (src.empty() || top >= bottom) {
        return;
    }
    const unsigned long long sum = block_sum(thread_sum(src, region, top, bottom));
    if (threadIdx.x == 0) {
        atomicAdd(&sums[blockIdx.z].of[which], sum);
    }
}

// A thread for each image.
template <class P>
__global__ void decide_kernel(const Image<const P, Device>* sources, int64_t count, const RegionSums* sums,
                              uint8_t* inverted) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < count && !sources[i].empty()) {
        inverted[i] = is_inverted(sources[i].height, sources[i].width, sums[i]);
    }
}

template <class P>
__global__ void __launch_bounds__(32 * kMapWarps)
    invert_kernel(const Image<const P, Device>* sources, const Image<P, Device>* targets, const uint8_t* flags) {
    constexpr int kPixels = kVectorPixels<P>;
    const Image<const P, Device> src = sources[blockIdx.z];
    const Image<P, Device> dst = targets[blockIdx.z];
    const int64_t x = map_column<kPixels>();
    if (x >= dst.width) {
        return;
    }
    // All bits set inverts; none set copies: v ^ max == max - v.
    const uint32_t flip = flags == nullptr || flags[blockIdx.z] != 0 ? ~0U : 0U;
    const bool vectors = vector_rows<kPixels>(src) && vector_rows<kPixels>(dst);
    PixelVector<P, kPixels> pixels[kMapRows];
#pragma unroll
    for (int i = 0; i < kMapRows; ++i) {
        if (map_row(i) < dst.height) {
            pixels[i] = load_vector<kPixels>(src.row(map_row(i)), x, dst.width, vectors);
        }
    }
#pragma unroll
    for (int i = 0; i < kMapRows; ++i) {
        if (map_row(i) < dst.height) {
#pragma unroll
            for (uint32_t& word : pixels[i].word) {
                word ^= flip;
            }
            store_vector(dst.row(map_row(i)), x, dst.width, vectors, pixels[i]);
        }
    }
}

}  // namespace

template <class P>
void find_inverted(Stream& stream, Batch<const P, Device> src, Tensor<uint8_t, Device> inverted,
                   Bytes<Device> scratch) {
    expects(inverted.size() == src.count, "there must be one result for each image");
    expects(scratch.size >= find_inverted_scratch_bytes(src.count), "scratch is too small");
    if (src.count == 0) {
        return;
    }
    auto* sums = ScratchCursor<Device>(scratch).take<RegionSums>(src.count);
    clear_device(stream, sums, find_inverted_scratch_bytes(src.count));
    const dim3 parts(blocks_for(src.max_height, kSumRows), kPolarityRegions, static_cast<unsigned>(src.count));
    Launch{parts, dim3(kSumThreads), stream}(sum_regions_kernel<P>, src.images, sums);
    constexpr unsigned kWarp = 32;
    Launch{dim3(blocks_for(src.count, kWarp)), dim3(kWarp), stream}(decide_kernel<P>, src.images, src.count, sums,
                                                                    inverted.data);
}

template <class P>
void invert(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, Tensor<const uint8_t, Device> flags) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    expects(flags.data == nullptr || flags.size() == src.count, "there must be one flag for each image");
    map_launch(stream, dst, kVectorPixels<P>)(invert_kernel<P>, src.images, dst.images, flags.data);
}

template void find_inverted(Stream&, Batch<const uint8_t, Device>, Tensor<uint8_t, Device>, Bytes<Device>);
template void find_inverted(Stream&, Batch<const uint16_t, Device>, Tensor<uint8_t, Device>, Bytes<Device>);
template void invert(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, Tensor<const uint8_t, Device>);
template void invert(Stream&, Batch<const uint16_t, Device>, Batch<uint16_t, Device>, Tensor<const uint8_t, Device>);

}  // namespace boneage

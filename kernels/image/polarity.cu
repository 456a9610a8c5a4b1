#include "kernels/image/pixel_vectors.cuh"
#include "kernels/image/polarity.h"
#include "kernels/image/polarity_math.h"

namespace boneage {
namespace {

constexpr int kSumThreads = 1024;

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

// This thread's share of the sum over a region. Vectors are counted from the left edge of the image, where rows are
// aligned; those that cross an edge of the region are read pixel by pixel.
template <class P>
__device__ uint64_t thread_sum(const Image<const P, Device>& src, const Region& region, bool vectors) {
    constexpr int kPixels = kVectorPixels<P>;
    const int64_t first = region.left / kPixels;
    const int64_t count = ceil_div(region.right, kPixels) - first;
    const RowShare share = share_rows(static_cast<int>(threadIdx.x), kSumThreads, count);
    uint64_t sum = 0;
    for (int64_t y = region.top + share.row; y < region.bottom; y += share.rows) {
        const P* row = src.row(y);
        for (int64_t v = first + share.lane; v < first + count; v += share.lanes) {
            const int64_t x = v * kPixels;
            if (vectors && x >= region.left && x + kPixels <= region.right) {
                const uint4 words = __ldg(reinterpret_cast<const uint4*>(row + x));
                sum += word_sum<P>(words.x) + word_sum<P>(words.y) + word_sum<P>(words.z) + word_sum<P>(words.w);
            } else {
                for (int64_t i = x > region.left ? x : region.left; i < x + kPixels && i < region.right; ++i) {
                    sum += row[i];
                }
            }
        }
    }
    return sum;
}

// One block an image: it needs no memory beyond its answer, and integer sums do not depend on who adds first.
template <class P>
__global__ void __launch_bounds__(kSumThreads)
    find_inverted_kernel(const Image<const P, Device>* sources, uint8_t* inverted) {
    const Image<const P, Device> src = sources[blockIdx.x];
    if (src.empty()) {
        return;
    }
    const bool vectors = vector_rows<kVectorPixels<P>>(src);
    double means[kPolarityRegions];
#pragma unroll
    for (int i = 0; i < kPolarityRegions; ++i) {
        const Region region = polarity_region(src.height, src.width, i);
        const uint64_t sum = block_sum(thread_sum(src, region, vectors));
        means[i] = static_cast<double>(static_cast<int64_t>(sum)) / static_cast<double>(region.pixels());
    }
    if (threadIdx.x == 0) {
        inverted[blockIdx.x] = is_inverted(means);
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
void find_inverted(Stream& stream, Batch<const P, Device> src, Tensor<uint8_t, Device> inverted) {
    expects(inverted.size() == src.count, "there must be one result for each image");
    Launch{dim3(static_cast<unsigned>(src.count)), dim3(kSumThreads), stream}(find_inverted_kernel<P>, src.images,
                                                                              inverted.data);
}

template <class P>
void invert(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, Tensor<const uint8_t, Device> flags) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    expects(flags.data == nullptr || flags.size() == src.count, "there must be one flag for each image");
    map_launch(stream, dst, kVectorPixels<P>)(invert_kernel<P>, src.images, dst.images, flags.data);
}

template void find_inverted(Stream&, Batch<const uint8_t, Device>, Tensor<uint8_t, Device>);
template void find_inverted(Stream&, Batch<const uint16_t, Device>, Tensor<uint8_t, Device>);
template void invert(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, Tensor<const uint8_t, Device>);
template void invert(Stream&, Batch<const uint16_t, Device>, Batch<uint16_t, Device>, Tensor<const uint8_t, Device>);

}  // namespace boneage

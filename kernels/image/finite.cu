#include "kernels/image/finite.h"
#include "kernels/image/pixel_vectors.cuh"

namespace boneage {
namespace {

// A block an image: a batch fills the device, and a block of this size keeps enough loads under way to make a map of
// logits, a small part of what a batch moves, cost nothing that shows.
constexpr unsigned kThreads = 1024;

__global__ void __launch_bounds__(kThreads)
    find_not_finite_kernel(const Image<const float, Device>* sources, uint8_t* broken) {
    constexpr int kPixels = kVectorPixels<float>;
    const Image<const float, Device> src = sources[blockIdx.x];
    const bool vectors = vector_rows<kPixels>(src);
    const int64_t per_row = ceil_div(src.width, kPixels);
    const RowShare share = share_rows(static_cast<int>(threadIdx.x), kThreads, per_row);
    uint32_t largest = 0;
    for (int64_t y = share.row; y < src.height; y += share.rows) {
        for (int64_t v = share.lane; v < per_row; v += share.lanes) {
            const auto values = load_vector<kPixels>(src.row(y), v * kPixels, src.width, vectors);
#pragma unroll
            for (const uint32_t word : values.word) {
                largest = max(largest, word & 0x7fffffffU);
            }
        }
    }
    // Infinity and NaN are the floats whose exponent bits are all set.
    const int found = block_sum(largest >= 0x7f800000U ? 1 : 0);
    if (threadIdx.x == 0) {
        broken[blockIdx.x] = found > 0 ? 1 : 0;
    }
}

}  // namespace

void find_not_finite(Stream& stream, Batch<const float, Device> src, Tensor<uint8_t, Device> broken) {
    expects(broken.size() == src.count, "there must be one result for each image");
    Launch{dim3(static_cast<unsigned>(src.count)), dim3(kThreads), stream}(find_not_finite_kernel, src.images,
                                                                           broken.data);
}

}  // namespace boneage

#include "kernels/image/finite.h"

#include "kernels/base/error.h"

#include <atomic>
#include <bit>

namespace boneage {
namespace {

// Infinity and NaN are the floats whose exponent bits are all set, so the largest magnitude tells, and one integer
// maximum a pixel vectorises.
bool any_not_finite(const float* values, int64_t count) {
    uint32_t largest = 0;
    for (int64_t x = 0; x < count; ++x) {
        const uint32_t magnitude = std::bit_cast<uint32_t>(values[x]) & 0x7fffffffU;
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest >= 0x7f800000U;
}

}  // namespace

void find_not_finite(Workers& workers, Batch<const float, Host> src, Tensor<uint8_t, Host> broken) {
    expects(broken.size() == src.count, "there must be one result for each image");
    for (int64_t i = 0; i < src.count; ++i) {
        const Image<const float, Host>& image = src.images[i];
        std::atomic<bool> found = false;
        workers.parallel_for(image.height, 64, [&](int64_t begin, int64_t end) {
            for (int64_t y = begin; y < end; ++y) {
                if (any_not_finite(image.row(y), image.width)) {
                    found.store(true, std::memory_order_relaxed);
                }
            }
        });
        broken.data[i] = found ? 1 : 0;
    }
}

}  // namespace boneage

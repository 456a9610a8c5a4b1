#include "kernels/nn/mirror.h"

#include <algorithm>

namespace boneage {

void mirror(Workers& workers, Activations<float, Host> x) {
    workers.parallel_for(x.n * x.h, 16, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            float* left = x.data + row * x.w * x.pixel_stride;
            float* right = left + (x.w - 1) * x.pixel_stride;
            for (; left < right; left += x.pixel_stride, right -= x.pixel_stride) {
                std::swap_ranges(left, left + x.c, right);
            }
        }
    });
}

}  // namespace boneage

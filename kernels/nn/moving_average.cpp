#include "kernels/nn/moving_average.h"

#include "kernels/nn/moving_average_math.h"

namespace boneage {

void moving_average(Workers& workers, Tensor<const float, Host> decay, Tensor<const float, Host> values,
                    Tensor<float, Host> average) {
    check_moving_average(decay, values, average);
    workers.parallel_for(values.size(), 1 << 14, [&](int64_t begin, int64_t end) {
        const float share = *decay.data;
        const float* value = values.data;
        float* mean = average.data;
#pragma GCC ivdep
        for (int64_t i = begin; i < end; ++i) {
            mean[i] = averaged(share, mean[i], value[i]);
        }
    });
}

}  // namespace boneage

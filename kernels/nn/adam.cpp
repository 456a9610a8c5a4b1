#include "kernels/nn/adam.h"

#include "kernels/nn/adam_math.h"

namespace boneage {

void adam(Workers& workers, Tensor<AdamState, Host> state, Tensor<float, Host> weights,
          Tensor<const float, Host> gradients, Tensor<float, Host> first_moment, Tensor<float, Host> second_moment) {
    check_adam(state, weights, gradients, first_moment, second_moment);
    begin_step(*state.data);
    workers.parallel_for(weights.size(), 1 << 13, [&](int64_t begin, int64_t end) {
        const AdamFactors factors = state.data->factors;
        const float* gradient = gradients.data;
        float* weight = weights.data;
        float* m = first_moment.data;
        float* v = second_moment.data;
#pragma GCC ivdep
        for (int64_t i = begin; i < end; ++i) {
            adam_weight(factors, gradient[i], weight[i], m[i], v[i]);
        }
    });
}

}  // namespace boneage

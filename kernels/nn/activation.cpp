#include "kernels/nn/activation.h"

#include "kernels/base/error.h"
#include "kernels/nn/activation_math.h"
#include "kernels/nn/convert_math.h"

namespace boneage {

template <class T>
void relu(Workers& workers, Tensor<const T, Host> src, Tensor<T, Host> dst) {
    expects(src.shape == dst.shape, "src and dst must have the same shape");
    workers.parallel_for(src.size(), 1 << 14, [&](int64_t begin, int64_t end) {
        const T* from = src.data;
        T* to = dst.data;
        for (int64_t i = begin; i < end; ++i) {
            to[i] = from_float<T>(relu_value(to_float(from[i])));
        }
    });
}

void sigmoid(Workers& workers, Tensor<const float, Host> src, Tensor<float, Host> dst) {
    expects(src.shape == dst.shape, "src and dst must have the same shape");
    workers.parallel_for(src.size(), 1 << 12, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            dst.data[i] = sigmoid_value(src.data[i]);
        }
    });
}

template void relu(Workers&, Tensor<const float, Host>, Tensor<float, Host>);
template void relu(Workers&, Tensor<const bfloat16, Host>, Tensor<bfloat16, Host>);

}  // namespace boneage

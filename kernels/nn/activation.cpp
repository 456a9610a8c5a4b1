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

template <class T>
void relu_backward(Workers& workers, Tensor<const T, Host> d_dst, Tensor<const T, Host> dst, Tensor<T, Host> d_src) {
    expects(d_dst.shape == dst.shape && dst.shape == d_src.shape, "d_dst, dst and d_src must have the same shape");
    workers.parallel_for(dst.size(), 1 << 14, [&](int64_t begin, int64_t end) {
        const T* gradient = d_dst.data;
        const T* y = dst.data;
        T* to = d_src.data;
#pragma GCC ivdep
        for (int64_t i = begin; i < end; ++i) {
            to[i] = from_float<T>(relu_gradient(to_float(gradient[i]), to_float(y[i])));
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
template void relu_backward(Workers&, Tensor<const float, Host>, Tensor<const float, Host>, Tensor<float, Host>);
template void relu_backward(Workers&, Tensor<const bfloat16, Host>, Tensor<const bfloat16, Host>,
                            Tensor<bfloat16, Host>);
template void relu(Workers&, Tensor<const float16, Host>, Tensor<float16, Host>);
template void relu_backward(Workers&, Tensor<const float16, Host>, Tensor<const float16, Host>, Tensor<float16, Host>);

}  // namespace boneage

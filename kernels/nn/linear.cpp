#include "kernels/nn/linear.h"

#include "kernels/base/error.h"
#include "kernels/nn/convert_math.h"

namespace boneage {
namespace {

constexpr int64_t kLanes = 16;

template <class X>
float dot(const X* x, const float* w, int64_t count) {
    float sums[kLanes] = {};
    int64_t k = 0;
    for (; k + kLanes <= count; k += kLanes) {
        for (int64_t lane = 0; lane < kLanes; ++lane) {
            sums[lane] += to_float(x[k + lane]) * w[k + lane];
        }
    }
    for (int64_t lane = 0; k + lane < count; ++lane) {
        sums[lane] += to_float(x[k + lane]) * w[k + lane];
    }
    for (int64_t half = kLanes / 2; half >= 1; half /= 2) {
        for (int64_t lane = 0; lane < half; ++lane) {
            sums[lane] += sums[lane + half];
        }
    }
    return sums[0];
}

}  // namespace

template <class X, class Y>
void linear(Workers& workers, Tensor<const X, Host> src, Tensor<const float, Host> weights,
            Tensor<const float, Host> bias, Tensor<Y, Host> dst, bool relu) {
    const int64_t rows = src.shape[0];
    const int64_t in = src.size() / (rows > 0 ? rows : 1);
    const int64_t out = weights.shape[0];
    expects(weights.size() == out * in, "weights must be [out, in]");
    expects(bias.data == nullptr || bias.size() == out, "bias must be [out]");
    expects(dst.shape == std::array<int64_t, 4>{rows, 1, 1, out}, "dst must be [n, 1, 1, out]");
    workers.parallel_for(rows * out, 16, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t row = i / out;
            const int64_t o = i % out;
            float value = dot(src.at(row), weights.data + o * in, in);
            if (bias.data != nullptr) {
                value += bias.data[o];
            }
            dst.data[i] = from_float<Y>(relu && value < 0 ? 0.0F : value);
        }
    });
}

template void linear(Workers&, Tensor<const float, Host>, Tensor<const float, Host>, Tensor<const float, Host>,
                     Tensor<float, Host>, bool);
template void linear(Workers&, Tensor<const bfloat16, Host>, Tensor<const float, Host>, Tensor<const float, Host>,
                     Tensor<bfloat16, Host>, bool);
template void linear(Workers&, Tensor<const bfloat16, Host>, Tensor<const float, Host>, Tensor<const float, Host>,
                     Tensor<float, Host>, bool);

}  // namespace boneage

#include "kernels/nn/linear.h"

#include "kernels/base/error.h"

namespace boneage {
namespace {

constexpr int64_t kLanes = 16;

float dot(const float* x, const float* w, int64_t count) {
    float sums[kLanes] = {};
    int64_t k = 0;
    for (; k + kLanes <= count; k += kLanes) {
        for (int64_t lane = 0; lane < kLanes; ++lane) {
            sums[lane] += x[k + lane] * w[k + lane];
        }
    }
    for (int64_t lane = 0; k + lane < count; ++lane) {
        sums[lane] += x[k + lane] * w[k + lane];
    }
    for (int64_t half = kLanes / 2; half >= 1; half /= 2) {
        for (int64_t lane = 0; lane < half; ++lane) {
            sums[lane] += sums[lane + half];
        }
    }
    return sums[0];
}

}  // namespace

void linear(Workers& workers, Activations<const float, Host> src, Tensor<const float, Host> weights,
            Tensor<const float, Host> bias, Activations<float, Host> dst, bool relu) {
    expects(src.h == 1 && src.w == 1, "src must be [n, 1, 1, in]");
    expects(weights.shape[0] == dst.c && weights.size() == dst.c * src.c, "weights must be [out, in]");
    expects(bias.size() == dst.c, "bias must be [out]");
    expects(dst.n == src.n && dst.h == 1 && dst.w == 1, "dst must be [n, 1, 1, out]");
    workers.parallel_for(dst.size(), 16, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t row = i / dst.c;
            const int64_t o = i % dst.c;
            const float value = dot(src.pixel(row, 0, 0), weights.at(o), src.c) + bias.data[o];
            dst.pixel(row, 0, 0)[o] = relu && value < 0 ? 0.0F : value;
        }
    });
}

}  // namespace boneage

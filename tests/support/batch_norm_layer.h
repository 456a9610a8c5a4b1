// One batch norm with everything it reads and makes, for tests.
#pragma once

#include "kernels/nn/batch_norm.h"
#include "tests/support/tensors.h"

namespace boneage::testing {

// Random inputs, the same for the same shape; running statistics start at 0.5 and 2.
template <class T>
struct BatchNormLayer {
    OwnedTensor<T> src, residual, dst, d_dst, d_src, d_residual;
    OwnedTensor<float> weight, bias, running_mean, running_variance, mean, inverse_deviation, d_weight, d_bias;
    bool add;

    BatchNormLayer(const std::array<int64_t, 4>& shape, bool add_residual)
        : src(random_tensor<T>(shape, 1)),
          residual(random_tensor<T>(shape, 2)),
          dst(shape),
          d_dst(random_tensor<T>(shape, 3)),
          d_src(shape),
          d_residual(shape),
          weight(random_tensor<float>({shape[3], 1, 1, 1}, 4)),
          bias(random_tensor<float>({shape[3], 1, 1, 1}, 5)),
          running_mean({shape[3], 1, 1, 1}),
          running_variance(running_mean),
          mean(running_mean),
          inverse_deviation(running_mean),
          d_weight(running_mean),
          d_bias(running_mean),
          add(add_residual) {
        for (int64_t k = 0; k < shape[3]; ++k) {
            running_mean[k] = 0.5F;
            running_variance[k] = 2.0F;
        }
    }

    BatchNormChannels<Host> channels() {
        return {std::as_const(weight).tensor(),
                std::as_const(bias).tensor(),
                running_mean.tensor(),
                running_variance.tensor(),
                mean.tensor(),
                inverse_deviation.tensor()};
    }
    BatchNormGradients<T, Host> gradients() {
        return {d_src.view(), add ? d_residual.view() : Activations<T, Host>(), d_weight.tensor(), d_bias.tensor()};
    }
    [[nodiscard]] int64_t scratch_bytes() const { return batch_norm_scratch_bytes(src.view().pixels(), src.view().c); }

    void forward(Workers& workers, const BatchNormParams& params) {
        HostScratch scratch;
        batch_norm<T>(workers, std::as_const(src).view(),
                      add ? std::as_const(residual).view() : Activations<const T, Host>(), channels(), dst.view(),
                      params, scratch.bytes(scratch_bytes()));
    }
    void backward(Workers& workers, const BatchNormParams& params) { backward(workers, params, gradients()); }
    void backward(Workers& workers, const BatchNormParams& params, const BatchNormGradients<T, Host>& into) {
        HostScratch scratch;
        batch_norm_backward<T>(workers, std::as_const(d_dst).view(), std::as_const(dst).view(),
                               std::as_const(src).view(), channels(), into, params, scratch.bytes(scratch_bytes()));
    }

    // Everything that forward and backward make, bit for bit.
    void expect_same_as(const BatchNormLayer& want, const std::string& what) const {
        expect_same(dst, want.dst, what + ": dst");
        expect_same(running_mean, want.running_mean, what + ": running mean");
        expect_same(running_variance, want.running_variance, what + ": running variance");
        expect_same(mean, want.mean, what + ": mean");
        expect_same(inverse_deviation, want.inverse_deviation, what + ": inverse deviation");
        expect_same(d_src, want.d_src, what + ": d_src");
        expect_same(d_residual, want.d_residual, what + ": d_residual");
        expect_same(d_weight, want.d_weight, what + ": d_weight");
        expect_same(d_bias, want.d_bias, what + ": d_bias");
    }
};

}  // namespace boneage::testing

#include "kernels/nn/linear_backward.h"
#include "tests/support/device_tensors.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::OwnedTensor;
using testing::random_tensor;

TEST(LinearBackwardDevice, equals_the_cpu_twin_bit_for_bit) {
    Stream stream;
    Workers workers(1);
    for (const auto& [n, in, out] :
         {std::array<int64_t, 3>{1, 1, 1}, {3, 63, 2}, {5, 64, 7}, {16, 545, 1}, {2, 130, 33}}) {
        const auto values = random_tensor<float>({n, 1, 1, in}, 1);
        const auto w = random_tensor<float>({out, in, 1, 1}, 2);
        const auto gradient = random_tensor<float>({n, 1, 1, out}, 3);
        const auto before = random_tensor<float>({n, 1, 1, in}, 4);
        const DeviceTensor<float> src(stream, values, {3, 1});
        const DeviceTensor<float> weights(stream, w);
        const DeviceTensor<float> d_dst(stream, gradient, {2, 1});
        for (const Write write : {Write::assign, Write::accumulate}) {
            auto want_d_src = before;
            OwnedTensor<float> want_d_weights(w.shape());
            OwnedTensor<float> want_d_bias({out, 1, 1, 1});
            linear_backward(workers, gradient.view(), values.view(), w.tensor(),
                            {want_d_src.view(), write, want_d_weights.tensor(), want_d_bias.tensor()});
            DeviceTensor<float> d_src(stream, before, {5, 0});
            DeviceTensor<float> d_weights(stream, w.shape());
            DeviceTensor<float> d_bias(stream, want_d_bias.shape());
            linear_backward(stream, d_dst.const_view(), src.const_view(), weights.const_tensor(),
                            {d_src.view(), write, d_weights.tensor(), d_bias.tensor()});
            expect_same(d_src.download(), want_d_src, "d_src");
            expect_same(d_weights.download(), want_d_weights, "d_weights");
            expect_same(d_bias.download(), want_d_bias, "d_bias");
            linear_backward(stream, d_dst.const_view(), src.const_view(), weights.const_tensor(),
                            {{}, write, d_weights.tensor(), d_bias.tensor()});
            expect_same(d_weights.download(), want_d_weights, "d_weights alone");
        }
    }
}

}  // namespace
}  // namespace boneage

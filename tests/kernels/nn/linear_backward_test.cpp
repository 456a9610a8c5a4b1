#include "kernels/nn/linear_backward.h"

#include "kernels/base/error.h"
#include "kernels/nn/linear.h"
#include "tests/support/tensors.h"

namespace boneage {
namespace {

using testing::expect_close;
using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

// A layer of random values and its gradients.
struct Layer {
    OwnedTensor<float> src, weights, bias, d_dst, d_src, d_weights, d_bias;

    Layer(int64_t n, int64_t in, int64_t out)
        : src(random_tensor<float>({n, 1, 1, in}, 1)),
          weights(random_tensor<float>({out, in, 1, 1}, 2)),
          bias(random_tensor<float>({out, 1, 1, 1}, 3)),
          d_dst(random_tensor<float>({n, 1, 1, out}, 4)),
          d_src(random_tensor<float>({n, 1, 1, in}, 5)),
          d_weights(random_tensor<float>({out, in, 1, 1}, 6)),
          d_bias(random_tensor<float>({out, 1, 1, 1}, 7)) {}

    void backward(Workers& workers, Write write) {
        linear_backward(workers, std::as_const(d_dst).view(), std::as_const(src).view(),
                        std::as_const(weights).tensor(), {d_src.view(), write, d_weights.tensor(), d_bias.tensor()});
    }
};

// The contract's sums, exact products added in rising order in double.
void expect_gradients(const Layer& got, const OwnedTensor<float>& d_src_before, Write write) {
    const auto [n, h, w, in] = got.src.shape();
    const int64_t out = got.bias.size();
    Layer want = got;
    const auto sum = [](int64_t terms, const auto& a, const auto& b) {
        double total = 0;
        for (int64_t t = 0; t < terms; ++t) {
            total += static_cast<double>(a(t)) * static_cast<double>(b(t));
        }
        return static_cast<float>(total);
    };
    for (int64_t k = 0; k < in; ++k) {
        for (int64_t i = 0; i < n; ++i) {
            const float value = sum(
                out, [&](int64_t o) { return got.d_dst[i * got.bias.size() + o]; },
                [&, in = in](int64_t o) { return got.weights[o * in + k]; });
            want.d_src[i * in + k] = write == Write::assign ? value : d_src_before[i * in + k] + value;
        }
        for (int64_t o = 0; o < out; ++o) {
            want.d_weights[o * in + k] = sum(
                n, [&](int64_t i) { return got.d_dst[i * out + o]; },
                [&, in = in](int64_t i) { return got.src[i * in + k]; });
        }
    }
    for (int64_t o = 0; o < out; ++o) {
        want.d_bias[o] = sum(
            n, [&](int64_t i) { return got.d_dst[i * out + o]; }, [](int64_t) { return 1.0F; });
    }
    expect_same(got.d_src, want.d_src, "d_src");
    expect_same(got.d_weights, want.d_weights, "d_weights");
    expect_same(got.d_bias, want.d_bias, "d_bias");
}

TEST(LinearBackward, gradients_are_the_stated_sums_with_any_number_of_workers) {
    for (const int threads : {1, 3}) {
        Workers workers(threads);
        for (const auto& [n, in, out] :
             {std::array<int64_t, 3>{1, 1, 1}, {3, 63, 2}, {5, 64, 7}, {16, 545, 1}, {2, 130, 33}}) {
            for (const Write write : {Write::assign, Write::accumulate}) {
                Layer layer(n, in, out);
                const auto before = layer.d_src;
                layer.backward(workers, write);
                expect_gradients(layer, before, write);
            }
        }
    }
}

TEST(LinearBackward, gradients_equal_finite_differences) {
    Workers workers(1);
    Layer layer(4, 9, 5);
    layer.backward(workers, Write::assign);
    // Linear in each of its inputs, so a large step is exact but for rounding.
    constexpr float kStep = 0.5F;
    const auto loss = [&] {
        OwnedTensor<float> dst({4, 1, 1, 5});
        linear(workers, std::as_const(layer.src).view(), std::as_const(layer.weights).tensor(),
               std::as_const(layer.bias).tensor(), dst.view(), false);
        double sum = 0;
        for (int64_t i = 0; i < dst.size(); ++i) {
            sum += static_cast<double>(dst[i]) * static_cast<double>(layer.d_dst[i]);
        }
        return sum;
    };
    const auto expect_differences = [&](OwnedTensor<float>& values, const OwnedTensor<float>& got, const char* what) {
        std::vector<double> want;
        for (int64_t i = 0; i < values.size(); ++i) {
            const float saved = values[i];
            values[i] = saved + kStep;
            const double above = loss();
            values[i] = saved - kStep;
            want.push_back((above - loss()) / (2.0 * static_cast<double>(kStep)));
            values[i] = saved;
        }
        expect_close(std::vector<float>(got.tensor().data, got.tensor().data + got.size()), want, 2e-6, what);
    };
    expect_differences(layer.src, layer.d_src, "d_src");
    expect_differences(layer.weights, layer.d_weights, "d_weights");
    expect_differences(layer.bias, layer.d_bias, "d_bias");
}

TEST(LinearBackward, the_first_layer_needs_no_gradient_of_its_input) {
    Workers workers(1);
    Layer layer(3, 4, 2);
    Layer first = layer;
    layer.backward(workers, Write::assign);
    linear_backward(workers, std::as_const(first.d_dst).view(), std::as_const(first.src).view(),
                    std::as_const(first.weights).tensor(),
                    {{}, Write::assign, first.d_weights.tensor(), first.d_bias.tensor()});
    expect_same(first.d_weights, layer.d_weights, "d_weights");
    expect_same(first.d_bias, layer.d_bias, "d_bias");
}

TEST(LinearBackward, refuses_shapes_that_do_not_belong_together) {
    Workers workers(1);
    Layer layer(3, 4, 2);
    layer.d_weights = OwnedTensor<float>({3, 4, 1, 1});
    EXPECT_THROW(layer.backward(workers, Write::assign), ContractError);
}

}  // namespace
}  // namespace boneage

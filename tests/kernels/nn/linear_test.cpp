#include "kernels/nn/linear.h"

#include "kernels/base/error.h"
#include "kernels/nn/activation.h"
#include "tests/support/tensors.h"

#include <bit>
#include <limits>

namespace boneage {
namespace {

using testing::expect_close;
using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

TEST(Linear, equals_a_sum_in_double_for_lengths_around_the_lanes) {
    Workers workers(2);
    for (const int64_t in : {1, 2, 15, 16, 17, 31, 32, 544}) {
        for (const int64_t out : {1, 3, 40}) {
            const auto src = random_tensor<float>({3, 1, 1, in}, 1);
            const auto weights = random_tensor<float>({out, in, 1, 1}, 2);
            const auto bias = random_tensor<float>({out, 1, 1, 1}, 3);
            for (const bool relu : {false, true}) {
                OwnedTensor<float> dst({3, 1, 1, out});
                linear(workers, src.view(), weights.tensor(), bias.tensor(), dst.view(), relu);
                std::vector<double> want;
                std::vector<float> got;
                for (int64_t n = 0; n < 3; ++n) {
                    for (int64_t o = 0; o < out; ++o) {
                        double sum = static_cast<double>(bias[o]);
                        for (int64_t k = 0; k < in; ++k) {
                            sum += static_cast<double>(src.at(n, 0, 0, k)) * static_cast<double>(weights[o * in + k]);
                        }
                        want.push_back(relu ? std::max(sum, 0.0) : sum);
                        got.push_back(dst[n * out + o]);
                    }
                }
                if (relu && std::none_of(want.begin(), want.end(), [](double v) { return v > 0; })) {
                    continue;
                }
                expect_close(got, want, 2e-6, "in " + std::to_string(in));
            }
        }
    }
}

TEST(Linear, gives_a_row_the_same_bits_in_any_batch_and_with_any_number_of_workers) {
    const auto src = random_tensor<float>({16, 1, 1, 544}, 1);
    const auto weights = random_tensor<float>({37, 544, 1, 1}, 2);
    OwnedTensor<float> whole({16, 1, 1, 37});
    const auto bias = random_tensor<float>({37, 1, 1, 1}, 3);
    Workers four(4);
    linear(four, src.view(), weights.tensor(), bias.tensor(), whole.view(), false);
    Workers one_thread(1);
    for (int64_t n = 0; n < 16; ++n) {
        OwnedTensor<float> row({1, 1, 1, 37});
        linear(one_thread, {src.view().pixel(n, 0, 0), 1, 1, 1, 544}, weights.tensor(), bias.tensor(), row.view(),
               false);
        for (int64_t k = 0; k < 37; ++k) {
            EXPECT_EQ(std::bit_cast<uint32_t>(row.view().data[k]),
                      std::bit_cast<uint32_t>(whole.view().pixel(n, 0, 0)[k]))
                << "row " << n << ", output " << k;
        }
    }
}

TEST(Linear, keeps_nan_through_relu) {
    Workers workers(1);
    OwnedTensor<float> src({1, 1, 1, 2});
    src[0] = std::numeric_limits<float>::quiet_NaN();
    const auto weights = random_tensor<float>({1, 2, 1, 1}, 2);
    const auto bias = random_tensor<float>({1, 1, 1, 1}, 3);
    OwnedTensor<float> dst({1, 1, 1, 1});
    linear(workers, std::as_const(src).view(), weights.tensor(), bias.tensor(), dst.view(), true);
    EXPECT_TRUE(std::isnan(dst[0]));
    relu<float>(workers, std::as_const(dst).tensor(), dst.tensor());
    EXPECT_TRUE(std::isnan(dst[0]));
}

TEST(Linear, refuses_shapes_that_do_not_belong_together) {
    Workers workers(1);
    const OwnedTensor<float> src({2, 1, 1, 8});
    const OwnedTensor<float> weights({3, 7, 1, 1});
    OwnedTensor<float> dst({2, 1, 1, 3});
    const OwnedTensor<float> bias({3, 1, 1, 1});
    EXPECT_THROW(linear(workers, src.view(), weights.tensor(), bias.tensor(), dst.view(), false), ContractError);
    const OwnedTensor<float> fitting({3, 8, 1, 1});
    const OwnedTensor<float> short_bias({2, 1, 1, 1});
    EXPECT_THROW(linear(workers, src.view(), fitting.tensor(), short_bias.tensor(), dst.view(), false), ContractError);
}

TEST(Activation, relu_clears_negatives_and_sigmoid_stays_finite) {
    Workers workers(2);
    OwnedTensor<float> src({1, 1, 1, 6});
    const std::vector<float> values{-200.0F, -1.0F, -0.0F, 0.5F, 3.0F, 200.0F};
    for (size_t i = 0; i < values.size(); ++i) {
        src[static_cast<int64_t>(i)] = values[i];
    }
    OwnedTensor<float> dst(src.shape());
    relu<float>(workers, std::as_const(src).tensor(), dst.tensor());
    for (int64_t i = 0; i < 6; ++i) {
        EXPECT_EQ(dst[i], std::max(src[i], 0.0F));
    }
    sigmoid(workers, std::as_const(src).tensor(), dst.tensor());
    for (int64_t i = 0; i < 6; ++i) {
        const double want = 1.0 / (1.0 + std::exp(-static_cast<double>(src[i])));
        EXPECT_NEAR(dst[i], want, 3e-7 * want + 1e-38) << src[i];
    }
}

TEST(Activation, relu_backward_passes_the_gradient_where_the_output_is_positive) {
    for (const int threads : {1, 3}) {
        Workers workers(threads);
        auto y = random_tensor<bfloat16>({1, 1, 1, 50001}, 1);
        y[0] = to_bfloat16(0.0F);
        y[1] = to_bfloat16(std::numeric_limits<float>::quiet_NaN());
        auto d_y = random_tensor<bfloat16>(y.shape(), 2);
        OwnedTensor<bfloat16> want(y.shape());
        for (int64_t i = 0; i < y.size(); ++i) {
            want[i] = to_float(y[i]) > 0 ? d_y[i] : bfloat16{0};
        }
        OwnedTensor<bfloat16> got(y.shape());
        relu_backward<bfloat16>(workers, std::as_const(d_y).tensor(), std::as_const(y).tensor(), got.tensor());
        expect_same(got, want, "apart");
        relu_backward<bfloat16>(workers, std::as_const(d_y).tensor(), std::as_const(y).tensor(), d_y.tensor());
        expect_same(d_y, want, "in place");
    }
}

}  // namespace
}  // namespace boneage

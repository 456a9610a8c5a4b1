#include "kernels/nn/batch_norm.h"

#include "kernels/base/error.h"
#include "tests/support/batch_norm_layer.h"

#include <limits>

namespace boneage {
namespace {

using testing::BatchNormLayer;
using testing::expect_close;
using testing::OwnedTensor;
using testing::random_tensor;

using Doubles = std::vector<double>;

template <class T>
Doubles doubles(const OwnedTensor<T>& tensor) {
    Doubles values;
    for (int64_t i = 0; i < tensor.size(); ++i) {
        values.push_back(static_cast<double>(to_float(tensor[i])));
    }
    return values;
}

struct Moments {
    double mean = 0;
    double variance = 0;
};

Moments moments_of(const Doubles& x, size_t channels, size_t channel) {
    Moments m;
    const size_t count = x.size() / channels;
    const auto pixels = static_cast<double>(count);
    for (size_t i = channel; i < x.size(); i += channels) {
        m.mean += x[i] / pixels;
    }
    for (size_t i = channel; i < x.size(); i += channels) {
        m.variance += (x[i] - m.mean) * (x[i] - m.mean) / pixels;
    }
    return m;
}

// Forward in double, written from the definition; residual empty for none.
Doubles naive_forward(const Doubles& x, const Doubles& residual, const Doubles& weight, const Doubles& bias,
                      const BatchNormParams& params) {
    const size_t channels = weight.size();
    Doubles y(x.size());
    for (size_t k = 0; k < channels; ++k) {
        const Moments m = moments_of(x, channels, k);
        for (size_t i = k; i < x.size(); i += channels) {
            y[i] = (x[i] - m.mean) / std::sqrt(m.variance + params.eps) * weight[k] + bias[k];
            y[i] += residual.empty() ? 0.0 : residual[i];
            y[i] = params.relu ? std::max(y[i], 0.0) : y[i];
        }
    }
    return y;
}

template <class T>
class BatchNormTest : public ::testing::Test {
protected:
    // Of the largest value: float32 sums nothing longer than 36 terms; a bfloat16 result is rounded to 8 bits.
    static constexpr double kTolerance = std::is_same_v<T, float> ? 3e-6 : 1.0 / 256;
};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(BatchNormTest, ElementTypes);

TYPED_TEST(BatchNormTest, forward_and_running_statistics_equal_the_definition_in_double) {
    for (const auto& shape :
         {std::array<int64_t, 4>{2, 1, 1, 1}, {2, 3, 5, 3}, {3, 19, 21, 40}, {1, 2, 3, 300}, {2, 40, 40, 8}}) {
        for (const bool relu : {false, true}) {
            for (const bool add : {false, true}) {
                const BatchNormParams params{1e-5, 0.1, relu};
                BatchNormLayer<TypeParam> layer(shape, add);
                Workers workers(2);
                layer.forward(workers, params);
                const Doubles x = doubles(layer.src);
                const Doubles want = naive_forward(x, add ? doubles(layer.residual) : Doubles{}, doubles(layer.weight),
                                                   doubles(layer.bias), params);
                expect_close(doubles(layer.dst), want, TestFixture::kTolerance, "dst");
                Doubles running_mean;
                Doubles running_variance;
                const auto pixels = static_cast<double>(layer.src.view().pixels());
                for (int64_t k = 0; k < shape[3]; ++k) {
                    const Moments m = moments_of(x, static_cast<size_t>(shape[3]), static_cast<size_t>(k));
                    running_mean.push_back(0.9 * 0.5 + 0.1 * m.mean);
                    running_variance.push_back(0.9 * 2.0 + 0.1 * m.variance * pixels / (pixels - 1));
                }
                expect_close(doubles(layer.running_mean), running_mean, 3e-7, "running mean");
                expect_close(doubles(layer.running_variance), running_variance, 3e-7, "running variance");
            }
        }
    }
}

TYPED_TEST(BatchNormTest, forward_and_backward_give_the_same_bits_for_any_number_of_workers) {
    const BatchNormParams params{1e-5, 0.1, true};
    for (const auto& shape : {std::array<int64_t, 4>{3, 37, 41, 5}, {2, 29, 31, 150}}) {
        BatchNormLayer<TypeParam> one(shape, true);
        Workers single(1);
        one.forward(single, params);
        one.backward(single, params);
        for (const int threads : {2, 5}) {
            BatchNormLayer<TypeParam> many(shape, true);
            Workers workers(threads);
            many.forward(workers, params);
            many.backward(workers, params);
            many.expect_same_as(one, std::to_string(threads) + " workers");
        }
    }
}

TEST(BatchNorm, a_mean_far_from_zero_costs_the_variance_no_digits) {
    BatchNormLayer<float> layer({2, 30, 30, 4}, false);
    for (int64_t i = 0; i < layer.src.size(); ++i) {
        layer.src[i] = 1000.0F + 0.125F * layer.src[i];
    }
    Workers workers(1);
    layer.forward(workers, {0.0, 0.1, false});
    for (int64_t k = 0; k < 4; ++k) {
        const Moments m = moments_of(doubles(layer.src), 4, static_cast<size_t>(k));
        EXPECT_NEAR(layer.inverse_deviation[k] * std::sqrt(m.variance), 1.0, 1e-6);
        EXPECT_NEAR(layer.mean[k], m.mean, 6e-8 * m.mean);
    }
}

TEST(BatchNorm, a_constant_channel_becomes_its_bias) {
    BatchNormLayer<float> layer({2, 30, 30, 3}, false);
    for (int64_t i = 0; i < layer.src.size(); ++i) {
        layer.src[i] = 0.1F;
    }
    Workers workers(1);
    layer.forward(workers, {1e-5, 0.1, false});
    for (int64_t i = 0; i < layer.dst.size(); ++i) {
        EXPECT_NEAR(layer.dst[i], layer.bias[i % 3], 1e-5);
    }
}

TEST(BatchNorm, gradients_equal_finite_differences_of_the_definition) {
    constexpr double kStep = 1e-5;
    for (const bool relu : {false, true}) {
        const BatchNormParams params{1e-2, 0.1, relu};
        BatchNormLayer<float> layer({2, 3, 4, 3}, true);
        Workers workers(1);
        layer.forward(workers, params);
        layer.backward(workers, params);
        const Doubles d_y = doubles(layer.d_dst);
        Doubles x = doubles(layer.src);
        Doubles residual = doubles(layer.residual);
        Doubles weight = doubles(layer.weight);
        Doubles bias = doubles(layer.bias);
        const auto loss = [&] {
            const Doubles y = naive_forward(x, residual, weight, bias, params);
            double sum = 0;
            for (size_t i = 0; i < y.size(); ++i) {
                sum += y[i] * d_y[i];
            }
            return sum;
        };
        const auto differences = [&](Doubles& values) {
            Doubles slopes;
            for (double& value : values) {
                const double saved = value;
                value = saved + kStep;
                const double above = loss();
                value = saved - kStep;
                const double below = loss();
                value = saved;
                slopes.push_back((above - below) / (2 * kStep));
            }
            return slopes;
        };
        expect_close(doubles(layer.d_src), differences(x), 2e-6, "d_src");
        expect_close(doubles(layer.d_residual), differences(residual), 2e-6, "d_residual");
        expect_close(doubles(layer.d_weight), differences(weight), 2e-6, "d_weight");
        expect_close(doubles(layer.d_bias), differences(bias), 2e-6, "d_bias");
    }
}

TYPED_TEST(BatchNormTest, backward_equals_the_formulas_in_double_on_larger_values) {
    for (const bool relu : {false, true}) {
        const BatchNormParams params{1e-5, 0.1, relu};
        BatchNormLayer<TypeParam> layer({3, 25, 27, 20}, true);
        Workers workers(3);
        layer.forward(workers, params);
        layer.backward(workers, params);
        const Doubles x = doubles(layer.src);
        const Doubles y = doubles(layer.dst);
        const Doubles d_y = doubles(layer.d_dst);
        Doubles d_x(x.size());
        Doubles d_r(x.size());
        Doubles d_weight(20);
        Doubles d_bias(20);
        const size_t pixels = x.size() / 20;
        const auto n = static_cast<double>(pixels);
        for (size_t k = 0; k < 20; ++k) {
            const Moments m = moments_of(x, 20, k);
            const double scale = 1 / std::sqrt(m.variance + params.eps);
            for (size_t i = k; i < x.size(); i += 20) {
                d_r[i] = !relu || y[i] > 0 ? d_y[i] : 0.0;
                d_bias[k] += d_r[i];
                d_weight[k] += d_r[i] * (x[i] - m.mean) * scale;
            }
            for (size_t i = k; i < x.size(); i += 20) {
                d_x[i] = static_cast<double>(layer.weight[static_cast<int64_t>(k)]) * scale *
                         (d_r[i] - d_bias[k] / n - (x[i] - m.mean) * scale * d_weight[k] / n);
            }
        }
        expect_close(doubles(layer.d_residual), d_r, 0, "d_residual");
        expect_close(doubles(layer.d_src), d_x, TestFixture::kTolerance, "d_src");
        expect_close(doubles(layer.d_weight), d_weight, 1e-5, "d_weight");
        expect_close(doubles(layer.d_bias), d_bias, 1e-5, "d_bias");
    }
}

TYPED_TEST(BatchNormTest, makes_again_what_it_made_and_touches_no_running_statistics) {
    for (const bool relu : {false, true}) {
        const BatchNormParams params{1e-5, 0.1, relu};
        BatchNormLayer<TypeParam> layer({2, 9, 11, 20}, false);
        for (const int threads : {1, 3}) {
            Workers workers(threads);
            layer.forward(workers, params);
            const BatchNormLayer<TypeParam> after = layer;
            OwnedTensor<TypeParam> again(layer.dst.shape());
            batch_norm_again<TypeParam>(workers, std::as_const(layer.src).view(), layer.channels(), again.view(),
                                        params);
            testing::expect_same(again, layer.dst, "made again");
            layer.expect_same_as(after, "everything else");
        }
    }
}

TEST(BatchNorm, d_src_or_d_residual_may_take_the_place_of_d_dst) {
    const BatchNormParams params{1e-5, 0.1, true};
    BatchNormLayer<float> apart({2, 5, 7, 20}, true);
    BatchNormLayer<float> shared({2, 5, 7, 20}, true);
    Workers workers(2);
    apart.forward(workers, params);
    shared.forward(workers, params);
    apart.backward(workers, params);
    auto gradients = shared.gradients();
    gradients.d_src = shared.d_dst.view();
    shared.backward(workers, params, gradients);
    expect_same(shared.d_dst, apart.d_src, "d_src in d_dst");
    shared.d_dst = apart.d_dst;
    gradients = shared.gradients();
    gradients.d_residual = shared.d_dst.view();
    shared.backward(workers, params, gradients);
    expect_same(shared.d_dst, apart.d_residual, "d_residual in d_dst");
    expect_same(shared.d_src, apart.d_src, "d_src");
}

TEST(BatchNorm, nan_reaches_every_pixel_of_its_channel_and_no_other) {
    BatchNormLayer<float> layer({1, 3, 3, 2}, false);
    layer.src.set(0, 1, 1, 0, std::numeric_limits<float>::quiet_NaN());
    Workers workers(1);
    layer.forward(workers, {1e-5, 0.1, true});
    for (int64_t p = 0; p < 9; ++p) {
        EXPECT_TRUE(std::isnan(layer.dst[2 * p]));
        EXPECT_FALSE(std::isnan(layer.dst[2 * p + 1]));
    }
}

TEST(BatchNorm, refuses_one_pixel_and_shapes_that_do_not_belong_together) {
    Workers workers(1);
    BatchNormLayer<float> single({1, 1, 1, 4}, false);
    EXPECT_THROW(single.forward(workers, {}), ContractError);
    BatchNormLayer<float> layer({1, 2, 2, 4}, false);
    layer.weight = random_tensor<float>({3, 1, 1, 1}, 1);
    EXPECT_THROW(layer.forward(workers, {}), ContractError);
    BatchNormLayer<float> overlapping({1, 2, 2, 4}, true);
    auto gradients = overlapping.gradients();
    gradients.d_residual = gradients.d_src;
    EXPECT_THROW(overlapping.backward(workers, {}, gradients), ContractError);
}

}  // namespace
}  // namespace boneage

#include "kernels/nn/loss.h"

#include "kernels/base/error.h"
#include "kernels/nn/loss_math.h"
#include "tests/support/tensors.h"

#include <limits>

namespace boneage {
namespace {

using testing::expect_close;
using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

OwnedTensor<float> tensor_of(const std::vector<float>& values) {
    OwnedTensor<float> tensor({static_cast<int64_t>(values.size()), 1, 1, 1});
    std::copy(values.begin(), values.end(), tensor.tensor().data);
    return tensor;
}

// Distance of `got` from `want` in units of want's last place as a float.
double units_off(float got, double want) {
    const auto nearest = static_cast<float>(want);
    const double unit = static_cast<double>(std::nextafter(nearest, std::numeric_limits<float>::infinity()) - nearest);
    return std::abs(static_cast<double>(got) - want) / unit;
}

TEST(LossMath, exponential_and_logarithm_are_within_2_units_in_the_last_place) {
    for (int step = 0; step < 63'503; ++step) {
        const auto argument = static_cast<float>(-0.00137 * step);
        const double want = std::exp(static_cast<double>(argument));
        ASSERT_LE(units_off(exp_of_negative(argument), want), 2) << "exp(" << argument << ")";
        ASSERT_LE(units_off(log_of_one_plus(static_cast<float>(want)),
                            std::log1p(static_cast<double>(static_cast<float>(want)))),
                  2)
            << "log(1 + " << want << ")";
    }
    EXPECT_EQ(exp_of_negative(0.0F), 1.0F);
    EXPECT_EQ(log_of_one_plus(0.0F), 0.0F);
    EXPECT_LE(units_off(log_of_one_plus(1.0F), std::log(2.0)), 2);
    for (const float x : {-87.5F, -1e9F, -std::numeric_limits<float>::infinity()}) {
        EXPECT_GT(exp_of_negative(x), 0) << x;
        EXPECT_LT(exp_of_negative(x), 2e-38) << x;
    }
    EXPECT_TRUE(std::isnan(exp_of_negative(std::numeric_limits<float>::quiet_NaN())));
}

struct AbsoluteError {
    OwnedTensor<float> loss{{1, 1, 1, 1}};
    OwnedTensor<float> gradient;
};

AbsoluteError absolute_error_of(const OwnedTensor<float>& p, const OwnedTensor<float>& t, const OwnedTensor<float>& w) {
    Workers workers(2);
    AbsoluteError result{.gradient = OwnedTensor<float>(p.shape())};
    absolute_error_loss(workers, p.tensor(), t.tensor(), w.tensor(), result.loss.tensor(), result.gradient.tensor());
    return result;
}

TEST(AbsoluteErrorLoss, is_the_weighted_mean_distance_with_the_sign_as_gradient) {
    const auto got =
        absolute_error_of(tensor_of({10, 20, 30, 40}), tensor_of({12, 20, 25, 40.5F}), tensor_of({1, 5, 2, 0}));
    EXPECT_EQ(got.loss[0], (2 * 1 + 5 * 2) / 8.0F);
    expect_same(got.gradient, tensor_of({-1 / 8.0F, 0, 2 / 8.0F, 0}), "gradient");
}

TEST(AbsoluteErrorLoss, equals_double_on_more_terms_than_lanes) {
    const int64_t n = 1000;
    const auto p = random_tensor<float>({n, 1, 1, 1}, 1);
    const auto t = random_tensor<float>({n, 1, 1, 1}, 2);
    auto w = random_tensor<float>({n, 1, 1, 1}, 3);
    double distance = 0;
    double weights = 0;
    for (int64_t i = 0; i < n; ++i) {
        w[i] = std::abs(w[i]);
        distance += static_cast<double>(w[i]) * std::abs(static_cast<double>(p[i]) - static_cast<double>(t[i]));
        weights += static_cast<double>(w[i]);
    }
    const auto got = absolute_error_of(p, t, w);
    EXPECT_NEAR(got.loss[0], distance / weights, 1e-7);
    for (int64_t i = 0; i < n; ++i) {
        const double share = static_cast<double>(w[i]) / weights;
        ASSERT_NEAR(got.gradient[i], p[i] > t[i] ? share : -share, 1e-9);
    }
}

TEST(AbsoluteErrorLoss, no_weight_means_nothing_to_learn_and_nan_shows) {
    const auto none = absolute_error_of(tensor_of({1, 2}), tensor_of({3, 4}), tensor_of({0, 0}));
    EXPECT_EQ(none.loss[0], 0);
    expect_same(none.gradient, tensor_of({0, 0}), "gradient");
    const auto broken = absolute_error_of(tensor_of({1, std::numeric_limits<float>::quiet_NaN()}), tensor_of({3, 4}),
                                          tensor_of({1, 1}));
    EXPECT_TRUE(std::isnan(broken.loss[0]));
    EXPECT_THROW(absolute_error_of(tensor_of({1, 2}), tensor_of({3}), tensor_of({1, 1})), ContractError);
}

// Logits in [-6, 6), targets of 0, 1 and what lies between.
template <class T>
struct Masks {
    OwnedTensor<T> logits;
    OwnedTensor<float> targets;

    explicit Masks(const std::array<int64_t, 4>& shape)
        : logits(random_tensor<T>(shape, 1)), targets(random_tensor<float>(shape, 2)) {
        for (int64_t i = 0; i < logits.size(); ++i) {
            logits[i] = testing::as(6 * to_float(logits[i]), T{});
            targets[i] = std::clamp(2 * targets[i], 0.0F, 1.0F);
        }
    }
};

struct NaiveLoss {
    double total, cross_entropy, dice;
};

// The contract's formulas in double, but for the shortcut that keeps them from overflowing.
NaiveLoss naive_loss(const std::vector<double>& logits, const OwnedTensor<float>& targets,
                     const SegmentationLossParams& params) {
    const auto images = static_cast<size_t>(targets.shape()[0]);
    const size_t pixels = logits.size() / images;
    NaiveLoss loss{};
    for (size_t image = 0; image < images; ++image) {
        double both = 0;
        double sum = 0;
        for (size_t i = image * pixels; i < (image + 1) * pixels; ++i) {
            const double t = static_cast<double>(targets[static_cast<int64_t>(i)]);
            const double p = 1 / (1 + std::exp(-logits[i]));
            loss.cross_entropy -= (t * std::log(p) + (1 - t) * std::log1p(-p)) / static_cast<double>(images * pixels);
            both += p * t;
            sum += p + t;
        }
        const double smooth = static_cast<double>(params.smooth);
        loss.dice += (1 - (2 * both + smooth) / (sum + smooth)) / static_cast<double>(images);
    }
    loss.total = static_cast<double>(params.cross_entropy_weight) * loss.cross_entropy +
                 static_cast<double>(params.dice_weight) * loss.dice;
    return loss;
}

template <class T>
struct Segmentation {
    SegmentationLoss loss{};
    OwnedTensor<T> gradient;
};

template <class T>
Segmentation<T> segmentation_of(int threads, const Masks<T>& masks, const SegmentationLossParams& params) {
    Workers workers(threads);
    HostScratch scratch;
    const auto& shape = masks.logits.shape();
    Segmentation<T> result{.gradient = OwnedTensor<T>(shape)};
    segmentation_loss<T>(workers, masks.logits.view(), masks.targets.view(), params, {&result.loss, 1},
                         result.gradient.view(),
                         scratch.bytes(segmentation_loss_scratch_bytes(shape[0], shape[1] * shape[2])));
    return result;
}

template <class T>
class SegmentationLossTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(SegmentationLossTest, ElementTypes);

TYPED_TEST(SegmentationLossTest, terms_equal_their_definition_in_double) {
    for (const auto& shape : {std::array<int64_t, 4>{1, 1, 1, 1}, {3, 5, 7, 1}, {2, 16, 16, 1}, {2, 97, 101, 1}}) {
        for (const SegmentationLossParams& params :
             {SegmentationLossParams{}, SegmentationLossParams{0.25F, 2, 0.5F}}) {
            const Masks<TypeParam> masks(shape);
            std::vector<double> logits;
            for (int64_t i = 0; i < masks.logits.size(); ++i) {
                logits.push_back(static_cast<double>(to_float(masks.logits[i])));
            }
            const NaiveLoss want = naive_loss(logits, masks.targets, params);
            const SegmentationLoss got = segmentation_of(2, masks, params).loss;
            EXPECT_NEAR(got.cross_entropy, want.cross_entropy, 3e-7 * want.cross_entropy);
            EXPECT_NEAR(got.dice, want.dice, 3e-7);
            EXPECT_NEAR(got.total, want.total, 3e-7 * want.total);
        }
    }
}

TEST(SegmentationLoss, gradient_equals_finite_differences_of_the_definition) {
    constexpr double kStep = 1e-5;
    const SegmentationLossParams params{0.5F, 2, 1};
    const Masks<float> masks({3, 5, 7, 1});
    std::vector<double> logits(masks.logits.tensor().data, masks.logits.tensor().data + masks.logits.size());
    std::vector<double> want;
    for (double& logit : logits) {
        const double saved = logit;
        logit = saved + kStep;
        const double above = naive_loss(logits, masks.targets, params).total;
        logit = saved - kStep;
        want.push_back((above - naive_loss(logits, masks.targets, params).total) / (2 * kStep));
        logit = saved;
    }
    const auto got = segmentation_of(1, masks, params).gradient;
    expect_close(std::vector<float>(got.tensor().data, got.tensor().data + got.size()), want, 2e-6, "d_logits");
}

TYPED_TEST(SegmentationLossTest, any_number_of_workers_gives_the_same_bits) {
    const Masks<TypeParam> masks({3, 97, 101, 1});
    const auto one = segmentation_of(1, masks, {});
    for (const int threads : {2, 5}) {
        const auto many = segmentation_of(threads, masks, {});
        EXPECT_EQ(many.loss.total, one.loss.total);
        EXPECT_EQ(many.loss.cross_entropy, one.loss.cross_entropy);
        EXPECT_EQ(many.loss.dice, one.loss.dice);
        expect_same(many.gradient, one.gradient, "gradient");
    }
}

TEST(SegmentationLoss, certain_logits_neither_overflow_nor_lose_their_gradient) {
    Masks<float> masks({1, 2, 2, 1});
    const float logits[] = {1000, -1000, 1000, -1000};
    const float targets[] = {1, 0, 0, 1};
    for (int64_t i = 0; i < 4; ++i) {
        masks.logits[i] = logits[i];
        masks.targets[i] = targets[i];
    }
    const auto got = segmentation_of(1, masks, {1, 0, 1});
    EXPECT_EQ(got.loss.cross_entropy, 500);  // two right for nothing, two wrong by 1000 each
    const float want[] = {0, 0, 0.25F, -0.25F};
    for (int64_t i = 0; i < 4; ++i) {
        EXPECT_NEAR(got.gradient[i], want[i], 1e-7) << i;
    }
}

TEST(SegmentationLoss, an_empty_mask_well_predicted_costs_no_dice) {
    Masks<float> masks({2, 8, 8, 1});
    for (int64_t i = 0; i < masks.logits.size(); ++i) {
        masks.logits[i] = -50;
        masks.targets[i] = 0;
    }
    EXPECT_NEAR(segmentation_of(1, masks, {}).loss.dice, 0, 1e-6);
}

TEST(SegmentationLoss, refuses_several_channels_and_no_smoothing) {
    EXPECT_THROW(segmentation_of(1, Masks<float>({1, 2, 2, 2}), {}), ContractError);
    EXPECT_THROW(segmentation_of(1, Masks<float>({1, 2, 2, 1}), {1, 1, 0}), ContractError);
}

}  // namespace
}  // namespace boneage

#include "kernels/nn/gradient_norm.h"

#include "kernels/base/error.h"
#include "tests/support/tensors.h"

namespace boneage {
namespace {

using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

OwnedTensor<float> tensor_of(const std::vector<float>& values) {
    OwnedTensor<float> tensor({static_cast<int64_t>(values.size()), 1, 1, 1});
    std::copy(values.begin(), values.end(), tensor.tensor().data);
    return tensor;
}

GradientNorm clip(OwnedTensor<float>& gradients, double max_norm, int threads = 1) {
    Workers workers(threads);
    HostScratch scratch;
    GradientNorm norm{};
    clip_gradients(workers, gradients.tensor(), max_norm, {&norm, 1},
                   scratch.bytes(clip_gradients_scratch_bytes(gradients.size())));
    return norm;
}

// One element, ends of rows and chunks, and more chunks than there are lanes for them.
TEST(ClipGradients, norm_and_clipped_gradients_equal_double) {
    for (const int64_t size : {1, 5, 1023, 1025, 16384, 100003, 257 * 16384 + 1}) {
        auto gradients = random_tensor<float>({size, 1, 1, 1}, 1);
        long double sum = 0;
        std::vector<double> want;
        for (int64_t i = 0; i < size; ++i) {
            want.push_back(static_cast<double>(gradients[i]));
            sum += static_cast<long double>(want.back()) * static_cast<long double>(want.back());
        }
        const auto norm = static_cast<double>(std::sqrt(sum));
        const double factor = 0.25 * norm / (norm + 1e-6);
        for (double& g : want) {
            g *= factor;
        }
        const GradientNorm got = clip(gradients, 0.25 * norm, 2);
        EXPECT_NEAR(got.norm, norm, 6e-8 * norm) << size;  // one rounding
        EXPECT_NEAR(got.factor, factor, 6e-8 * factor) << size;
        const float* data = gradients.tensor().data;
        testing::expect_close(std::vector<float>(data, data + size), want, 2e-7, "gradients");
    }
}

TEST(ClipGradients, a_norm_up_to_the_longest_leaves_every_bit) {
    const auto start = tensor_of({3, -4});
    for (const double max_norm : {5.001, 100.0, static_cast<double>(kInfinity)}) {
        auto gradients = tensor_of({3, -4});
        const GradientNorm got = clip(gradients, max_norm);
        EXPECT_EQ(got.norm, 5);
        EXPECT_EQ(got.factor, 1);
        expect_same(gradients, start, "gradients");
    }
    auto gradients = tensor_of({3, -4});
    EXPECT_NEAR(clip(gradients, 0.5).factor, 0.1, 1e-7);
    EXPECT_NEAR(gradients[0], 0.3, 1e-6);
    EXPECT_NEAR(gradients[1], -0.4, 1e-6);
}

TEST(ClipGradients, what_is_not_finite_is_reported_and_left_alone) {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    for (const float broken : {kNan, kInfinity, -kInfinity}) {
        auto gradients = tensor_of({3, broken, -4});
        const GradientNorm got = clip(gradients, 0.5);
        EXPECT_FALSE(std::isfinite(got.norm));
        EXPECT_EQ(std::isnan(got.norm), std::isnan(broken));
        EXPECT_EQ(got.factor, 1);
        expect_same(gradients, tensor_of({3, broken, -4}), "gradients");
    }
    constexpr float kMost = std::numeric_limits<float>::max();
    auto beyond = tensor_of({kMost, kMost});
    EXPECT_EQ(clip(beyond, 0.5).norm, kInfinity);
    expect_same(beyond, tensor_of({kMost, kMost}), "gradients");
}

TEST(ClipGradients, squares_that_float32_could_not_hold_are_summed) {
    for (const float size : {1e30F, 1e-30F}) {
        auto gradients = tensor_of({3 * size, 4 * size});
        EXPECT_NEAR(clip(gradients, 1e38).norm / size, 5, 1e-6);
    }
}

TEST(ClipGradients, any_number_of_workers_gives_the_same_bits) {
    auto one = random_tensor<float>({300007, 1, 1, 1}, 3);
    const GradientNorm want = clip(one, 1);
    for (const int threads : {2, 5}) {
        auto many = random_tensor<float>({300007, 1, 1, 1}, 3);
        const GradientNorm got = clip(many, 1, threads);
        EXPECT_EQ(got.norm, want.norm);
        EXPECT_EQ(got.factor, want.factor);
        expect_same(many, one, "gradients");
    }
}

TEST(ClipGradients, nothing_has_norm_0_and_a_limit_must_be_above_0) {
    auto none = tensor_of({});
    EXPECT_EQ(clip(none, 1).norm, 0);
    EXPECT_EQ(clip(none, 1).factor, 1);
    auto zeros = tensor_of({0, 0});
    EXPECT_EQ(clip(zeros, 1).norm, 0);
    EXPECT_EQ(zeros[0], 0);
    EXPECT_THROW(clip(zeros, 0), ContractError);
    EXPECT_THROW(clip(zeros, std::numeric_limits<double>::quiet_NaN()), ContractError);
}

}  // namespace
}  // namespace boneage

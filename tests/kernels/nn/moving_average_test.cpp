#include "kernels/nn/moving_average.h"

#include "kernels/base/error.h"
#include "tests/support/tensors.h"

namespace boneage {
namespace {

using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

void step(OwnedTensor<float>& average, const OwnedTensor<float>& values, float decay, int threads = 1) {
    Workers workers(threads);
    moving_average(workers, {&decay, 1}, values.tensor(), average.tensor());
}

TEST(MovingAverage, a_hundred_steps_stay_with_double) {
    constexpr int64_t kSize = 40003;
    auto average = random_tensor<float>({kSize, 1, 1, 1}, 1);
    std::vector<double> want(average.tensor().data, average.tensor().data + kSize);
    for (int i = 0; i < 100; ++i) {
        const auto values = random_tensor<float>({kSize, 1, 1, 1}, static_cast<uint64_t>(i) + 10);
        const float decay = i < 10 ? 0.5F : 0.95F;
        step(average, values, decay, 2);
        for (size_t k = 0; k < want.size(); ++k) {
            const auto share = static_cast<double>(decay);
            want[k] = share * want[k] + (1 - share) * static_cast<double>(values[static_cast<int64_t>(k)]);
        }
    }
    testing::expect_close(std::vector<float>(average.tensor().data, average.tensor().data + kSize), want, 1e-6,
                          "average");
}

TEST(MovingAverage, decay_0_copies_and_decay_1_keeps) {
    const auto values = random_tensor<float>({1001, 1, 1, 1}, 1);
    auto average = random_tensor<float>({1001, 1, 1, 1}, 2);
    step(average, values, 1);
    expect_same(average, random_tensor<float>({1001, 1, 1, 1}, 2), "decay 1");
    step(average, values, 0);
    expect_same(average, values, "decay 0");
}

TEST(MovingAverage, refuses_sizes_that_do_not_belong_together) {
    auto average = random_tensor<float>({10, 1, 1, 1}, 2);
    EXPECT_THROW(step(average, random_tensor<float>({11, 1, 1, 1}, 1), 0), ContractError);
}

}  // namespace
}  // namespace boneage

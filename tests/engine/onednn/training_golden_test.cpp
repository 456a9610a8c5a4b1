// Ten steps of training against PyTorch's.
#include "engine/onednn/training_backend.h"
#include "engine/plan/training_executor.h"
#include "tests/support/training_goldens.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace boneage::onednn {
namespace {

using testing::GoldenTensor;
using testing::TrainingGolden;

constexpr double kTolerance = 1e-4;  // of the tensor's largest element
constexpr double kSteps = 10;

void expect_tensor(const std::vector<float>& got, const GoldenTensor& golden, double allowed, const std::string& what) {
    ASSERT_FALSE(golden.indices.empty()) << what << ": nothing was compared";
    for (size_t i = 0; i < golden.indices.size(); ++i) {
        const double value = got.at(static_cast<size_t>(golden.indices[i]));
        ASSERT_TRUE(std::abs(value - golden.values[i]) <= allowed)  // false for NaN
            << what << ": element " << golden.indices[i] << " is " << value << ", PyTorch has " << golden.values[i]
            << " and " << golden.largest << " as its largest; allowed are " << allowed;
    }
}

TEST(TrainingGolden, ten_steps_go_where_pytorchs_go) {
    const std::vector<TrainingGolden> goldens = testing::training_goldens();
    ASSERT_EQ(goldens.size(), 2U);
    for (const TrainingGolden& golden : goldens) {
        const auto backend = make_training_backend(2);
        plan::TrainingOptions options = golden.options;
        options.traits = backend->traits();
        plan::TrainingExecutor executor(plan::lower_training(golden.graph, options), *backend,
                                        testing::training_start(golden.graph));
        ASSERT_EQ(golden.gradients.size(), executor.plan().parameters.size()) << golden.name;
        ASSERT_EQ(golden.statistics.size(), executor.plan().statistics.size()) << golden.name;
        ASSERT_EQ(golden.losses.size(), static_cast<size_t>(kSteps)) << golden.name;
        for (size_t step = 0; step < golden.losses.size(); ++step) {
            for (const auto& [name, values] : golden.inputs) {
                std::ranges::copy(values, executor.input(name).begin());
            }
            executor.run();
            EXPECT_NEAR(executor.loss().total, golden.losses[step], 1e-5 * golden.losses[step])
                << golden.name << ", step " << step;
            if (step == 0) {
                for (const auto& [name, tensor] : golden.gradients) {
                    expect_tensor(executor.gradient(name), tensor, kTolerance * tensor.largest,
                                  golden.name + ", gradient of " + name);
                }
            }
            executor.optimise({.learning_rate = golden.learning_rate});
        }
        EXPECT_GE(golden.weights.size(), golden.gradients.size() * 9 / 10) << golden.name;
        for (const auto& [name, tensor] : golden.weights) {
            // Adam moves a weight by the learning rate a step at most, or nearly so: of that, a hundredth. It is less
            // than 1e-4 of the largest weight but for tensors of very small ones.
            const double of_way = 1e-2 * kSteps * golden.learning_rate;
            expect_tensor(executor.parameter(name), tensor, std::min(kTolerance * tensor.largest, of_way),
                          golden.name + ", " + name);
        }
        for (const auto& [name, tensor] : golden.statistics) {
            expect_tensor(executor.parameter(name), tensor, kTolerance * tensor.largest, golden.name + ", " + name);
        }
        for (const std::string& counter : executor.plan().counters) {
            EXPECT_EQ(executor.parameter(counter), std::vector<float>{10}) << golden.name << ", " << counter;
        }
    }
}

}  // namespace
}  // namespace boneage::onednn

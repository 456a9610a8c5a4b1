// Gradients of training plans against central differences of a loss computed with no plan.
#include "tests/support/exact_training.h"
#include "tests/support/naive_training_backend.h"
#include "tests/support/plan_runs.h"
#include "tests/support/random_graph.h"

#include <gtest/gtest.h>

namespace boneage::plan {
namespace {

using testing::NaiveTrainingBackend;
using testing::TrainingCase;

class Gradients : public ::testing::TestWithParam<TrainingCase> {};

TEST_P(Gradients, are_the_slopes_of_the_loss_whatever_the_back_end_can) {
    for (const bool conv_accumulates : {false, true}) {
        for (const bool host_addressable : {false, true}) {
            TrainingCase c = GetParam();
            NaiveTrainingBackend backend({conv_accumulates}, host_addressable);
            c.options.traits = backend.traits();
            TrainingExecutor executor(lower_training(c.graph, c.options), backend, testing::source_of(c.parameters));
            testing::run_twice(executor, c);
            testing::expect_gradients(executor, c, 3,
                                      c.name + (conv_accumulates ? ", convolutions accumulate" : "") +
                                          (host_addressable ? ", host memory" : ", far memory"));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Networks, Gradients, ::testing::ValuesIn(testing::small_training_cases()),
                         [](const auto& tested) { return tested.param.name; });

TEST(Gradients, are_the_slopes_of_the_loss_for_random_networks) {
    for (uint64_t seed = 0; seed < 36; ++seed) {
        const Loss loss = seed % 2 == 0 ? Loss::absolute_error : Loss::segmentation;
        TrainingOptions options{.batch = 3, .height = 8, .width = 12, .loss = loss};
        NaiveTrainingBackend backend({.conv_accumulates = seed % 4 >= 2}, seed % 3 != 0);
        options.traits = backend.traits();
        const TrainingCase c =
            testing::training_case("seed " + std::to_string(seed),
                                   loss == Loss::absolute_error ? testing::random_age_graph(seed, 8, 12)
                                                                : testing::random_mask_graph(seed, 8, 12),
                                   options, seed);
        TrainingExecutor executor(lower_training(c.graph, c.options), backend, testing::source_of(c.parameters));
        testing::run_twice(executor, c);
        testing::expect_gradients(executor, c, 1, c.name);
    }
}

}  // namespace
}  // namespace boneage::plan

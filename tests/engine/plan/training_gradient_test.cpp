// Gradients of training plans against central differences of a loss computed with no plan.
#include "tests/support/exact_training.h"
#include "tests/support/naive_training_backend.h"
#include "tests/support/plan_runs.h"
#include "tests/support/random_graph.h"

#include <gtest/gtest.h>

namespace boneage::plan {
namespace {

using testing::NaiveTrainingBackend;
using testing::training_case;
using testing::TrainingCase;

std::vector<TrainingCase> cases() {
    std::vector<TrainingCase> all;
    const TrainingOptions masks{.batch = 2, .height = 8, .width = 12, .loss = Loss::segmentation};
    all.push_back(training_case("unet_of_depth_1", net::unet({.channels = 1, .depth = 1, .base_width = 3}), masks, 1));
    all.push_back(training_case("unet_of_depth_2", net::unet({.channels = 2, .depth = 2, .base_width = 4}), masks, 2));
    all.push_back(training_case("unet_of_depth_0", net::unet({.channels = 3, .depth = 0, .base_width = 5}), masks, 3));
    const TrainingOptions ages{.batch = 3, .height = 8, .width = 12};
    all.push_back(training_case("small_residual_network", testing::small_residual_network(), ages, 4));
    return all;
}

// Twice: nothing of the first run may be left in the second's gradients.
void run_twice(TrainingExecutor& executor, const TrainingCase& c) {
    for (int run = 0; run < 2; ++run) {
        testing::fill(executor, c);
        executor.run();
    }
}

class Gradients : public ::testing::TestWithParam<TrainingCase> {};

TEST_P(Gradients, are_the_slopes_of_the_loss_whatever_the_back_end_can) {
    for (const bool conv_accumulates : {false, true}) {
        for (const bool host_addressable : {false, true}) {
            TrainingCase c = GetParam();
            NaiveTrainingBackend backend({conv_accumulates}, host_addressable);
            c.options.traits = backend.traits();
            TrainingExecutor executor(lower_training(c.graph, c.options), backend, testing::source_of(c.parameters));
            run_twice(executor, c);
            testing::expect_gradients(executor, c, 3,
                                      c.name + (conv_accumulates ? ", convolutions accumulate" : "") +
                                          (host_addressable ? ", host memory" : ", far memory"));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Networks, Gradients, ::testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.name; });

TEST(Gradients, are_the_slopes_of_the_loss_for_random_networks) {
    for (uint64_t seed = 0; seed < 120; ++seed) {
        const Loss loss = seed % 2 == 0 ? Loss::absolute_error : Loss::segmentation;
        TrainingOptions options{.batch = 3, .height = 8, .width = 12, .loss = loss};
        NaiveTrainingBackend backend({.conv_accumulates = seed % 4 >= 2}, seed % 3 != 0);
        options.traits = backend.traits();
        const TrainingCase c = training_case("seed " + std::to_string(seed),
                                             loss == Loss::absolute_error ? testing::random_age_graph(seed, 8, 12)
                                                                          : testing::random_mask_graph(seed, 8, 12),
                                             options, seed);
        TrainingExecutor executor(lower_training(c.graph, c.options), backend, testing::source_of(c.parameters));
        run_twice(executor, c);
        testing::expect_gradients(executor, c, 1, c.name);
    }
}

}  // namespace
}  // namespace boneage::plan

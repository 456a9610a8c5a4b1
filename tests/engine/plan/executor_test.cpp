#include "engine/plan/executor.h"

#include "kernels/base/error.h"
#include "tests/support/folder.h"
#include "tests/support/naive_backend.h"
#include "tests/support/plan_runs.h"
#include "tests/support/random_graph.h"

#include <limits>

namespace boneage::plan {
namespace {

using testing::evaluate;
using testing::expect_values;
using testing::fill;
using testing::Inputs;
using testing::NaiveBackend;
using testing::Parameters;
using testing::random_inputs;
using testing::random_values;
using testing::source_of;

// All combinations of what a back end may say of itself.
std::vector<Traits> all_traits() {
    std::vector<Traits> all;
    for (int bits = 0; bits < 32; ++bits) {
        all.push_back({(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0 ? 8 : 1});
    }
    return all;
}

TEST(Executor, gives_what_the_graph_says_whatever_the_back_end_can) {
    for (uint64_t seed = 0; seed < 320; ++seed) {
        const net::Graph graph = testing::random_graph(seed, 8, 12);
        const Parameters parameters = testing::random_parameters(graph, seed);
        NaiveBackend backend(all_traits()[seed % 32], seed % 3 != 0);
        Options options{.batch = 1 + static_cast<int64_t>(seed % 2), .height = 8, .width = 12};
        options.traits = backend.traits();
        options.keep.push_back(graph.values[seed % graph.values.size()].name);
        const Inputs inputs = random_inputs(graph, options, seed);

        Executor executor(lower(graph, options), backend, source_of(parameters));
        fill(executor, inputs);
        executor.run();
        expect_values(executor, evaluate(graph, options.batch, 8, 12, parameters, inputs), 1e-5,
                      "seed " + std::to_string(seed));
    }
}

TEST(Executor, reruns_what_depends_on_one_input_and_keeps_the_rest) {
    int with_rerun = 0;
    for (uint64_t seed = 0; seed < 160; ++seed) {
        const net::Graph graph = testing::random_graph(seed, 8, 8);
        const Parameters parameters = testing::random_parameters(graph, seed);
        NaiveBackend backend(all_traits()[seed % 32], seed % 3 != 0);
        Options options{.batch = 2, .height = 8, .width = 8};
        options.traits = backend.traits();
        for (const net::Input& input : graph.inputs) {
            options.rerun.push_back(graph.values[static_cast<size_t>(input.value)].name);
        }
        options.keep.push_back(graph.values[seed % graph.values.size()].name);
        Inputs inputs = random_inputs(graph, options, seed);

        Executor executor(lower(graph, options), backend, source_of(parameters));
        fill(executor, inputs);
        executor.run();
        for (uint64_t again = 1; again <= 4; ++again) {
            const std::string& name = options.rerun[again % options.rerun.size()];
            inputs[name] = random_values(static_cast<int64_t>(inputs[name].size()), seed + 1000 * again);
            std::ranges::copy(inputs[name], executor.input(name).begin());
            executor.rerun(name);
            expect_values(executor, evaluate(graph, 2, 8, 8, parameters, inputs), 1e-5,
                          "seed " + std::to_string(seed) + ", rerun " + std::to_string(again));
            ++with_rerun;
        }
    }
    EXPECT_GT(with_rerun, 0);
}

class HalfExecutor : public ::testing::TestWithParam<Precision> {};
INSTANTIATE_TEST_SUITE_P(Types, HalfExecutor, ::testing::Values(Precision::bf16, Precision::f16),
                         [](const auto& tested) { return tested.param == Precision::bf16 ? "bf16" : "f16"; });

TEST_P(HalfExecutor, stays_near_the_exact_answer_and_answers_in_float32) {
    const double tolerance = GetParam() == Precision::bf16 ? 0.05 : 0.007;  // 8 and 11 bits
    for (uint64_t seed = 0; seed < 96; ++seed) {
        const net::Graph graph = testing::random_graph(seed, 8, 8);
        const Parameters parameters = testing::random_parameters(graph, seed);
        NaiveBackend backend(all_traits()[seed % 32]);
        Options options{.height = 8, .width = 8, .precision = GetParam()};
        options.traits = backend.traits();
        const Inputs inputs = random_inputs(graph, options, seed);
        Executor executor(lower(graph, options), backend, source_of(parameters));
        fill(executor, inputs);
        executor.run();
        expect_values(executor, evaluate(graph, 1, 8, 8, parameters, inputs), tolerance,
                      "seed " + std::to_string(seed));
    }
}

TEST(Executor, scores_both_sexes_with_one_trunk_pass) {
    const net::Graph graph = net::resnet34({.channels = 1, .base_width = 16, .sex_input = true, .hidden = 16});
    const Parameters parameters = testing::random_parameters(graph, 3);
    NaiveBackend backend({.residual_in_place = true});
    Options options{.batch = 1, .height = 32, .width = 32, .keep = {"features"}, .rerun = {"sex"}};
    options.traits = backend.traits();
    Inputs inputs = random_inputs(graph, options, 1);
    inputs["sex"] = {1.0F};

    Executor executor(lower(graph, options), backend, source_of(parameters));
    EXPECT_EQ(executor.plan().reruns.at("sex").size(), 3U);
    fill(executor, inputs);
    executor.run();
    expect_values(executor, evaluate(graph, 1, 32, 32, parameters, inputs), 1e-5, "male");
    inputs["sex"] = {-1.0F};
    executor.input("sex")[0] = -1.0F;
    executor.rerun("sex");
    expect_values(executor, evaluate(graph, 1, 32, 32, parameters, inputs), 1e-5, "female");
}

TEST(Executor, names_what_it_does_not_know) {
    const net::Graph graph = net::unet({.depth = 1, .base_width = 2});
    const Parameters parameters = testing::random_parameters(graph, 1);
    NaiveBackend backend;
    Executor executor(lower(graph, {.height = 4, .width = 4}), backend, source_of(parameters));
    EXPECT_THROW(executor.input("picture"), UsageError);
    EXPECT_THROW(std::ignore = executor.output("image"), UsageError);
    EXPECT_THROW(std::ignore = executor.read("enc0"), UsageError);
    EXPECT_THROW(executor.rerun("image"), UsageError);
    NaiveBackend other({.residual_in_place = true});
    EXPECT_THROW(Executor(lower(graph, {.height = 4, .width = 4}), other, source_of(parameters)), ContractError);
}

TEST(Executor, refuses_convolutions_with_weights_that_are_not_finite_and_names_them) {
    const net::Graph graph = net::unet({.channels = 1, .depth = 1, .base_width = 8});
    const Parameters sound = testing::random_parameters(graph, 5);
    NaiveBackend backend;
    Options options{.height = 16, .width = 16};
    options.traits = backend.traits();
    // A convolution's own values, those of a norm that is folded into it, and a transposed convolution's.
    const std::vector<std::pair<std::string, std::string>> cases{{"enc0.conv2.weight", "enc0.conv2.weight"},
                                                                 {"enc0.bn2.running_mean", "enc0.conv2.weight"},
                                                                 {"head.bias", "head.weight"},
                                                                 {"up0.weight", "up0.weight"}};
    for (const auto& [broken, named] : cases) {
        Parameters parameters = sound;
        ASSERT_TRUE(parameters.contains(broken)) << broken;
        parameters[broken].back() = std::numeric_limits<float>::quiet_NaN();
        EXPECT_EQ(testing::error_of<UsageError>(
                      [&] { const Executor executor(lower(graph, options), backend, source_of(parameters)); }),
                  named + ", or what is folded into it, holds a value that is not finite");
    }
}

}  // namespace
}  // namespace boneage::plan

#include "engine/plan/training_executor.h"

#include "engine/net/builder.h"
#include "kernels/base/error.h"
#include "tests/support/exact_training.h"
#include "tests/support/naive_training_backend.h"
#include "tests/support/plan_runs.h"
#include "tests/support/random_graph.h"

#include <numeric>

namespace boneage::plan {
namespace {

using testing::NaiveTrainingBackend;
using testing::source_of;
using testing::training_case;
using testing::TrainingCase;

TrainingCase small_unet(int64_t batch = 2) {
    return training_case("unet", net::unet({.channels = 1, .depth = 1, .base_width = 3}),
                         {.batch = batch, .height = 8, .width = 8, .loss = Loss::segmentation}, 5);
}

void step(TrainingExecutor& executor, const TrainingCase& c) {
    testing::fill(executor, c);
    executor.run();
    executor.optimise({.learning_rate = 1e-2});
}

TEST(TrainingExecutor, bf16_takes_what_it_can_and_names_what_it_cannot) {
    int taken = 0;
    int refused = 0;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        TrainingOptions options{.batch = 3, .height = 8, .width = 12, .precision = Precision::bf16};
        options.traits.conv_accumulates = seed % 4 >= 2;
        options.loss = seed % 2 == 0 ? Loss::absolute_error : Loss::segmentation;
        const TrainingCase c =
            training_case("seed " + std::to_string(seed),
                          options.loss == Loss::absolute_error ? testing::random_age_graph(seed, 8, 12)
                                                               : testing::random_mask_graph(seed, 8, 12),
                          options, seed);
        TrainingPlan plan;
        try {
            plan = lower_training(c.graph, c.options);
        } catch (const UsageError& error) {
            EXPECT_NE(std::string(error.what()).find("training knows no"), std::string::npos) << error.what();
            ++refused;
            continue;
        }
        ++taken;
        NaiveTrainingBackend backend(options.traits, seed % 3 != 0);
        TrainingExecutor executor(std::move(plan), backend, source_of(c.parameters));
        testing::fill(executor, c);
        executor.run();
        for (const ParameterPlace& place : executor.plan().parameters) {
            for (const float value : executor.gradient(place.parameter.name)) {
                ASSERT_TRUE(std::isfinite(value)) << c.name << ", " << place.parameter.name;
            }
        }
        const double loss = testing::exact_loss(c, testing::exact(c.parameters));
        EXPECT_NEAR(executor.loss().total, loss, 0.05 * std::abs(loss)) << c.name;
    }
    EXPECT_GT(taken, 50);
    EXPECT_GT(refused, 5);
}

TEST(TrainingExecutor, recomputing_gives_the_same_bits) {
    int made_again = 0;
    for (uint64_t seed = 0; seed < 120; ++seed) {
        TrainingOptions options{.batch = 3, .height = 8, .width = 12};
        options.traits.conv_accumulates = seed % 4 >= 2;
        options.loss = seed % 2 == 0 ? Loss::absolute_error : Loss::segmentation;
        TrainingCase c = training_case("seed " + std::to_string(seed),
                                       options.loss == Loss::absolute_error ? testing::random_age_graph(seed, 8, 12)
                                                                            : testing::random_mask_graph(seed, 8, 12),
                                       options, seed);
        const auto gradients = [&](bool recompute) {
            c.options.recompute = recompute;
            NaiveTrainingBackend backend(options.traits, seed % 3 != 0);
            TrainingExecutor executor(lower_training(c.graph, c.options), backend, source_of(c.parameters));
            testing::fill(executor, c);
            executor.run();
            std::vector<float> all{executor.loss().total};
            for (const ParameterPlace& place : executor.plan().parameters) {
                const std::vector<float> gradient = executor.gradient(place.parameter.name);
                all.insert(all.end(), gradient.begin(), gradient.end());
            }
            made_again += static_cast<int>(std::ranges::count_if(executor.plan().steps, [](const auto& planned) {
                return std::holds_alternative<BatchNormAgain>(planned.step);
            }));
            return all;
        };
        EXPECT_EQ(gradients(true), gradients(false)) << c.name;
    }
    EXPECT_GT(made_again, 50);
}

// In bf16 a vector is float32 and an image of one pixel is not; both may meet in one concatenation.
TEST(TrainingExecutor, adds_gradients_of_one_type_to_those_of_another) {
    net::Builder net("mixed");
    net::ValueId x = net.conv_norm(net.input("image", 2, true), "a", "an", 4, 3, 1, net::Act::relu, "a");
    const net::ValueId vector = net.global_avg_pool(x, "average");
    x = net.max_pool(x, 8, 8, 0, "pooled");
    const net::ValueId both = net.concat({vector, x}, "both");  // float32, as its first part is
    const net::ValueId again = net.global_avg_pool(x, "again");
    net.output(net.linear(net.concat({both, again}, "all"), "fc", 1, net::Act::none, "age"));
    const net::Graph graph = net.take();
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
        const TrainingOptions options{.batch = 3, .height = 8, .width = 8, .precision = precision};
        const TrainingCase c = training_case("mixed", graph, options, 3);
        NaiveTrainingBackend backend;
        TrainingExecutor executor(lower_training(c.graph, c.options), backend, source_of(c.parameters));
        testing::fill(executor, c);
        executor.run();
        if (precision == Precision::f32) {
            testing::expect_gradients(executor, c, 3, "float32");
        } else {
            const double loss = testing::exact_loss(c, testing::exact(c.parameters));
            EXPECT_NEAR(executor.loss().total, loss, 0.02 * std::abs(loss));
            std::vector<double> direction;
            for (const float value : executor.gradient("a.weight")) {
                direction.push_back(value);
            }
            const double slope = testing::exact_slope(c, "a.weight", direction);
            const double squared = std::inner_product(direction.begin(), direction.end(), direction.begin(), 0.0);
            EXPECT_NEAR(squared, slope, 0.05 * slope);
        }
    }
}

TEST(TrainingExecutor, takes_an_output_that_others_read) {
    net::Builder net("read_on");
    net::ValueId x = net.conv_norm(net.input("image", 1, true), "a", "an", 4, 3, 1, net::Act::relu, "a");
    x = net.global_avg_pool(x, "average");
    const net::ValueId age = net.linear(x, "fc", 1, net::Act::none, "age");
    net.concat({x, age}, "unused");
    net.output(age);
    const TrainingCase c = training_case("read on", net.take(), {.batch = 3, .height = 6, .width = 6}, 3);
    NaiveTrainingBackend backend;
    TrainingExecutor executor(lower_training(c.graph, c.options), backend, source_of(c.parameters));
    testing::fill(executor, c);
    executor.run();
    testing::expect_gradients(executor, c, 3, c.name);
}

TEST(TrainingExecutor, gives_kept_values_and_the_output_as_the_graph_says) {
    TrainingCase c = small_unet();
    c.options.keep = {"enc0", "up0", "concat0", "image"};
    for (const bool host_addressable : {true, false}) {
        NaiveTrainingBackend backend({}, host_addressable);
        TrainingExecutor executor(lower_training(c.graph, c.options), backend, source_of(c.parameters));
        testing::fill(executor, c);
        executor.run();
        const auto want =
            testing::evaluate(c.graph, 2, 8, 8, testing::exact(c.parameters), c.inputs, testing::Norms::batch);
        for (const std::string& name : c.options.keep) {
            testing::expect_close(executor.read(name), want.at(name), 1e-5, name);
        }
        testing::expect_close(executor.output(), want.at("logits"), 1e-5, "logits");
        EXPECT_FLOAT_EQ(executor.loss().total, executor.loss().cross_entropy + executor.loss().dice);
    }
}

TEST(TrainingExecutor, resumed_from_its_states_goes_on_with_the_same_bits) {
    const TrainingCase c = small_unet();
    NaiveTrainingBackend backend;
    TrainingExecutor unbroken(lower_training(c.graph, c.options), backend, source_of(c.parameters));
    std::map<State, std::vector<float>> saved;
    for (int i = 0; i < 6; ++i) {
        if (i == 3) {
            for (const State state : unbroken.states()) {
                saved[state] = unbroken.state(state);
            }
        }
        step(unbroken, c);
    }
    NaiveTrainingBackend other_backend({}, false);
    TrainingExecutor resumed(lower_training(c.graph, c.options), other_backend, source_of(c.parameters));
    for (const State state : resumed.states()) {
        resumed.set_state(state, saved.at(state));
    }
    resumed.set_step(3);
    for (int i = 3; i < 6; ++i) {
        step(resumed, c);
    }
    for (const State state : resumed.states()) {
        EXPECT_EQ(resumed.state(state), unbroken.state(state)) << name_of(state);
        EXPECT_NE(saved.at(state), unbroken.state(state)) << name_of(state) << " does not move";
    }
    EXPECT_EQ(resumed.step(), 6);
    EXPECT_EQ(resumed.parameter("enc0.bn1.num_batches_tracked"), unbroken.parameter("enc0.bn1.num_batches_tracked"));
}

TEST(TrainingExecutor, counts_the_batches_that_norms_saw) {
    TrainingCase c = small_unet();
    c.parameters.at("enc0.bn1.num_batches_tracked") = {40};
    NaiveTrainingBackend backend;
    TrainingExecutor executor(lower_training(c.graph, c.options), backend, source_of(c.parameters));
    for (int i = 0; i < 3; ++i) {
        step(executor, c);
    }
    EXPECT_EQ(executor.parameter("enc0.bn1.num_batches_tracked"), std::vector<float>{43});
    EXPECT_EQ(executor.parameter("enc0.bn2.num_batches_tracked"), std::vector<float>{3});
    EXPECT_EQ(executor.step(), 3);
}

TEST(TrainingExecutor, moves_running_statistics_a_tenth_towards_the_batch_with_its_unbiased_variance) {
    TrainingCase c = small_unet();
    c.options.keep = {"image"};
    NaiveTrainingBackend backend;
    TrainingExecutor executor(lower_training(c.graph, c.options), backend, source_of(c.parameters));
    testing::fill(executor, c);
    executor.run();
    // The first convolution's answers: its network without the norm.
    net::Graph raw = c.graph;
    raw.ops.resize(1);
    auto& unit = std::get<net::ConvUnit>(raw.ops[0]);
    unit.norm.reset();
    unit.act = net::Act::none;
    const auto values =
        testing::evaluate(raw, 2, 8, 8, testing::exact(c.parameters), c.inputs, testing::Norms::batch).at("enc0.conv1");
    const size_t channels = 3;
    constexpr double count = 2 * 8 * 8;
    std::vector<double> means = testing::exact(c.parameters).at("enc0.bn1.running_mean");
    std::vector<double> variances = testing::exact(c.parameters).at("enc0.bn1.running_var");
    for (size_t k = 0; k < channels; ++k) {
        double sum = 0;
        double squares = 0;
        for (size_t i = k; i < values.size(); i += channels) {
            sum += values[i];
            squares += values[i] * values[i];
        }
        means[k] = 0.9 * means[k] + 0.1 * sum / count;
        variances[k] = 0.9 * variances[k] + 0.1 * (squares - sum * sum / count) / (count - 1);
    }
    testing::expect_close(executor.parameter("enc0.bn1.running_mean"), means, 1e-6, "means");
    testing::expect_close(executor.parameter("enc0.bn1.running_var"), variances, 1e-6, "variances");
}

TEST(TrainingExecutor, names_what_it_does_not_know) {
    const TrainingCase c = small_unet();
    NaiveTrainingBackend backend;
    TrainingExecutor executor(lower_training(c.graph, c.options), backend, source_of(c.parameters));
    EXPECT_THROW(executor.input("weights"), UsageError) << "masks have none";
    EXPECT_THROW(std::ignore = executor.place("sex"), UsageError);
    EXPECT_THROW(std::ignore = executor.read("enc0"), UsageError) << "not kept";
    EXPECT_THROW(std::ignore = executor.parameter("fc.weight"), UsageError);
    EXPECT_THROW(std::ignore = executor.gradient("enc0.bn1.running_mean"), UsageError);
    EXPECT_THROW(executor.set_state(State::parameters, std::vector<float>(3)), UsageError);
    NaiveTrainingBackend adding({.conv_accumulates = true});
    EXPECT_THROW(TrainingExecutor(lower_training(c.graph, c.options), adding, source_of(c.parameters)), ContractError);
}

}  // namespace
}  // namespace boneage::plan

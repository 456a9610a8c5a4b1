#include "engine/net/builder.h"
#include "engine/onednn/training_backend.h"
#include "kernels/base/error.h"
#include "tests/support/exact_training.h"
#include "tests/support/naive_training_backend.h"
#include "tests/support/plan_runs.h"
#include "tests/support/random_graph.h"

#include <map>
#include <memory>
#include <optional>

namespace boneage::onednn {
namespace {

using plan::Loss;
using plan::Precision;
using plan::State;
using plan::TrainingExecutor;
using plan::TrainingOptions;
using testing::NaiveTrainingBackend;
using testing::training_case;
using testing::TrainingCase;

// A case on a back end of its own.
class Training {
public:
    explicit Training(TrainingCase c, int threads = 2, Convolutions convolutions = Convolutions::direct)
        : Training(std::move(c), make_training_backend(threads, convolutions)) {}
    Training(TrainingCase c, std::unique_ptr<plan::TrainingBackend> backend)
        : case_(std::move(c)), backend_(std::move(backend)) {
        case_.options.traits = backend_->traits();
        executor_.emplace(plan::lower_training(case_.graph, case_.options), *backend_,
                          testing::source_of(case_.parameters));
    }
    TrainingExecutor& run() {
        testing::fill(*executor_, case_);
        executor_->run();
        return *executor_;
    }
    // The loss before each step.
    std::vector<float> steps(int count) {
        std::vector<float> losses;
        for (int i = 0; i < count; ++i) {
            losses.push_back(run().loss().total);
            executor_->optimise({.learning_rate = 1e-2});
        }
        return losses;
    }
    TrainingExecutor& executor() { return *executor_; }

private:
    TrainingCase case_;
    std::unique_ptr<plan::TrainingBackend> backend_;
    std::optional<TrainingExecutor> executor_;
};

TrainingCase resnet34(const TrainingOptions& options, int64_t base_width = 16) {
    TrainingCase c = training_case(
        "resnet34", net::resnet34({.channels = 1, .base_width = base_width, .sex_input = true, .hidden = 16}), options,
        5);
    // Residual branches begin small, as in practice: else the network is so steep that the last digit of a float32 sum
    // decides which way ReLUs of its last layers, of a few pixels each, fall.
    for (auto& [name, values] : c.parameters) {
        if (name.starts_with("layer") && name.ends_with("bn2.weight")) {
            for (float& value : values) {
                value *= 0.125F;
            }
        }
    }
    for (size_t i = 0; i < c.inputs.at("sex").size(); ++i) {
        c.inputs.at("sex")[i] = i % 3 == 0 ? 1.0F : -1.0F;
    }
    return c;
}

TrainingCase unet(const TrainingOptions& options) {
    return training_case("unet", net::unet({.channels = 1, .depth = 3, .base_width = 8}), options, 5);
}

const TrainingOptions kAges{.batch = 3, .height = 32, .width = 32};
const TrainingOptions kMasks{.batch = 3, .height = 32, .width = 48, .loss = Loss::segmentation};

std::vector<float> all_gradients(const TrainingExecutor& executor) {
    std::vector<float> all;
    for (const plan::ParameterPlace& place : executor.plan().parameters) {
        const std::vector<float> gradient = executor.gradient(place.parameter.name);
        all.insert(all.end(), gradient.begin(), gradient.end());
    }
    return all;
}

// Every element of every gradient. Those that cancel are bounded by the largest of the network, or by the loss's own
// slope, which is about 1 over all outputs.
void expect_same_gradients(const TrainingExecutor& got, const TrainingExecutor& want, double tolerance,
                           const std::string& what) {
    double largest = 0.1;
    for (const plan::ParameterPlace& place : want.plan().parameters) {
        for (const float value : want.gradient(place.parameter.name)) {
            largest = std::max(largest, std::abs(static_cast<double>(value)));
        }
    }
    for (const plan::ParameterPlace& place : want.plan().parameters) {
        const std::vector<float> a = got.gradient(place.parameter.name);
        const std::vector<float> b = want.gradient(place.parameter.name);
        double size = 1e-2 * largest;
        for (const float value : b) {
            size = std::max(size, std::abs(static_cast<double>(value)));
        }
        ASSERT_EQ(a.size(), b.size());
        for (size_t i = 0; i < a.size(); ++i) {
            ASSERT_TRUE(std::abs(static_cast<double>(a[i]) - b[i]) <= tolerance * size)  // false for NaN
                << what << ": " << place.parameter.name << ", element " << i << " is " << a[i] << ", plain loops give "
                << b[i] << "; tolerance " << tolerance * size;
        }
    }
}

TEST(OneDnnTraining, gives_the_slopes_of_the_loss) {
    for (const TrainingCase& c : testing::small_training_cases()) {
        for (const int threads : {1, 2}) {
            Training training(c, threads);
            training.run();
            testing::expect_gradients(training.run(), c, 3, c.name);
        }
    }
}

TEST(OneDnnTraining, gives_the_slopes_of_resnet34s_loss) {
    const TrainingCase c = resnet34(kAges);
    Training training(c);
    testing::expect_gradients(training.run(), c, 0, "resnet34", 8);
}

TEST(OneDnnTraining, gives_what_plain_loops_give_in_every_element) {
    for (const TrainingCase& c : {resnet34(kAges, 64), unet(kMasks)}) {
        Training training(c);
        Training naive(c, std::make_unique<NaiveTrainingBackend>());
        expect_same_gradients(training.run(), naive.run(), 1e-4, c.name);
        EXPECT_NEAR(training.executor().loss().total, naive.executor().loss().total,
                    1e-5 * naive.executor().loss().total);
    }
}

// Two 3x3 layers behind one that gives them channels enough for Winograd's way.
TrainingCase two_layers(int64_t channels, int64_t more_channels, int64_t height, int64_t width) {
    net::Builder net("layers");
    net::ValueId x = net.conv_norm(net.input("image", 1, true), "a", "an", channels, 1, 1, net::Act::none, "a");
    x = net.conv_norm(x, "b", "bn", more_channels, 3, 1, net::Act::none, "b");
    x = net.conv_norm(x, "c", "cn", channels, 3, 1, net::Act::none, "c");
    net.output(net.linear(net.global_avg_pool(x, "average"), "fc", 1, net::Act::none, "age"));
    return training_case("layers", net.take(), {.batch = 3, .height = height, .width = width}, 5);
}

TEST(WinogradTraining, gives_what_plain_loops_give_in_every_element) {
    for (const auto& [height, width] : {std::pair{1, 1}, {2, 9}, {4, 4}, {5, 7}, {13, 10}, {3, 40}}) {
        for (const auto& [channels, more] : {std::pair{16, 16}, {16, 48}, {64, 32}}) {
            TrainingCase c = two_layers(channels, more, height, width);
            c.name += " " + std::to_string(channels) + "->" + std::to_string(more) + " of " + std::to_string(height) +
                      "x" + std::to_string(width);
            Training training(c, 2, Convolutions::winograd);
            Training naive(c, std::make_unique<NaiveTrainingBackend>());
            expect_same_gradients(training.run(), naive.run(), 1e-4, c.name);
        }
    }
}

// Slices of wider values, tiles that reach over edges and more than one block of tiles.
TEST(WinogradTraining, gives_what_plain_loops_give_in_whole_networks) {
    const TrainingCase masks =
        training_case("unet of width 16", net::unet({.channels = 1, .depth = 3, .base_width = 16}),
                      {.batch = 3, .height = 40, .width = 56, .loss = Loss::segmentation}, 5);
    for (const TrainingCase& c : {resnet34(kAges, 64), masks}) {
        Training training(c, 2, Convolutions::winograd);
        Training direct(c, 2);
        Training naive(c, std::make_unique<NaiveTrainingBackend>());
        expect_same_gradients(training.run(), naive.run(), 1e-3, c.name);
        EXPECT_NE(all_gradients(training.executor()), all_gradients(direct.run())) << "it was not used";
    }
}

TEST(WinogradTraining, gives_the_same_bits_with_any_number_of_threads) {
    const TrainingCase c = two_layers(32, 64, 21, 18);
    Training one(c, 1, Convolutions::winograd);
    one.run();
    for (const int threads : {2, 3}) {
        Training more(c, threads, Convolutions::winograd);
        more.run();
        for (const char* weight : {"b.weight", "c.weight"}) {
            EXPECT_EQ(more.executor().gradient(weight), one.executor().gradient(weight)) << threads << " threads";
        }
    }
}

TEST(OneDnnTraining, gives_what_plain_loops_give_for_random_networks) {
    for (uint64_t seed = 0; seed < 120; ++seed) {
        TrainingOptions options{.batch = 2 + static_cast<int64_t>(seed % 3), .height = 8, .width = 12};
        options.loss = seed % 2 == 0 ? Loss::absolute_error : Loss::segmentation;
        const TrainingCase c = training_case(
            "seed " + std::to_string(seed),
            seed % 2 == 0 ? testing::random_age_graph(seed, 8, 12) : testing::random_mask_graph(seed, 8, 12), options,
            seed);
        Training training(c, 1 + static_cast<int>(seed / 2 % 2));
        Training naive(c, std::make_unique<NaiveTrainingBackend>());
        expect_same_gradients(training.run(), naive.run(), 1e-4, c.name);
        if (::testing::Test::HasFatalFailure()) {
            return;
        }
    }
}

TrainingCase in_bf16(TrainingCase c) {
    c.options.precision = Precision::bf16;
    return c;
}

// Bright rectangles on a dark ground, elsewhere in every image, and their masks: gradients of many pixels that agree.
TrainingCase rectangles(TrainingCase c) {
    const TrainingOptions& o = c.options;
    for (int64_t i = 0; i < o.batch * o.height * o.width; ++i) {
        const int64_t n = i / (o.height * o.width);
        const int64_t y = i / o.width % o.height - 4 - 3 * n;
        const int64_t x = i % o.width - 6 - 5 * n;
        const bool inside = y >= 0 && y < 16 && x >= 0 && x < 20;
        float& pixel = c.inputs.at("image")[static_cast<size_t>(i)];
        pixel = 0.3F * pixel + (inside ? 0.7F : -0.7F);
        c.inputs.at("targets")[static_cast<size_t>(i)] = inside ? 1.0F : 0.0F;
    }
    return c;
}

// Where oneDNN's own way to gather every other pixel lets threads write into each other's memory.
TEST(OneDnnTraining, strided_1x1_convolutions_of_few_channels_give_the_same_bits_every_time) {
    for (const int64_t channels : {8, 12}) {
        net::Builder net("narrow");
        net::ValueId x = net.conv_norm(net.input("image", 1, true), "a", "an", channels, 3, 1, net::Act::relu, "a");
        x = net.global_avg_pool(net.conv_norm(x, "b", "bn", 4, 1, 2, net::Act::none, "b"), "average");
        net.output(net.linear(x, "fc", 1, net::Act::none, "age"));
        const TrainingCase c = training_case("narrow", net.take(), {.batch = 3, .height = 8, .width = 12}, 5);
        for (const TrainingCase& each : {c, in_bf16(c)}) {
            Training naive(each, std::make_unique<NaiveTrainingBackend>());
            naive.run();
            const auto want = naive.executor().gradient("b.weight");
            const auto first = Training(each, 4).run().gradient("b.weight");
            for (int i = 0; i < 10; ++i) {
                Training training(each, 4);
                training.run();
                EXPECT_EQ(training.run().gradient("b.weight"), first) << channels << " channels, run " << i;
                EXPECT_LE(testing::relative_distance(training.executor().gradient("b.weight"), want), 1e-5)
                    << channels << " channels, run " << i;
            }
        }
    }
}

// In deeper networks a last digit that falls the other way moves whole units by a bfloat16's step, and then ReLUs.
TEST(OneDnnTraining, bf16_rounds_where_plain_loops_round) {
    for (const TrainingCase& c : testing::small_training_cases()) {
        Training rounded(in_bf16(c));
        Training naive(in_bf16(c), std::make_unique<NaiveTrainingBackend>());
        rounded.run();
        naive.run();
        for (const plan::ParameterPlace& place : naive.executor().plan().parameters) {
            const std::string& name = place.parameter.name;
            EXPECT_LE(testing::relative_distance(rounded.executor().gradient(name), naive.executor().gradient(name)),
                      1e-5)
                << c.name << ", " << name;
        }
    }
}

// Where the loss's gradient enters, bf16 costs its rounding alone. Further back, every ReLU near zero that falls the
// other way adds: PyTorch's bf16 is as far from its float32.
TEST(OneDnnTraining, bf16_gradients_point_where_float32s_do) {
    const TrainingCase c = rectangles(unet(kMasks));
    Training rounded(in_bf16(c));
    Training exact(c);
    rounded.run();
    exact.run();
    const auto distance = [&](const std::string& name) {
        return testing::relative_distance(rounded.executor().gradient(name), exact.executor().gradient(name));
    };
    const double all = testing::relative_distance(all_gradients(rounded.executor()), all_gradients(exact.executor()));
    RecordProperty("all", std::to_string(all));
    RecordProperty("head", std::to_string(distance("head.weight")));
    EXPECT_LE(all, 0.1);
    EXPECT_GT(all, 1e-4) << "bf16 was not used";
    EXPECT_LE(distance("head.weight"), 1e-2);
    EXPECT_LE(distance("dec0.bn2.weight"), 1e-2);
}

TEST(OneDnnTraining, makes_the_loss_fall_in_either_precision) {
    for (const TrainingCase& c : testing::small_training_cases()) {
        for (const TrainingCase& each : {c, in_bf16(c)}) {
            const std::vector<float> losses = Training(each, 1).steps(100);
            EXPECT_LT(losses.back(), 0.5F * losses.front()) << c.name;
        }
    }
}

TEST(OneDnnTraining, two_runs_with_as_many_threads_give_the_same_bits) {
    for (const TrainingCase& c : {resnet34(kAges), in_bf16(resnet34(kAges)), unet(kMasks), in_bf16(unet(kMasks))}) {
        for (const int threads : {1, 2}) {
            Training once(c, threads);
            Training again(c, threads);
            EXPECT_EQ(once.steps(2), again.steps(2)) << c.name << ", threads " << threads;
            for (const State state : once.executor().states()) {
                EXPECT_EQ(once.executor().state(state), again.executor().state(state))
                    << c.name << ", threads " << threads << ", " << name_of(state);
            }
        }
    }
}

TEST(OneDnnTraining, resumed_from_its_states_goes_on_with_the_same_bits) {
    for (const TrainingCase& c : {resnet34(kAges), in_bf16(unet(kMasks))}) {
        Training unbroken(c);
        unbroken.steps(2);
        std::map<State, std::vector<float>> saved;
        for (const State state : unbroken.executor().states()) {
            saved[state] = unbroken.executor().state(state);
        }
        const std::vector<float> want = unbroken.steps(2);
        Training resumed(c);
        for (const State state : unbroken.executor().states()) {
            resumed.executor().set_state(state, saved.at(state));
        }
        resumed.executor().set_step(2);
        EXPECT_EQ(resumed.steps(2), want) << c.name;
        for (const State state : unbroken.executor().states()) {
            EXPECT_EQ(resumed.executor().state(state), unbroken.executor().state(state)) << c.name;
        }
    }
}

TEST(OneDnnTraining, refuses_less_than_one_thread) {
    EXPECT_THROW(make_training_backend(0), UsageError);
}

}  // namespace
}  // namespace boneage::onednn

// Whole trainings as a device runs them, with the kernels' own .cu files and oneDNN's convolutions queued on the
// runner's stream, against the CPU back end: the same bits, step by step.
#include "engine/onednn/training_backend.h"
#include "tests/support/exact_training.h"
#include "tests/support/plan_runs.h"
#include "tests/support/random_graph.h"
#include "tests/support/stream_training_backend.h"

#include <bit>
#include <gtest/gtest.h>

namespace boneage::plan {
namespace {

using testing::source_of;
using testing::training_case;
using testing::TrainingCase;

constexpr int kSteps = 5;

struct Training {
    std::string name;
    net::Graph graph;
    TrainingOptions options;
    OptimiserOptions optimiser;
};

std::ostream& operator<<(std::ostream& out, const Training& training) {
    return out << training.name;
}

std::vector<Training> trainings() {
    const OptimiserOptions all{.max_gradient_norm = 0.5, .averages = true};
    std::vector<Training> trainings;
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
        const std::string type = precision == Precision::f32 ? "_f32" : "_bf16";
        const TrainingOptions ages{.batch = 3, .height = 8, .width = 12, .precision = precision};
        TrainingOptions masks = ages;
        masks.loss = Loss::segmentation;
        trainings.push_back({"residual" + type, testing::small_residual_network(), ages, all});
        trainings.push_back({"unet" + type, net::unet({.channels = 1, .depth = 1, .base_width = 3}), masks, all});
        masks.recompute = true;
        trainings.push_back(
            {"wider_unet" + type, net::unet({.channels = 2, .depth = 1, .base_width = 8}), masks, OptimiserOptions{}});
    }
    return trainings;
}

// One training step after the other. Every one has other inputs, another learning rate and another decay.
class Trainee {
public:
    Trainee(const Training& training, TrainingBackend& backend)
        : training_(training),
          parameters_(batch(0).parameters),
          executor_(lower_training(batch(0).graph, with_traits(training.options, backend)), backend,
                    source_of(parameters_), training.optimiser) {}

    // run(), optimise() and average(), one call after the other.
    void step_in_parts(int i) {
        testing::fill(executor_, batch(i));
        executor_.run();
        executor_.optimise(params(i));
        if (training_.optimiser.averages) {
            executor_.average(decay(i));
        }
    }
    void step_as_a_whole(int i) {
        testing::fill(executor_, batch(i));
        executor_.train(params(i), training_.optimiser.averages ? std::optional(decay(i)) : std::nullopt);
    }

    [[nodiscard]] TrainingExecutor& executor() { return executor_; }

private:
    [[nodiscard]] TrainingCase batch(int i) const {
        return training_case(training_.name, training_.graph, training_.options, 100 + static_cast<uint64_t>(i));
    }
    static TrainingOptions with_traits(TrainingOptions options, const TrainingBackend& backend) {
        options.traits = backend.traits();
        return options;
    }
    static AdamParams params(int i) { return {.learning_rate = i == 1 ? 1e-2 : 3e-3 * (i + 1), .weight_decay = 1e-4}; }
    static float decay(int i) { return i == 0 ? 0.1F : 0.5F; }

    const Training& training_;
    testing::Parameters parameters_;
    TrainingExecutor executor_;
};

void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want, const std::string& what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    ASSERT_FALSE(got.empty()) << what << ": nothing was compared";
    for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(want[i]))
            << what << ": element " << i << " is " << got[i] << ", on the CPU " << want[i];
    }
}

void expect_same(TrainingExecutor& got, TrainingExecutor& want, const std::string& what) {
    EXPECT_EQ(got.loss().total, want.loss().total) << what;
    EXPECT_TRUE(std::isfinite(want.loss().total)) << what;
    EXPECT_EQ(got.step(), want.step()) << what;
    expect_same_bits(got.output(), want.output(), what + ", output");
    for (const State state : want.states()) {
        expect_same_bits(got.state(state), want.state(state), what + ", " + name_of(state));
    }
    for (const ParameterPlace& place : want.plan().parameters) {
        const std::string& name = place.parameter.name;
        expect_same_bits(got.gradient(name), want.gradient(name), what + ", gradient of " + name);
    }
}

class TrainingOnADevice : public ::testing::TestWithParam<Training> {
protected:
    std::unique_ptr<TrainingBackend> host_ = onednn::make_training_backend(1);
    std::unique_ptr<TrainingBackend> convolutions_ = onednn::make_training_backend(1);
    Stream stream_;
    testing::StreamTrainingBackend device_{*convolutions_, stream_};
};

TEST_P(TrainingOnADevice, gives_the_cpus_bits_step_by_step) {
    Trainee want(GetParam(), *host_);
    Trainee got(GetParam(), device_);
    const std::vector<float> before = want.executor().state(State::parameters);
    for (int i = 0; i < kSteps; ++i) {
        want.step_in_parts(i);
        got.step_in_parts(i);
        expect_same(got.executor(), want.executor(), "step " + std::to_string(i));
    }
    EXPECT_NE(want.executor().state(State::parameters), before) << "nothing was learned";
}

TEST_P(TrainingOnADevice, gives_the_cpus_bits_when_whole_steps_are_recorded_and_launched) {
    Trainee want(GetParam(), *host_);
    Trainee got(GetParam(), device_);
    for (int i = 0; i < kSteps; ++i) {
        want.step_in_parts(i);
        got.step_as_a_whole(i);
        expect_same(got.executor(), want.executor(), "step " + std::to_string(i));
    }
}

TEST_P(TrainingOnADevice, recordings_go_on_from_whatever_state_is_put_in_their_place) {
    Trainee want(GetParam(), *host_);
    Trainee got(GetParam(), device_);
    for (int i = 0; i < kSteps; ++i) {
        want.step_in_parts(i);
        got.step_as_a_whole(kSteps - i);
    }
    for (const State state : want.executor().states()) {
        got.executor().set_state(state, want.executor().state(state));
    }
    got.executor().set_step(want.executor().step());
    for (int i = 0; i < 2; ++i) {
        want.step_in_parts(i);
        got.step_as_a_whole(i);
        expect_same(got.executor(), want.executor(), "step " + std::to_string(i) + " from there");
    }
}

INSTANTIATE_TEST_SUITE_P(Networks, TrainingOnADevice, ::testing::ValuesIn(trainings()),
                         [](const auto& tested) { return tested.param.name; });

TEST(Recorded, calls_its_work_twice_and_launches_it_ever_after) {
    const Stream stream;
    const boneage::Buffer<uint8_t, Device> memory(1);
    int calls = 0;
    Recorded recorded(stream, [&] {
        ++calls;
        clear_device(stream, memory.data(), 1);
    });
    for (int run = 0; run < 5; ++run) {
        const uint8_t mark = 7;
        copy_to_device(stream, memory.data(), &mark, 1);
        recorded.run(nullptr);
        uint8_t cleared = mark;
        copy_to_host(stream, &cleared, memory.data(), 1);
        stream.synchronize();
        EXPECT_EQ(cleared, 0) << "run " << run;
        EXPECT_EQ(calls, std::min(run + 1, 2)) << "run " << run;
    }
}

}  // namespace
}  // namespace boneage::plan

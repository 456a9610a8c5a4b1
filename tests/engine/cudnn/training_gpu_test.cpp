// Trainings on a GPU against the same trainings on the CPU: every convolution of both networks alone, small networks as
// a whole, and a recorded step against its parts. Whole large networks are no measure: an untrained ResNet34 multiplies
// differences in the last bits by a hundred and more on the way back.
#include "engine/cudnn/training_backend.h"
#include "engine/onednn/training_backend.h"
#include "tests/support/exact_training.h"
#include "tests/support/plan_runs.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

namespace boneage::cudnn {
namespace {

using plan::Precision;
using plan::TrainingExecutor;
using testing::relative_distance;
using testing::training_case;
using testing::TrainingCase;

std::vector<std::string> layers_of(const net::Graph& graph) {
    std::vector<std::string> names;
    for (const net::Op& op : graph.ops) {
        names.push_back(graph.values[static_cast<size_t>(net::made_by(op))].name);
    }
    return names;
}

std::vector<TrainingCase> small_cases(Precision precision) {
    const plan::TrainingOptions small{.batch = 3, .height = 8, .width = 12, .precision = precision};
    plan::TrainingOptions masks = small;
    masks.loss = plan::Loss::segmentation;
    std::vector<TrainingCase> all{
        training_case("small residual network", testing::small_residual_network(), small, 4),
        training_case("U-Net of depth 1", net::unet({.channels = 1, .depth = 1, .base_width = 8}), masks, 1),
        training_case("U-Net of depth 2", net::unet({.channels = 3, .depth = 2, .base_width = 16}), masks, 2)};
    for (TrainingCase& c : all) {
        c.options.keep = layers_of(c.graph);
    }
    return all;
}

std::vector<TrainingCase> large_cases(Precision precision) {
    const plan::TrainingOptions ages{.batch = 8, .height = 64, .width = 96, .precision = precision};
    plan::TrainingOptions masks = ages;
    masks.loss = plan::Loss::segmentation;
    return {training_case("ResNet34", net::resnet34({.channels = 1, .sex_input = true}), ages, 3),
            training_case("ResNet34 in colour", net::resnet34({.channels = 3}), ages, 4),
            training_case("U-Net", net::unet({}), masks, 5)};
}

// A plan's memory on one back end, for steps that are run alone.
class Alone {
public:
    Alone(const plan::TrainingPlan& plan, plan::TrainingBackend& backend)
        : backend_(backend),
          arena_(backend.allocate(plan.arena_bytes)),
          parameters_(allocate(plan.parameter_floats)),
          gradients_(allocate(plan.parameter_floats)),
          statistics_(allocate(plan.statistic_floats)),
          memory_{plan, arena_.get(), floats(parameters_), floats(gradients_), floats(statistics_)} {
        for (const plan::PlannedTrainingStep& planned : plan.steps) {
            steps_.push_back(backend.make(planned.step, memory_));
        }
        const auto values = testing::random_values(plan.parameter_floats, 1);
        backend.upload(parameters_.get(), values.data(), plan.parameter_floats * size_of(plan::DataType::f32));
        backend.synchronize();
    }

    void fill(plan::ValueId id, uint64_t seed) {
        const plan::Place at = memory_.place(id);
        const auto values = testing::random_values(at.shape.size(), seed);
        std::vector<bfloat16> rounded(values.size());
        std::ranges::transform(values, rounded.begin(), [](float value) { return to_bfloat16(value); });
        backend_.upload(at.data,
                        at.type == plan::DataType::f32 ? static_cast<const void*>(values.data())
                                                       : static_cast<const void*>(rounded.data()),
                        at.shape.size() * size_of(at.type));
        backend_.synchronize();
    }
    void run(size_t step) {
        const plan::Memory scratch = backend_.allocate(steps_[step]->scratch_bytes());
        steps_[step]->run(scratch.get());
        backend_.synchronize();
    }
    [[nodiscard]] std::vector<float> value(plan::ValueId id) {
        const plan::Place at = memory_.place(id);
        std::vector<float> values(static_cast<size_t>(at.shape.size()));
        if (at.type == plan::DataType::f32) {
            backend_.download(values.data(), at.data, at.shape.size() * size_of(at.type));
            return values;
        }
        std::vector<bfloat16> rounded(values.size());
        backend_.download(rounded.data(), at.data, at.shape.size() * size_of(at.type));
        std::ranges::transform(rounded, values.begin(), [](bfloat16 each) { return to_float(each); });
        return values;
    }
    [[nodiscard]] std::vector<float> gradient(plan::ParameterId id) {
        std::vector<float> values(static_cast<size_t>(memory_.parameter(id).size()));
        backend_.download(values.data(), reinterpret_cast<const std::byte*>(memory_.gradient_data(id)),
                          memory_.parameter(id).size() * size_of(plan::DataType::f32));
        return values;
    }

private:
    plan::Memory allocate(int64_t count) { return backend_.allocate(count * size_of(plan::DataType::f32)); }
    static float* floats(const plan::Memory& memory) { return reinterpret_cast<float*>(memory.get()); }

    plan::TrainingBackend& backend_;
    plan::Memory arena_;
    plan::Memory parameters_;
    plan::Memory gradients_;
    plan::Memory statistics_;
    plan::TrainingMemory memory_;
    std::vector<std::unique_ptr<plan::Runnable>> steps_;
};

// What a convolution step reads, and what it makes of that.
struct Reading {
    std::vector<plan::ValueId> operator()(const plan::ConvForward& s) const { return {s.x}; }
    std::vector<plan::ValueId> operator()(const plan::ConvGradInput& s) const { return {s.d_y}; }
    std::vector<plan::ValueId> operator()(const plan::ConvGradWeight& s) const { return {s.x, s.d_y}; }
    std::vector<plan::ValueId> operator()(const auto&) const { return {}; }
};
struct Result {
    Alone& side;
    std::vector<float> operator()(const plan::ConvForward& s) const { return side.value(s.y); }
    std::vector<float> operator()(const plan::ConvGradInput& s) const { return side.value(s.d_x); }
    std::vector<float> operator()(const plan::ConvGradWeight& s) const { return side.gradient(s.conv.weight); }
    std::vector<float> operator()(const auto&) const { return {}; }
};

std::unique_ptr<TrainingExecutor> executor(const TrainingCase& c, plan::TrainingBackend& backend,
                                           const plan::OptimiserOptions& optimiser = {}) {
    plan::TrainingOptions options = c.options;
    options.traits = backend.traits();
    auto made = std::make_unique<TrainingExecutor>(plan::lower_training(c.graph, options), backend,
                                                   testing::source_of(c.parameters), optimiser);
    testing::fill(*made, c);
    return made;
}

class TrainingOnAGpu : public ::testing::Test {
protected:
    Stream stream_;
    std::unique_ptr<plan::TrainingBackend> gpu_ = make_training_backend(stream_);
    std::unique_ptr<plan::TrainingBackend> cpu_ = onednn::make_training_backend(2);
};

TEST_F(TrainingOnAGpu, every_convolution_alone_is_the_cpus) {
    // In float32 gradients of weights are sums over a hundred thousand pixels, in another order.
    const std::map<Precision, double> most{{Precision::f32, 2e-5}, {Precision::tf32, 2e-3}, {Precision::bf16, 1e-2}};
    for (const auto& [precision, distance] : most) {
        for (const TrainingCase& c : large_cases(precision)) {
            plan::TrainingOptions options = c.options;
            options.traits = kTrainingTraits;
            ASSERT_EQ(options.traits, cpu_->traits());
            const plan::TrainingPlan plan = plan::lower_training(c.graph, options);
            Alone got(plan, *gpu_);
            Alone want(plan, *cpu_);
            int compared = 0;
            for (size_t i = 0; i < plan.steps.size(); ++i) {
                const plan::TrainingStep& step = plan.steps[i].step;
                const std::vector<plan::ValueId> reads = std::visit(Reading{}, step);
                for (const plan::ValueId id : reads) {
                    got.fill(id, i + static_cast<size_t>(id));
                    want.fill(id, i + static_cast<size_t>(id));
                }
                if (reads.empty()) {
                    continue;
                }
                got.run(i);
                want.run(i);
                const std::vector<float> values = std::visit(Result{got}, step);
                EXPECT_LE(relative_distance(values, std::visit(Result{want}, step)), distance)
                    << c.name << ", precision " << static_cast<int>(precision) << ", " << plan.steps[i].name;
                ++compared;
            }
            EXPECT_GT(compared, 60) << c.name;
        }
    }
}

TEST_F(TrainingOnAGpu, float32_values_and_gradients_are_the_cpus) {
    for (const TrainingCase& c : small_cases(Precision::f32)) {
        const auto got = executor(c, *gpu_);
        const auto want = executor(c, *cpu_);
        got->run();
        want->run();
        EXPECT_NEAR(got->loss().total, want->loss().total, 1e-5 * std::abs(want->loss().total)) << c.name;
        for (const std::string& layer : c.options.keep) {
            testing::expect_close(got->read(layer), want->read(layer), 1e-5, c.name + ", " + layer);
        }
        for (const plan::ParameterPlace& place : want->plan().parameters) {
            const std::string& name = place.parameter.name;
            testing::expect_close(got->gradient(name), want->gradient(name), 1e-4, c.name + ", gradient of " + name);
        }
    }
}

TEST_F(TrainingOnAGpu, float32_weights_after_ten_steps_of_adam_are_the_cpus) {
    for (const TrainingCase& c : small_cases(Precision::f32)) {
        const auto got = executor(c, *gpu_, {.max_gradient_norm = 1.0, .averages = true});
        const auto want = executor(c, *cpu_, {.max_gradient_norm = 1.0, .averages = true});
        for (int step = 0; step < 10; ++step) {
            for (TrainingExecutor* each : {got.get(), want.get()}) {
                testing::fill(*each, c);
                each->train({.learning_rate = 1e-4}, 0.5F);
            }
        }
        for (const plan::State state : {plan::State::parameters, plan::State::statistics,
                                        plan::State::average_parameters, plan::State::average_statistics}) {
            testing::expect_close(got->state(state), want->state(state), 1e-4, c.name + ", " + plan::name_of(state));
        }
    }
}

// Sums in another order round to another bfloat16 here and there, and so do values computed from them.
TEST_F(TrainingOnAGpu, bf16_and_tf32_lie_near_the_cpu) {
    for (const Precision precision : {Precision::bf16, Precision::tf32}) {
        for (const TrainingCase& c : small_cases(precision)) {
            const std::string what = c.name + (precision == Precision::bf16 ? " in bf16, " : " in tf32, ");
            const auto got = executor(c, *gpu_);
            const auto want = executor(c, *cpu_);
            got->run();
            want->run();
            EXPECT_NEAR(got->loss().total, want->loss().total, 1e-2 * std::abs(want->loss().total)) << what;
            for (const std::string& layer : c.options.keep) {
                EXPECT_LE(relative_distance(got->read(layer), want->read(layer)), 1e-2) << what << layer;
            }
            for (const plan::ParameterPlace& place : want->plan().parameters) {
                const std::string& name = place.parameter.name;
                EXPECT_LE(relative_distance(got->gradient(name), want->gradient(name)), 5e-2)
                    << what << "gradient of " << name;
            }
        }
    }
}

TEST_F(TrainingOnAGpu, recorded_steps_give_the_bits_of_their_parts) {
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
        std::vector<TrainingCase> all = small_cases(precision);
        std::ranges::move(large_cases(precision), std::back_inserter(all));
        for (const TrainingCase& c : all) {
            const plan::OptimiserOptions optimiser{.max_gradient_norm = 1.0, .averages = true};
            const auto recorded = executor(c, *gpu_, optimiser);
            const auto in_parts = executor(c, *gpu_, optimiser);
            for (int step = 0; step < 4; ++step) {
                const AdamParams params{.learning_rate = 1e-4 * (step + 1)};
                const float decay = 0.1F * static_cast<float>(step + 1);
                testing::fill(*recorded, c);
                recorded->train(params, decay);
                testing::fill(*in_parts, c);
                in_parts->run();
                in_parts->optimise(params);
                in_parts->average(decay);
                EXPECT_EQ(recorded->loss().total, in_parts->loss().total) << c.name << ", step " << step;
                for (const plan::State state : in_parts->states()) {
                    ASSERT_EQ(recorded->state(state), in_parts->state(state))
                        << c.name << ", step " << step << ", " << plan::name_of(state);
                }
            }
            EXPECT_NE(recorded->state(plan::State::first_moment),
                      std::vector<float>(static_cast<size_t>(recorded->plan().parameter_floats)));
        }
    }
}

}  // namespace
}  // namespace boneage::cudnn

#include "engine/net/builder.h"
#include "engine/plan/training_plan.h"
#include "kernels/base/error.h"
#include "tests/support/random_graph.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

namespace boneage::plan {
namespace {

// What a step does to values, told independently of touched_by().
struct Effects {
    std::vector<ValueId> reads;
    std::vector<ValueId> assigns;
    std::vector<ValueId> accumulates;

    void write(ValueId id, Write write) { (write == Write::assign ? assigns : accumulates).push_back(id); }
};

struct EffectsOf {
    using E = Effects;
    E operator()(const ConvForward& s) const { return {{s.x}, {s.y}, {}}; }
    E operator()(const ConvGradInput& s) const { return writing({s.d_y}, s.d_x, s.write); }
    E operator()(const ConvGradWeight& s) const { return {{s.x, s.d_y}, {}, {}}; }
    E operator()(const BiasGrad& s) const { return {{s.d_y}, {}, {}}; }
    E operator()(const BatchNormForward& s) const {
        E e{{s.x}, {s.y}, {}};
        if (s.residual) {
            e.reads.push_back(*s.residual);
        }
        return e;
    }
    E operator()(const BatchNormAgain& s) const { return {{s.x}, {s.y}, {}}; }
    E operator()(const BatchNormBackward& s) const {
        E e{{s.d_y, s.x}, {s.d_x}, {}};
        if (s.norm.relu) {
            e.reads.push_back(s.y);
        }
        if (s.d_residual) {
            e.assigns.push_back(*s.d_residual);
        }
        return e;
    }
    E operator()(const MaxPoolForward& s) const { return {{s.x}, {s.y}, {}}; }
    E operator()(const MaxPoolBackward& s) const { return writing({s.d_y}, s.d_x, s.write); }
    E operator()(const AvgPoolForward& s) const { return {{s.x}, {s.y}, {}}; }
    E operator()(const AvgPoolBackward& s) const { return writing({s.d_y}, s.d_x, s.write); }
    E operator()(const LinearForward& s) const { return {{s.x}, {s.y}, {}}; }
    E operator()(const LinearBackward& s) const {
        return s.d_x ? writing({s.d_y, s.x}, *s.d_x, s.write) : E{{s.d_y, s.x}, {}, {}};
    }
    E operator()(const ReluBackward& s) const { return {{s.d_y, s.y}, {s.d_y}, {}}; }
    E operator()(const DepthToSpace& s) const { return {{s.x}, {s.y}, {}}; }
    E operator()(const SpaceToDepth& s) const { return {{s.x}, {s.y}, {}}; }
    E operator()(const Copy& s) const { return {{s.x}, {s.y}, {}}; }
    E operator()(const Accumulate& s) const { return {{s.x}, {}, {s.y}}; }
    E operator()(const AbsoluteErrorLoss& s) const {
        return {{s.predictions, s.targets, s.weights}, {s.d_predictions}, {}};
    }
    E operator()(const SegmentationLossStep& s) const { return {{s.logits, s.targets}, {s.d_logits}, {}}; }

    static E writing(std::vector<ValueId> reads, ValueId id, Write write) {
        E e{std::move(reads), {}, {}};
        e.write(id, write);
        return e;
    }
};

// Which channels of every buffer hold something.
class Written {
public:
    explicit Written(const TrainingPlan& plan) : plan_(plan), channels_(plan.buffers.size()) {}

    void mark(ValueId id) {
        for (int64_t c = 0; c < value(id).shape.c; ++c) {
            channel(id, c) = true;
        }
    }
    [[nodiscard]] int64_t count(ValueId id) {
        int64_t written = 0;
        for (int64_t c = 0; c < value(id).shape.c; ++c) {
            written += channel(id, c) ? 1 : 0;
        }
        return written;
    }
    [[nodiscard]] bool all(ValueId id) { return count(id) == value(id).shape.c; }
    [[nodiscard]] bool none(ValueId id) { return count(id) == 0; }
    [[nodiscard]] bool same_place(ValueId a, ValueId b) const {
        return value(a).buffer == value(b).buffer && value(a).channel_offset == value(b).channel_offset &&
               value(a).shape == value(b).shape;
    }
    [[nodiscard]] const Value& value(ValueId id) const { return plan_.values[static_cast<size_t>(id)]; }

private:
    std::vector<bool>::reference channel(ValueId id, int64_t c) {
        const Value& v = value(id);
        auto& all = channels_[static_cast<size_t>(v.buffer)];
        all.resize(static_cast<size_t>(v.pixel_stride), false);
        return all[static_cast<size_t>(v.channel_offset + c)];
    }
    const TrainingPlan& plan_;
    std::vector<std::vector<bool>> channels_;
};

// Everything read has been written, and nothing is overwritten but what the same step has read.
void expect_order(const TrainingPlan& plan) {
    Written written(plan);
    for (const ValueId id : plan.inputs) {
        written.mark(id);
    }
    for (const PlannedTrainingStep& planned : plan.steps) {
        const Effects effects = std::visit(EffectsOf{}, planned.step);
        for (const ValueId id : effects.reads) {
            ASSERT_TRUE(written.all(id)) << planned.name << " reads " << written.value(id).name
                                         << " before it is there";
        }
        for (const ValueId id : effects.accumulates) {
            ASSERT_TRUE(written.all(id)) << planned.name << " adds to nothing in " << written.value(id).name;
        }
        for (const ValueId id : effects.assigns) {
            const bool in_place =
                std::ranges::any_of(effects.reads, [&](ValueId read) { return written.same_place(read, id); });
            ASSERT_TRUE(in_place || written.none(id)) << planned.name << " overwrites " << written.value(id).name;
            written.mark(id);
        }
    }
    ASSERT_TRUE(written.all(plan.output));
}

// Buffers live as long as they are used, and those that live together lie apart.
void expect_places(const TrainingPlan& plan) {
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        const Effects effects = std::visit(EffectsOf{}, plan.steps[i].step);
        for (const auto* ids : {&effects.reads, &effects.assigns, &effects.accumulates}) {
            for (const ValueId id : *ids) {
                const Value& value = plan.values[static_cast<size_t>(id)];
                const Buffer& buffer = plan.buffers[static_cast<size_t>(value.buffer)];
                const auto at = static_cast<int64_t>(i);
                ASSERT_TRUE(buffer.first <= at && at <= buffer.last) << plan.steps[i].name << ", " << value.name;
                ASSERT_LE(value.shape.pixels() * value.pixel_stride * size_of(value.type), buffer.bytes) << value.name;
            }
        }
    }
    for (size_t i = 0; i < plan.buffers.size(); ++i) {
        const Buffer& a = plan.buffers[i];
        ASSERT_LE(a.offset + a.bytes, plan.arena_bytes);
        for (size_t j = 0; j < i; ++j) {
            const Buffer& b = plan.buffers[j];
            const bool together = a.first <= b.last && b.first <= a.last;
            ASSERT_TRUE(!together || a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset)
                << "buffers " << j << " and " << i;
        }
    }
}

template <class Step>
int64_t count_steps(const TrainingPlan& plan) {
    return std::ranges::count_if(plan.steps, [](const auto& s) { return std::holds_alternative<Step>(s.step); });
}

struct Case {
    std::string name;
    net::Graph graph;
    TrainingOptions options;
};

std::vector<Case> real_networks() {
    std::vector<Case> all;
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
        for (const int way : {0, 1, 2, 3}) {
            TrainingOptions options{.batch = 16, .height = 224, .width = 224, .precision = precision};
            options.traits.conv_accumulates = way % 2 != 0;
            options.recompute = way >= 2;
            const std::string suffix = std::string(precision == Precision::f32 ? "_f32" : "_bf16") +
                                       (options.traits.conv_accumulates ? "_adding" : "") +
                                       (options.recompute ? "_recomputing" : "");
            all.push_back(
                {"resnet34" + suffix, net::resnet34({.channels = 1, .sex_input = true, .hidden = 64}), options});
            options.loss = Loss::segmentation;
            options.height = 256;
            options.width = 256;
            all.push_back({"unet" + suffix, net::unet({}), options});
        }
    }
    return all;
}

class LowerTraining : public ::testing::TestWithParam<Case> {};

TEST_P(LowerTraining, reads_what_is_written_and_overwrites_nothing) {
    const TrainingPlan plan = lower_training(GetParam().graph, GetParam().options);
    expect_order(plan);
    expect_places(plan);
}

TEST_P(LowerTraining, needs_hardly_more_memory_than_lives_at_the_fullest_step) {
    const TrainingPlan plan = lower_training(GetParam().graph, GetParam().options);
    RecordProperty("arena_bytes", std::to_string(plan.arena_bytes));
    RecordProperty("live_bytes", std::to_string(plan.live_bytes));
    EXPECT_GE(plan.arena_bytes, plan.live_bytes);
    EXPECT_LE(static_cast<double>(plan.arena_bytes), 1.1 * static_cast<double>(plan.live_bytes));
}

TEST_P(LowerTraining, counts_every_multiplication_of_both_directions) {
    const TrainingPlan plan = lower_training(GetParam().graph, GetParam().options);
    int64_t forward = 0;
    int64_t backward = 0;
    int64_t inputs = 0;  // of layers that read an input, whose gradient nobody needs
    for (const PlannedTrainingStep& step : plan.steps) {
        (step.backward ? backward : forward) += step.flops;
        inputs += step.name == "conv1" || step.name == "enc0.conv1" || step.name == "sex_fc" ? step.flops : 0;
    }
    EXPECT_EQ(total_flops(plan), forward + backward);
    EXPECT_GT(inputs, 0);
    EXPECT_EQ(backward, 2 * forward - inputs);
}

INSTANTIATE_TEST_SUITE_P(Networks, LowerTraining, ::testing::ValuesIn(real_networks()),
                         [](const auto& tested) { return tested.param.name; });

TEST(LowerTrainingAny, reads_what_is_written_and_overwrites_nothing) {
    for (uint64_t seed = 0; seed < 400; ++seed) {
        TrainingOptions options{.batch = 2, .height = 8, .width = 12};
        options.traits.conv_accumulates = seed % 2 == 0;
        options.recompute = seed % 3 == 0;
        options.loss = seed % 4 < 2 ? Loss::absolute_error : Loss::segmentation;
        const net::Graph graph = options.loss == Loss::absolute_error ? testing::random_age_graph(seed, 8, 12)
                                                                      : testing::random_mask_graph(seed, 8, 12);
        options.keep.push_back(graph.values[seed % graph.values.size()].name);
        const TrainingPlan plan = lower_training(graph, options);
        SCOPED_TRACE("seed " + std::to_string(seed));
        expect_order(plan);
        expect_places(plan);
        if (HasFatalFailure()) {
            return;
        }
    }
}

TEST(LowerTrainingAny, gives_every_convolution_its_three_steps) {
    const net::Graph graph = net::resnet34({});
    TrainingOptions options{.batch = 2, .height = 64, .width = 64};
    const TrainingPlan aside = lower_training(graph, options);
    EXPECT_EQ(count_steps<ConvForward>(aside), 36);
    EXPECT_EQ(count_steps<ConvGradWeight>(aside), 36);
    EXPECT_EQ(count_steps<ConvGradInput>(aside), 35) << "the image needs no gradient";
    // Where paths meet again: behind the three blocks with, and all others without a convolution in the shortcut.
    EXPECT_EQ(count_steps<Accumulate>(aside), 16);
    options.traits.conv_accumulates = true;
    const TrainingPlan added = lower_training(graph, options);
    EXPECT_EQ(count_steps<Accumulate>(added), 0);
    EXPECT_LT(added.steps.size(), aside.steps.size());
    EXPECT_LE(added.arena_bytes, aside.arena_bytes);
}

TEST(LowerTrainingAny, makes_again_what_norms_without_residual_answer_and_needs_less_memory) {
    TrainingOptions options{.batch = 2, .height = 64, .width = 64};
    const TrainingPlan kept = lower_training(net::resnet34({}), options);
    EXPECT_EQ(count_steps<BatchNormAgain>(kept), 0);
    options.recompute = true;
    const TrainingPlan again = lower_training(net::resnet34({}), options);
    EXPECT_EQ(count_steps<BatchNormAgain>(again), 17) << "the first norm and the first of each block; no ReLU follows "
                                                         "those in shortcuts, and nobody asks for their answers";
    EXPECT_EQ(again.steps.size(), kept.steps.size() + 17);
    EXPECT_LT(static_cast<double>(again.arena_bytes), 0.85 * static_cast<double>(kept.arena_bytes));

    options.loss = Loss::segmentation;
    options.recompute = false;
    const int64_t all = lower_training(net::unet({}), options).arena_bytes;
    options.recompute = true;
    EXPECT_LT(static_cast<double>(lower_training(net::unet({}), options).arena_bytes), 0.85 * static_cast<double>(all));
}

TEST(LowerTrainingAny, lets_convolutions_skip_connections_share_memory_with_the_concatenation) {
    const TrainingPlan plan =
        lower_training(net::unet({.depth = 2}), {.batch = 2, .height = 32, .width = 32, .loss = Loss::segmentation});
    EXPECT_EQ(count_steps<Copy>(plan), 0);
    EXPECT_EQ(count_steps<Accumulate>(plan), 0) << "the pools add to what the concatenations left";
}

TEST(LowerTrainingAny, places_parameters_apart_and_aligned) {
    const TrainingPlan plan = lower_training(net::resnet34({.channels = 1, .sex_input = true, .hidden = 7}), {});
    int64_t trainable = 0;
    int64_t end = 0;
    for (const ParameterPlace& place : plan.parameters) {
        EXPECT_EQ(place.offset * 4 % kArenaAlignment, 0) << place.parameter.name;
        EXPECT_GE(place.offset, end) << place.parameter.name;
        end = place.offset + place.parameter.size();
        trainable += place.parameter.size();
    }
    EXPECT_LE(end, plan.parameter_floats);
    EXPECT_EQ(trainable, net::parameter_count(net::resnet34({.channels = 1, .sex_input = true, .hidden = 7})));
    EXPECT_EQ(plan.statistics.size(), 72U);
    EXPECT_EQ(plan.counters.size(), 36U);
}

TEST(LowerTrainingAny, takes_parameters_from_pytorchs_order_and_gives_them_back) {
    const TrainingPlan plan = lower_training(net::unet({.depth = 1, .base_width = 3}),
                                             {.batch = 1, .height = 4, .width = 4, .loss = Loss::segmentation});
    bool moved_any = false;
    for (const ParameterPlace& place : plan.parameters) {
        std::vector<float> theirs(static_cast<size_t>(place.parameter.size()));
        std::iota(theirs.begin(), theirs.end(), 1.0F);
        std::vector<float> ours(theirs.size());
        std::vector<float> back(theirs.size());
        to_place(place, theirs.data(), ours.data());
        from_place(place, ours.data(), back.data());
        EXPECT_EQ(back, theirs) << place.parameter.name;
        moved_any |= ours != theirs;
        std::ranges::sort(ours);
        EXPECT_EQ(ours, theirs) << place.parameter.name << ": every number once";
        const std::vector<int64_t>& s = place.parameter.shape;
        if (place.layout == ParameterLayout::krsc && s[2] == 3) {  // [o, c, r, t] -> [o, r, t, c]
            to_place(place, theirs.data(), ours.data());
            EXPECT_EQ(ours.at(static_cast<size_t>(((1 * s[2] + 2) * s[3] + 0) * s[1])),
                      theirs.at(static_cast<size_t>((1 * s[1] * s[2] + 2) * s[3] + 0)));
        }
        if (place.layout == ParameterLayout::pointwise) {  // [c, o, a, b] -> [a, b, o, c]
            to_place(place, theirs.data(), ours.data());
            EXPECT_EQ(ours.at(static_cast<size_t>(((1 * 2 + 0) * s[1] + 2) * s[0] + 3)),
                      theirs.at(static_cast<size_t>(((3 * s[1] + 2) * 2 + 1) * 2 + 0)));
        }
    }
    EXPECT_TRUE(moved_any);
}

// The sentence with which lowering refuses.
std::string refusal(const net::Graph& graph, const TrainingOptions& options) {
    try {
        std::ignore = lower_training(graph, options);
    } catch (const UsageError& error) {
        return error.what();
    }
    return "taken";
}

TEST(LowerTrainingAny, refuses_what_training_does_not_know_and_names_it) {
    const auto expect_refusal = [](const net::Graph& graph, const TrainingOptions& options, const std::string& part) {
        EXPECT_NE(refusal(graph, options).find(part), std::string::npos) << refusal(graph, options);
    };
    const TrainingOptions small{.batch = 1, .height = 32, .width = 32};
    expect_refusal(net::resnet34({}), small, "batch");
    expect_refusal(net::resnet34({}), small, "layer4.0.");
    expect_refusal(net::resnet34({.outputs = 2}), {}, "one output channel, not 2");
    TrainingOptions options;
    options.loss = Loss::segmentation;
    expect_refusal(net::unet({.outputs = 3}), options, "one output channel, not 3");
    options.height = 100;
    expect_refusal(net::unet({}), options, "divisible");
    options.height = 224;
    options.loss = Loss::absolute_error;
    expect_refusal(net::unet({}), options, "one number an image");
    options.keep = {"layer9"};
    expect_refusal(net::resnet34({}), options, "layer9");
    options.keep = {};
    options.batch = 0;
    expect_refusal(net::resnet34({}), options, "positive");

    net::Graph bare = net::resnet34({});
    for (net::Op& op : bare.ops) {
        if (auto* unit = std::get_if<net::ConvUnit>(&op); unit != nullptr && unit->conv.name == "layer2.0.conv1") {
            unit->norm.reset();
        }
    }
    expect_refusal(bare, {}, "layer2.0.conv1");

    net::Graph many = net::resnet34({});
    many.outputs.push_back(0);
    expect_refusal(many, {}, "one output, not 2");

    net::Builder vectors("vectors");
    net::ValueId x = vectors.conv_norm(vectors.input("image", 1, true), "c", "b", 4, 3, 1, net::Act::relu, "c");
    x = vectors.global_avg_pool(x, "features");
    x = vectors.conv_norm(x, "over", "over_norm", 4, 1, 1, net::Act::relu, "over");
    x = vectors.global_avg_pool(x, "average");
    vectors.output(vectors.linear(x, "fc", 1, net::Act::none, "age"));
    const net::Graph graph = vectors.take();
    EXPECT_EQ(refusal(graph, {}), "taken");
    expect_refusal(graph, {.precision = Precision::bf16}, "features");
}

}  // namespace
}  // namespace boneage::plan

#include "engine/net/parameters.h"
#include "engine/plan/backend.h"
#include "kernels/base/error.h"
#include "tests/support/random_graph.h"

#include <gtest/gtest.h>
#include <set>

namespace boneage::plan {
namespace {

const Value& value(const Plan& plan, ValueId id) {
    return plan.values[static_cast<size_t>(id)];
}

const PlannedStep& step_called(const Plan& plan, const std::string& name) {
    for (const PlannedStep& step : plan.steps) {
        if (step.name == name) {
            return step;
        }
    }
    throw std::out_of_range(name);
}

template <class AnyStep>
int64_t count_steps(const Plan& plan) {
    int64_t count = 0;
    for (const PlannedStep& step : plan.steps) {
        count += std::holds_alternative<AnyStep>(step.step) ? 1 : 0;
    }
    return count;
}

// Runs a plan without computing: every byte of the arena remembers which value was last written there, and a step
// that reads a byte of another value than it means to is caught. Knows nothing of lifetimes.
class ShadowArena {
public:
    explicit ShadowArena(const Plan& plan) : plan_(plan), owner_(static_cast<size_t>(plan.arena_bytes), -1) {
        made_.insert(plan.inputs.begin(), plan.inputs.end());
        for (const PlannedStep& planned : plan.steps) {
            made_.insert(y_of(planned.step));
        }
    }

    void write(ValueId id) {
        for_bytes(id, [&](size_t byte) { owner_[byte] = id; });
    }
    void run(const std::vector<int32_t>& steps) {
        for (const int32_t index : steps) {
            const PlannedStep& planned = plan_.steps[static_cast<size_t>(index)];
            read(x_of(planned.step), planned.name);
            if (const auto residual = residual_of(planned.step)) {
                read(*residual, planned.name);
            }
            write(y_of(planned.step));
        }
    }
    void read(ValueId id, const std::string& reader) {
        bool wrong = false;
        for_bytes(id, [&](size_t byte) { wrong = wrong || !is_part(owner_[byte], id); });
        EXPECT_FALSE(wrong) << reader << " finds something else where " << value(plan_, id).name << " should be";
    }

private:
    // A value itself, or a part of a concatenation, which no step makes as a whole.
    bool is_part(ValueId part, ValueId whole) const {
        return part == whole ||
               (part >= 0 && !made_.contains(whole) && value(plan_, part).buffer == value(plan_, whole).buffer);
    }
    template <class Body>
    void for_bytes(ValueId id, const Body& body) const {
        const Value& v = value(plan_, id);
        const Place place{nullptr, v.shape, v.type, v.pixel_stride, v.channel_block};
        const int64_t first = v.channel_offset * (v.channel_block == 1 ? 1 : v.shape.h * v.shape.w);
        const int64_t base = plan_.buffers[static_cast<size_t>(v.buffer)].offset;
        for (int64_t n = 0; n < v.shape.n; ++n) {
            for (int64_t y = 0; y < v.shape.h; ++y) {
                for (int64_t x = 0; x < v.shape.w; ++x) {
                    for (int64_t c = 0; c < v.shape.c; ++c) {
                        const int64_t at = base + (first + place.offset(n, y, x, c)) * size_of(v.type);
                        for (int64_t byte = at; byte < at + size_of(v.type); ++byte) {
                            ASSERT_TRUE(byte >= 0 && byte < plan_.arena_bytes) << v.name << " leaves the arena";
                            body(static_cast<size_t>(byte));
                        }
                    }
                }
            }
        }
    }

    const Plan& plan_;
    std::set<ValueId> made_;
    std::vector<ValueId> owner_;
};

void expect_values_keep_apart(const Plan& plan) {
    ShadowArena arena(plan);
    const auto expect_exposed = [&] {
        for (const auto* list : {&plan.outputs, &plan.kept}) {
            for (const ValueId id : *list) {
                arena.read(id, "the caller");
            }
        }
    };
    for (const ValueId id : plan.inputs) {
        arena.write(id);
    }
    std::vector<int32_t> all(plan.steps.size());
    for (size_t i = 0; i < all.size(); ++i) {
        all[i] = static_cast<int32_t>(i);
    }
    arena.run(all);
    expect_exposed();
    for (const auto& [input, steps] : plan.reruns) {
        for (const ValueId id : plan.inputs) {
            if (value(plan, id).name == input) {
                arena.write(id);
            }
        }
        arena.run(steps);
        expect_exposed();
    }
}

Traits traits_of(int bits) {
    return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0 ? 8 : 1};
}

TEST(Lower, values_that_are_needed_are_never_overwritten) {
    for (uint64_t seed = 0; seed < 500; ++seed) {
        const net::Graph graph = testing::random_graph(seed, 8, 6);
        Options options{.batch = 1 + static_cast<int64_t>(seed % 3), .height = 8, .width = 6};
        options.traits = traits_of(static_cast<int>(seed % 32));
        options.precision = seed % 5 == 0 ? Precision::bf16 : Precision::f32;
        if (seed % 2 == 0) {
            options.keep = {graph.values[seed % graph.values.size()].name,
                            graph.values[seed / 2 % graph.values.size()].name};
        }
        if (seed % 3 == 0) {
            for (const net::Input& input : graph.inputs) {
                options.rerun.push_back(graph.values[static_cast<size_t>(input.value)].name);
            }
        }
        expect_values_keep_apart(lower(graph, options));
        ASSERT_FALSE(::testing::Test::HasFailure()) << "seed " << seed;
    }
}

TEST(Lower, the_real_networks_fit_into_what_is_live_at_their_fullest_step) {
    for (int bits = 0; bits < 32; ++bits) {
        for (const int64_t batch : {1, 3}) {
            Options options{.batch = batch, .height = 64, .width = 32};
            options.traits = traits_of(bits);
            const Plan segmenter = lower(net::unet({.depth = 3, .base_width = 8}), options);
            expect_values_keep_apart(segmenter);
            EXPECT_LE(segmenter.arena_bytes, segmenter.live_bytes * 102 / 100);
            options.keep = {"features"};
            options.rerun = {"sex"};
            const Plan scorer = lower(net::resnet34({.sex_input = true}), options);
            expect_values_keep_apart(scorer);
            EXPECT_LE(scorer.arena_bytes, scorer.live_bytes * 102 / 100);
        }
    }
}

TEST(Lower, counts_the_work_of_resnet34) {
    Options options{.batch = 1};
    const Plan published = lower(net::resnet34({.channels = 3, .outputs = 1000}), options);
    // 3.66 G multiply-adds: 118.0 M in the first convolution, 36 x 115.6 M in the full 3x3 ones less the halved first
    // of three stages, 3 x 6.4 M in the shortcuts, 0.5 M in fc.
    const int64_t first = 112 * 112 * 64 * 49 * 3;
    const int64_t full = 56 * 56 * 64 * 64 * 9;
    const int64_t shortcut = 28 * 28 * 64 * 128;
    EXPECT_EQ(total_flops(published), 2 * (first + 29 * full + 3 * full / 2 + 3 * shortcut + 512 * 1000));
    EXPECT_NEAR(static_cast<double>(total_flops(published)) / 2e9, 3.66, 0.01);
    options.batch = 16;
    EXPECT_EQ(total_flops(lower(net::resnet34({.channels = 3, .outputs = 1000}), options)),
              16 * total_flops(published));
}

TEST(Lower, reads_every_parameter_once_with_norms_folded) {
    for (const net::Graph& graph : {net::resnet34({.sex_input = true, .hidden = 8}), net::unet({})}) {
        int64_t expected = 0;
        for (const net::Parameter& parameter : net::parameters(graph)) {
            // A folded norm leaves one bias: as many numbers as its own bias.
            const bool folded_away = parameter.kind == net::ParameterKind::norm_weight || !parameter.trainable();
            const bool repeated = parameter.kind == net::ParameterKind::transposed_bias;  // once per place in the 2x2
            expected += folded_away ? 0 : parameter.size() * 4 * (repeated ? 4 : 1);
        }
        int64_t weights = 0;
        for (const PlannedStep& step : lower(graph, {.height = 64, .width = 64}).steps) {
            weights += step.weight_bytes;
        }
        EXPECT_EQ(weights, expected) << graph.name;
    }
}

TEST(Lower, counts_bytes_by_step) {
    const Plan plan =
        lower(net::unet({.channels = 3, .depth = 1, .base_width = 8}), {.batch = 2, .height = 6, .width = 10});
    const PlannedStep& conv = step_called(plan, "enc0.conv1");
    EXPECT_EQ(conv.flops, 2 * 2 * 60 * 9 * 3 * 8);
    EXPECT_EQ(conv.read_bytes, 4 * 2 * 60 * 3);
    EXPECT_EQ(conv.weight_bytes, 4 * (9 * 3 * 8 + 8));
    EXPECT_EQ(conv.write_bytes, 4 * 2 * 60 * 8);
    const PlannedStep& up = step_called(plan, "up0");
    EXPECT_EQ(up.flops, 2 * 2 * 15 * 16 * 32);
    const PlannedStep& pool = step_called(plan, "pool0");
    EXPECT_EQ(pool.flops, 0);
    EXPECT_EQ(pool.read_bytes, 4 * 2 * 60 * 8);
    EXPECT_EQ(pool.write_bytes, 4 * 2 * 15 * 8);

    const Plan scorer = lower(net::resnet34({}), {.height = 32, .width = 32});
    EXPECT_EQ(step_called(scorer, "layer1.0.conv2").read_bytes, 2 * 4 * 8 * 8 * 64) << "input and residual";
}

TEST(Lower, overwrites_every_residual_of_resnet34) {
    Options options{.height = 64, .width = 64};
    options.traits.residual_in_place = true;
    const Plan plan = lower(net::resnet34({}), options);
    int64_t in_place = 0;
    for (const PlannedStep& step : plan.steps) {
        if (const auto residual = residual_of(step.step)) {
            in_place += value(plan, *residual).buffer == value(plan, y_of(step.step)).buffer ? 1 : 0;
        }
    }
    EXPECT_EQ(in_place, 16);
    EXPECT_EQ(plan.steps.size(), 39U);
    EXPECT_LE(plan.arena_bytes, lower(net::resnet34({}), {.height = 64, .width = 64}).arena_bytes);
    options.keep = {"layer1.0"};
    const Plan kept = lower(net::resnet34({}), options);
    const auto& reader = std::get<FusedConv>(step_called(kept, "layer1.1.conv2").step);
    EXPECT_NE(value(kept, *reader.residual).buffer, value(kept, reader.y).buffer) << "a kept value must stay";
}

TEST(Lower, writes_concatenations_in_slices_where_it_may) {
    const net::Graph graph = net::unet({.depth = 4, .base_width = 8});
    Options options{.height = 64, .width = 64};
    EXPECT_EQ(count_steps<Copy>(lower(graph, options)), 4) << "the skips; depth to space always takes slices";
    options.traits.conv_writes_slices = true;
    const Plan sliced = lower(graph, options);
    EXPECT_EQ(count_steps<Copy>(sliced), 0);
    EXPECT_EQ(count_steps<DepthToSpace>(sliced), 4);
    options.traits.direct_transposed_conv = true;
    const Plan direct = lower(graph, options);
    EXPECT_EQ(count_steps<TransposedConv>(direct), 4);
    EXPECT_EQ(count_steps<DepthToSpace>(direct), 0);
    options.traits.conv_writes_slices = false;
    EXPECT_EQ(count_steps<Copy>(lower(graph, options)), 8);
}

TEST(Lower, stores_images_but_not_vectors_in_blocks) {
    Options options{.height = 64, .width = 64, .keep = {"features", "layer1.0"}};
    options.traits.channel_block = 8;
    const Plan plan = lower(net::resnet34({}), options);
    EXPECT_EQ(value(plan, find_value(plan, "layer1.0")).channel_block, 8);
    EXPECT_EQ(value(plan, find_value(plan, "features")).channel_block, 1);
    EXPECT_EQ(value(plan, find_value(plan, "image")).channel_block, 1);
    options.keep = {};
    const Plan odd = lower(net::unet({.depth = 1, .base_width = 12}), options);
    const ValueId first = y_of(step_called(odd, "enc0.conv1").step);
    EXPECT_EQ(value(odd, first).channel_block, 1) << "12 channels are not whole blocks";
}

TEST(Lower, sixteen_bits_halve_images_and_keep_heads_float32) {
    for (const Precision precision : {Precision::bf16, Precision::f16}) {
        Options options{.height = 64, .width = 64, .keep = {"features"}};
        const Plan wide = lower(net::resnet34({}), options);
        options.precision = precision;
        const Plan half = lower(net::resnet34({}), options);
        EXPECT_EQ(step_called(half, "layer1.0.conv1").write_bytes * 2, step_called(wide, "layer1.0.conv1").write_bytes);
        EXPECT_EQ(value(half, y_of(step_called(half, "layer1.0.conv1").step)).type, image_type(precision));
        EXPECT_EQ(value(half, find_value(half, "features")).type, DataType::f32);
        EXPECT_EQ(value(half, find_value(half, "image")).type, DataType::f32);
        EXPECT_EQ(count_steps<Copy>(half), 1) << "the image is converted once";
        options.keep = {};
        const Plan unet = lower(net::unet({}), options);
        EXPECT_EQ(value(unet, find_value(unet, "logits")).type, DataType::f32);
        EXPECT_EQ(count_steps<Copy>(unet), 5) << "the image, and four skips";
    }
}

TEST(Lower, tf32_stores_what_float32_stores) {
    Options options{.height = 64, .width = 64};
    const Plan f32 = lower(net::resnet34({}), options);
    options.precision = Precision::tf32;
    const Plan tf32 = lower(net::resnet34({}), options);
    EXPECT_EQ(tf32.arena_bytes, f32.arena_bytes);
    EXPECT_EQ(count_steps<Copy>(tf32), 0);
}

TEST(Lower, refuses_what_cannot_be) {
    EXPECT_THROW(lower(net::unet({.depth = 4}), {.height = 100, .width = 100}), UsageError);
    EXPECT_THROW(lower(net::resnet34({}), {.batch = 0}), UsageError);
    Options options;
    options.keep = {"layer9.0"};
    EXPECT_THROW(lower(net::resnet34({}), options), UsageError);
    options.keep = {};
    options.rerun = {"sex"};
    EXPECT_THROW(lower(net::resnet34({}), options), UsageError);
}

}  // namespace
}  // namespace boneage::plan

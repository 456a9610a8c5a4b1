#include "engine/onednn/backend.h"

#include "kernels/base/error.h"
#include "tests/support/naive_backend.h"
#include "tests/support/plan_runs.h"
#include "tests/support/random_graph.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

namespace boneage::onednn {
namespace {

using plan::Executor;
using plan::Options;
using plan::Precision;
using testing::evaluate;
using testing::expect_values;
using testing::fill;
using testing::Inputs;
using testing::NaiveBackend;
using testing::Parameters;
using testing::random_inputs;
using testing::source_of;

Options with_traits(Options options, const plan::Backend& backend) {
    options.traits = backend.traits();
    return options;
}

TEST(OneDnn, gives_what_the_graph_says_for_random_networks) {
    for (uint64_t seed = 0; seed < 240; ++seed) {
        const net::Graph graph = testing::random_graph(seed, 8, 12);
        const Parameters parameters = testing::random_parameters(graph, seed);
        const std::optional<int64_t> blocks[]{std::nullopt, 16, 1};
        const auto backend =
            make_backend({.threads = 1 + static_cast<int>(seed % 3), .channel_block = blocks[seed / 3 % 3]});
        Options options =
            with_traits({.batch = 1 + static_cast<int64_t>(seed % 4), .height = 8, .width = 12}, *backend);
        options.keep.push_back(graph.values[seed % graph.values.size()].name);
        const Inputs inputs = random_inputs(graph, options, seed);

        Executor executor(plan::lower(graph, options), *backend, source_of(parameters));
        fill(executor, inputs);
        executor.run();
        expect_values(executor, evaluate(graph, options.batch, 8, 12, parameters, inputs), 1e-5,
                      "seed " + std::to_string(seed));
    }
}

TEST(OneDnn, takes_colour_images_and_networks_narrower_than_a_block) {
    for (const int64_t channels : {1, 2, 3}) {
        for (const int64_t width : {2, 4, 8, 12}) {
            const net::Graph graph =
                net::unet({.channels = channels, .depth = 2, .base_width = width, .outputs = channels});
            const Parameters parameters = testing::random_parameters(graph, 5);
            const auto backend = make_backend({.threads = 2});
            const Options options = with_traits({.batch = 3, .height = 12, .width = 20}, *backend);
            const Inputs inputs = random_inputs(graph, options, 7);
            Executor executor(plan::lower(graph, options), *backend, source_of(parameters));
            fill(executor, inputs);
            executor.run();
            expect_values(executor, evaluate(graph, 3, 12, 20, parameters, inputs), 1e-5,
                          std::to_string(channels) + " channels, base " + std::to_string(width));
        }
    }
}

TEST(OneDnn, takes_images_of_one_pixel) {
    const net::Graph graph = net::resnet34({.channels = 1, .outputs = 2});
    const Parameters parameters = testing::random_parameters(graph, 5);
    const auto backend = make_backend({});
    const Options options = with_traits({.batch = 2, .height = 1, .width = 1}, *backend);
    const Inputs inputs = random_inputs(graph, options, 7);
    Executor executor(plan::lower(graph, options), *backend, source_of(parameters));
    fill(executor, inputs);
    executor.run();
    expect_values(executor, evaluate(graph, 2, 1, 1, parameters, inputs), 1e-5, "one pixel");
}

class OneDnnHalfInBlocks : public ::testing::TestWithParam<std::tuple<Precision, std::optional<int64_t>>> {};

TEST_P(OneDnnHalfInBlocks, rounds_where_plain_loops_round) {
    const auto& [precision, block] = GetParam();
    for (const net::Graph& graph : {net::resnet34({.channels = 1, .base_width = 32, .sex_input = true, .hidden = 16}),
                                    net::unet({.channels = 1, .depth = 3, .base_width = 8})}) {
        const Parameters parameters = testing::random_parameters(graph, 5);
        const auto backend = make_backend({.threads = 2, .channel_block = block});
        NaiveBackend naive(backend->traits());
        Options options = with_traits({.batch = 3, .height = 32, .width = 48, .precision = precision}, *backend);
        // The age, one number, may be a small difference of large ones.
        for (const net::Op& op : graph.ops) {
            if (const auto* unit = std::get_if<net::ConvUnit>(&op)) {
                options.keep.push_back(graph.values[static_cast<size_t>(unit->y)].name);
            }
        }
        const Inputs inputs = random_inputs(graph, options, 7);
        Executor executor(plan::lower(graph, options), *backend, source_of(parameters));
        Executor reference(plan::lower(graph, options), naive, source_of(parameters));
        for (Executor* each : {&executor, &reference}) {
            fill(*each, inputs);
            each->run();
        }
        for (const std::string& name : options.keep) {
            EXPECT_LE(testing::relative_distance(executor.read(name), reference.read(name)), 1e-2)
                << graph.name << " " << name;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Types, OneDnnHalfInBlocks,
                         ::testing::Combine(::testing::Values(Precision::bf16, Precision::f16),
                                            ::testing::Values(std::nullopt, std::optional<int64_t>(1))),
                         [](const auto& tested) {
                             return std::string(std::get<0>(tested.param) == Precision::bf16 ? "bf16" : "f16") +
                                    (std::get<1>(tested.param) ? "_as_pixels" : "");
                         });

// One channel of one layer that overflows gives no plausible answer, although a ReLU follows every layer but the last.
TEST(OneDnn, what_overflows_in_float16_reaches_the_answer_as_no_number) {
    for (const net::Graph& graph : {net::resnet34({.channels = 1, .base_width = 16, .sex_input = true, .hidden = 16}),
                                    net::unet({.channels = 1, .depth = 3, .base_width = 8})}) {
        const auto backend = make_backend({.threads = 2});
        const auto answers = [&](const Parameters& parameters, Precision precision, const Inputs& inputs) {
            const Options options =
                with_traits({.batch = 2, .height = 32, .width = 32, .precision = precision}, *backend);
            Executor executor(plan::lower(graph, options), *backend, source_of(parameters));
            fill(executor, inputs);
            executor.run();
            return executor.read(executor.plan().values[static_cast<size_t>(executor.plan().outputs[0])].name);
        };
        const Parameters good = testing::random_parameters(graph, 5);
        const Inputs inputs = random_inputs(graph, {.batch = 2, .height = 32, .width = 32}, 7);
        const auto finite = [](float value) { return std::isfinite(value); };
        EXPECT_TRUE(std::ranges::all_of(answers(good, Precision::f16, inputs), finite));
        int layers = 0;
        for (const net::Op& op : graph.ops) {
            const auto* unit = std::get_if<net::ConvUnit>(&op);
            if (unit == nullptr || !unit->norm) {
                continue;
            }
            Parameters parameters = good;
            parameters[unit->norm->name + ".bias"][0] = 1e5F;
            const std::vector<float> wide = answers(parameters, Precision::bf16, inputs);
            const std::vector<float> narrow = answers(parameters, Precision::f16, inputs);
            ASSERT_TRUE(std::ranges::all_of(wide, finite)) << unit->conv.name;
            EXPECT_TRUE(std::ranges::none_of(narrow, finite)) << graph.name << ", " << unit->conv.name;
            ++layers;
        }
        EXPECT_GT(layers, 10);
    }
}

TEST(OneDnn, one_broken_image_leaves_the_others_alone) {
    const net::Graph graph = net::unet({.channels = 1, .depth = 2, .base_width = 8});
    const Parameters parameters = testing::random_parameters(graph, 5);
    const auto backend = make_backend({.threads = 2});
    const Options options = with_traits({.batch = 3, .height = 16, .width = 16}, *backend);
    Inputs inputs = random_inputs(graph, options, 7);
    Executor executor(plan::lower(graph, options), *backend, source_of(parameters));
    fill(executor, inputs);
    executor.run();
    const std::vector<float> good = executor.read("logits");
    for (int64_t i = 256; i < 512; ++i) {
        inputs["image"][static_cast<size_t>(i)] = std::numeric_limits<float>::quiet_NaN();
    }
    fill(executor, inputs);
    executor.run();
    const std::vector<float> bad = executor.read("logits");
    for (size_t i = 0; i < good.size(); ++i) {
        if (i < 256 || i >= 512) {
            ASSERT_EQ(good[i], bad[i]) << "element " << i;
        }
    }
}

TEST(OneDnn, has_a_kernel_for_every_layer_whatever_its_channels) {
    for (const std::optional<int64_t> block : {std::optional<int64_t>(), std::optional<int64_t>(16)}) {
        for (const int64_t width : {4, 8, 12, 16}) {
            const net::Graph graph = net::unet({.depth = 2, .base_width = width});
            const auto backend = make_backend({.threads = 1, .channel_block = block});
            ::testing::internal::CaptureStderr();
            const Executor executor(plan::lower(graph, with_traits({.height = 32, .width = 32}, *backend)), *backend,
                                    source_of(testing::random_parameters(graph, 3)));
            EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << "width " << width;
        }
    }
}

TEST(OneDnn, refuses_impossible_options) {
    EXPECT_THROW(make_backend({.threads = 0}), UsageError);
    EXPECT_THROW(make_backend({.threads = 1, .channel_block = 4}), UsageError);
}

TEST(OneDnn, says_what_computes_another_type) {
    EXPECT_EQ(describe(Precision::f32).find("bf16 emulated"), std::string::npos);
    EXPECT_NE(describe(Precision::bf16).find("oneDNN"), std::string::npos);
    EXPECT_NE(describe(Precision::f16).find("f16 emulated"), std::string::npos);
    std::ostringstream flags;
    flags << std::ifstream("/proc/cpuinfo").rdbuf();
    const bool has_bf16 =
        flags.str().find("avx512_bf16") != std::string::npos || flags.str().find("amx_bf16") != std::string::npos;
    const bool told = describe(Precision::bf16)
                          .find(
                              "this processor has no bf16 instructions, so f32 is likely "
                              "faster") != std::string::npos;
    EXPECT_NE(told, has_bf16) << describe(Precision::bf16);
    EXPECT_NE(describe(Precision::tf32).find("computing in float32"), std::string::npos);
}

}  // namespace
}  // namespace boneage::onednn

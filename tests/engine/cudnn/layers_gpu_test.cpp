// Every layer of both networks on a GPU against the same layer on the CPU, in every precision.
#include "engine/cudnn/backend.h"
#include "engine/onednn/backend.h"
#include "kernels/base/error.h"
#include "tests/support/plan_runs.h"

#include <algorithm>
#include <cstring>

namespace boneage::cudnn {
namespace {

using plan::Executor;
using plan::Options;
using plan::Precision;
using testing::fill;
using testing::Inputs;
using testing::Parameters;
using testing::random_inputs;
using testing::source_of;

// One size for all tests: compiling a plan takes cuDNN most of a second, and those for the batch that engines are
// chosen for are needed whatever the batch.
constexpr int64_t kBatch = 64;
constexpr int64_t kHeight = 64;
constexpr int64_t kWidth = 96;

struct Case {
    const char* name;
    Precision precision;
    double most;  // relative L2 distance of a layer from the CPU's, with what all layers before it rounded
};

std::vector<net::Graph> networks() {
    return {net::resnet34({.channels = 3, .sex_input = true, .hidden = 32}),
            net::unet({.channels = 1, .depth = 4, .base_width = 16})};
}

std::vector<std::string> layers_of(const net::Graph& graph) {
    std::vector<std::string> names;
    for (const net::Op& op : graph.ops) {
        names.push_back(graph.values[static_cast<size_t>(net::made_by(op))].name);
    }
    return names;
}

std::unique_ptr<plan::Backend> gpu(Stream& stream, Precision precision) {
    return make_backend(stream, {.tf32 = precision == Precision::tf32, .autotune = false, .preparing = {}});
}

Executor ran(const net::Graph& graph, plan::Backend& backend, Options options, const Parameters& parameters,
             const Inputs& inputs) {
    options.traits = backend.traits();
    Executor executor(plan::lower(graph, options), backend, source_of(parameters));
    fill(executor, inputs);
    executor.run();
    return executor;
}

class Layers : public ::testing::TestWithParam<Case> {};

TEST_P(Layers, lie_near_the_cpus) {
    for (const net::Graph& graph : networks()) {
        const Parameters parameters = testing::random_parameters(graph, 5);
        Options options{.batch = kBatch, .height = kHeight, .width = kWidth, .precision = GetParam().precision};
        options.keep = layers_of(graph);
        const Inputs inputs = random_inputs(graph, options, 7);
        Stream stream;
        const auto device = gpu(stream, GetParam().precision);
        const auto host = onednn::make_backend({.threads = 2, .convolutions = onednn::Convolutions::direct});
        const Executor got = ran(graph, *device, options, parameters, inputs);
        const Executor want = ran(graph, *host, options, parameters, inputs);
        for (const std::string& name : options.keep) {
            const std::vector<float> values = got.read(name);
            EXPECT_LE(testing::relative_distance(values, want.read(name)), GetParam().most)
                << graph.name << " " << name;
            if (GetParam().precision == Precision::f32) {
                testing::expect_close(values, want.read(name), 1e-5, graph.name + " " + name);
            }
        }
    }
}

class BatchSizes : public Layers {};

TEST_P(BatchSizes, answer_with_the_same_bits_at_every_batch_size) {
    for (const net::Graph& graph : networks()) {
        const Parameters parameters = testing::random_parameters(graph, 5);
        const Options all{.batch = kBatch, .height = kHeight, .width = kWidth, .precision = GetParam().precision};
        const Inputs inputs = random_inputs(graph, all, 7);
        Stream stream;
        const auto device = gpu(stream, GetParam().precision);
        const auto answers = [&](int64_t batch) {
            Options options = all;
            options.batch = batch;
            Inputs first = inputs;
            for (auto& [name, values] : first) {
                values.resize(values.size() / static_cast<size_t>(kBatch) * static_cast<size_t>(batch));
            }
            const Executor executor = ran(graph, *device, options, parameters, first);
            return executor.read(executor.plan().values[static_cast<size_t>(executor.plan().outputs[0])].name);
        };
        const std::vector<float> want = answers(kBatch);
        for (const int64_t batch : {1, 3}) {
            const std::vector<float> got = answers(batch);
            ASSERT_FALSE(got.empty());
            EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)), 0)
                << graph.name << " " << batch;
        }
    }
}

class Reloaded : public Layers {};

TEST_P(Reloaded, weights_give_a_recording_the_bits_of_a_network_made_with_them) {
    for (const net::Graph& graph : networks()) {
        const Options options{.batch = kBatch, .height = kHeight, .width = kWidth, .precision = GetParam().precision};
        const Inputs inputs = random_inputs(graph, options, 7);
        const Parameters parameters = testing::random_parameters(graph, 6);
        Stream stream;
        const auto device = gpu(stream, GetParam().precision);
        const auto answers = [](const Executor& executor) {
            return executor.read(executor.plan().values[static_cast<size_t>(executor.plan().outputs[0])].name);
        };
        const std::vector<float> want = answers(ran(graph, *device, options, parameters, inputs));
        Executor executor = ran(graph, *device, options, testing::random_parameters(graph, 5), inputs);
        ASSERT_NE(answers(executor), want) << "two networks answer the same";
        const CapturedGraph recorded(stream, [&] { executor.enqueue(); });
        executor.reload(source_of(parameters));
        for (const auto& [name, values] : inputs) {
            device->upload(executor.place(name).data, values.data(),
                           static_cast<int64_t>(values.size() * sizeof(float)));
        }
        recorded.launch(stream);
        EXPECT_EQ(answers(executor), want) << graph.name;
    }
}

INSTANTIATE_TEST_SUITE_P(Precisions, BatchSizes,
                         ::testing::Values(Case{"f32", Precision::f32, 0}, Case{"tf32", Precision::tf32, 0},
                                           Case{"bf16", Precision::bf16, 0}, Case{"f16", Precision::f16, 0}),
                         [](const auto& tested) { return std::string(tested.param.name); });
INSTANTIATE_TEST_SUITE_P(Precisions, Reloaded,
                         ::testing::Values(Case{"f32", Precision::f32, 0}, Case{"bf16", Precision::bf16, 0},
                                           Case{"f16", Precision::f16, 0}),
                         [](const auto& tested) { return std::string(tested.param.name); });
// Of a layer and all before it: what each rounds away adds up.
INSTANTIATE_TEST_SUITE_P(Precisions, Layers,
                         ::testing::Values(Case{"f32", Precision::f32, 1e-5}, Case{"tf32", Precision::tf32, 5e-3},
                                           Case{"bf16", Precision::bf16, 2e-2}, Case{"f16", Precision::f16, 2e-3}),
                         [](const auto& tested) { return std::string(tested.param.name); });

// cuDNN's ReLU must hand NaN on: otherwise what overflowed becomes an age like any other.
TEST(CudnnHalf, what_overflows_in_float16_reaches_the_answer_as_no_number) {
    for (const net::Graph& graph : networks()) {
        const Options options{.batch = kBatch, .height = kHeight, .width = kWidth, .precision = Precision::f16};
        const Inputs inputs = random_inputs(graph, options, 7);
        Stream stream;
        const auto device = gpu(stream, Precision::f16);
        for (const net::Op& op : graph.ops) {
            const auto* unit = std::get_if<net::ConvUnit>(&op);
            if (unit == nullptr || !unit->norm) {
                continue;
            }
            Parameters parameters = testing::random_parameters(graph, 5);
            parameters[unit->norm->name + ".bias"][0] = 1e5F;
            const Executor executor = ran(graph, *device, options, parameters, inputs);
            const auto answers =
                executor.read(executor.plan().values[static_cast<size_t>(executor.plan().outputs[0])].name);
            EXPECT_TRUE(std::ranges::none_of(answers, [](float value) { return std::isfinite(value); }))
                << graph.name << ", " << unit->conv.name;
        }
    }
}

// The fastest engine, whichever it is, computes what the others compute.
TEST(CudnnAutotune, gives_the_answer_of_the_heuristics_within_the_tolerance_of_the_precision) {
    const net::Graph graph = net::unet({.channels = 1, .depth = 0, .base_width = 8});
    const Parameters parameters = testing::random_parameters(graph, 5);
    const Options options{.batch = 64, .height = 32, .width = 32, .precision = Precision::bf16};
    const Inputs inputs = random_inputs(graph, options, 7);
    Stream stream;
    int prepared = 0;
    const auto measured =
        make_backend(stream, {.tf32 = false, .autotune = true, .preparing = [&](std::string_view) { ++prepared; }});
    const auto trusted = gpu(stream, Precision::bf16);
    const std::vector<float> got = ran(graph, *measured, options, parameters, inputs).read("logits");
    const std::vector<float> want = ran(graph, *trusted, options, parameters, inputs).read("logits");
    EXPECT_LE(testing::relative_distance(got, want), 1e-2);
    const int first = prepared;
    const auto again =
        make_backend(stream, {.tf32 = false, .autotune = true, .preparing = [&](std::string_view) { ++prepared; }});
    EXPECT_EQ(ran(graph, *again, options, parameters, inputs).read("logits"), got) << "kept on disk: the same engines";
    EXPECT_EQ(prepared, first) << "nothing was measured again";
}

}  // namespace
}  // namespace boneage::cudnn

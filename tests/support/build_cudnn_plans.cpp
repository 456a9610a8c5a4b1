// Builds, without a device, the cuDNN graphs that the product's networks need, two lines each:
//
//   build_cudnn_plans DEVICE.json SM f32|tf32|bf16|f16 scoring|training FIRST
//   0 start <name>
//   0 built <engine>        or: 0 refused <why>
//
// FIRST is the number of the first graph to build: cuDNN may crash, and then the rest is built by another process. The
// last line is "end". A built graph was, where smaller_batches() says so, built for those as well by the same engine:
// the same bits at every batch size depend on it.
//
// CI's time decides what is built. Scoring: the shipped models, the usual segmenter and the first layer of three
// channels, at the sizes of the shipped recipe; other sizes, the same layers, are left out. Training takes little time.
#include "engine/cudnn/backend.h"
#include "engine/cudnn/conv.h"
#include "engine/cudnn/training_backend.h"
#include "engine/cudnn/training_conv.h"
#include "engine/io/model_file.h"
#include "engine/net/parameters.h"
#include "engine/pipeline/age_network.h"
#include "engine/pipeline/recipe.h"
#include "engine/pipeline/segmenter.h"
#include "engine/plan/executor.h"

#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

namespace boneage {
namespace {

struct Wanted {
    cudnn::GraphSpec graph;
    cudnn::Arithmetic arithmetic;
    bool smaller = false;  // whether it is built for smaller batches too
};
using Graphs = std::map<std::string, Wanted>;

// The batch size that scoring chooses engines for, and judging uses.
constexpr int64_t kBatch = 64;

// Takes note of the convolutions and runs nothing.
class Recorder final : public plan::Backend {
public:
    [[nodiscard]] plan::Traits traits() const override { return cudnn::kTraits; }
    [[nodiscard]] plan::Memory allocate(int64_t bytes) override {
        return {new std::byte[static_cast<size_t>(bytes)], [](std::byte* memory) { delete[] memory; }};
    }
    [[nodiscard]] bool host_addressable() const override { return false; }
    void upload(std::byte*, const void*, int64_t) override {}
    void download(void*, const std::byte*, int64_t) override {}
    void synchronize() override {}

    using Made = std::unique_ptr<plan::Runnable>;
    Made make(const plan::FusedConv& step, const plan::Operands& at, const plan::Weights&) override {
        const cudnn::FusedConvGraph graph = cudnn::graph_of(step, at);
        const cudnn::Arithmetic arithmetic = cudnn::arithmetic_of(at, tf32);
        Wanted& wanted = graphs.try_emplace(cudnn::name_of(graph, arithmetic), Wanted{graph, arithmetic}).first->second;
        wanted.smaller = wanted.smaller || smaller;
        return nothing();
    }
    Made make(const plan::MaxPool&, const plan::Operands&) override { return nothing(); }
    Made make(const plan::GlobalAvgPool&, const plan::Operands&) override { return nothing(); }
    Made make(const plan::Linear&, const plan::Operands&, const plan::Weights&) override { return nothing(); }
    Made make(const plan::TransposedConv&, const plan::Operands&, const plan::Weights&) override { return nothing(); }
    Made make(const plan::DepthToSpace&, const plan::Operands&) override { return nothing(); }
    Made make(const plan::Copy&, const plan::Operands&) override { return nothing(); }

    bool tf32 = false;
    bool smaller = false;  // as Wanted has it, for what comes next
    Graphs graphs;

private:
    struct Nothing final : plan::Runnable {
        void run(std::byte*) override {}
    };
    static Made nothing() { return std::make_unique<Nothing>(); }
};

void record(Recorder& recorder, const net::Graph& graph, plan::Plan plan) {
    std::map<std::string, int64_t, std::less<>> sizes;
    for (const net::Parameter& parameter : net::parameters(graph)) {
        sizes[parameter.name] = parameter.size();
    }
    const plan::ParameterSource zeros = [&](std::string_view name) {
        return std::vector<float>(static_cast<size_t>(sizes.find(name)->second), 0.0F);
    };
    plan::Executor(std::move(plan), recorder, zeros);
}

Graphs scoring_graphs(plan::Precision precision) {
    Recorder recorder;
    recorder.tf32 = precision == plan::Precision::tf32;
    const auto ages = [&](const net::ResNet34Spec& spec, const pipeline::Recipe& recipe) {
        record(recorder, net::resnet34(spec), pipeline::lower_age_network(spec, recipe, recorder, precision, kBatch));
    };
    const auto masks = [&](const net::UnetSpec& spec, const pipeline::Recipe& recipe) {
        record(recorder, net::unet(spec), pipeline::lower_segmenter(spec, recipe.segment, recorder, precision, kBatch));
    };
    const io::ModelCard shipped = io::ModelFile(BONEAGE_SHIPPED_WEIGHTS "/resnet34.safetensors").card();
    const io::ModelCard segmenter = io::ModelFile(BONEAGE_SHIPPED_WEIGHTS "/unet.safetensors").card();
    const pipeline::Recipe recipe = pipeline::recipe_from_json(shipped.recipe);
    const auto& ages_spec = std::get<net::ResNet34Spec>(shipped.architecture);
    recorder.smaller = true;
    ages(ages_spec, recipe);
    masks(std::get<net::UnetSpec>(segmenter.architecture), recipe);
    recorder.smaller = precision == plan::Precision::f32 || precision == plan::Precision::tf32;
    masks({}, recipe);
    net::ResNet34Spec coloured = ages_spec;
    coloured.channels = 3;
    ages(coloured, recipe);
    return recorder.graphs;
}

void record_training(Graphs& graphs, const net::Graph& network, plan::Loss loss, int64_t batch, int64_t height,
                     int64_t width, plan::Precision precision) {
    plan::TrainingOptions options;
    options.batch = batch;
    options.height = height;
    options.width = width;
    options.precision = precision;
    options.loss = loss;
    options.traits = cudnn::kTrainingTraits;
    const plan::TrainingPlan plan = plan::lower_training(network, options);
    for (const plan::PlannedTrainingStep& planned : plan.steps) {
        std::visit(
            [&](const auto& step) {
                if constexpr (requires { cudnn::graph_of(step, plan); }) {
                    const cudnn::GraphSpec graph = cudnn::graph_of(step, plan);
                    graphs.emplace(cudnn::name_of(graph, cudnn::arithmetic_of(plan)),
                                   Wanted{graph, cudnn::arithmetic_of(plan)});
                }
            },
            planned.step);
    }
}

Graphs training_graphs(plan::Precision precision) {
    Graphs graphs;
    const auto ages = [&](int64_t channels, int64_t batch, int64_t height, int64_t width) {
        record_training(graphs, net::resnet34({.channels = channels, .sex_input = true, .hidden = 0, .outputs = 1}),
                        plan::Loss::absolute_error, batch, height, width, precision);
    };
    const auto masks = [&](const net::UnetSpec& spec, int64_t batch) {
        record_training(graphs, net::unet(spec), plan::Loss::segmentation, batch, 256, 256, precision);
    };
    ages(1, 64, 224, 224);
    ages(3, 128, 256, 256);
    ages(1, 256, 320, 320);
    masks({}, 16);
    masks({}, 64);
    masks({.base_width = 8}, 8);
    // Those of tools/gpu_check.sh.
    ages(1, 2, 80, 64);
    ages(1, 64, 288, 224);
    return graphs;
}

// The smaller batches that a graph is built for by the engine of the usual one: one image is what a training of masks
// is judged by, 8 and 32 are what a batch is halved to that has no room in memory. What a build takes decides how many
// of them: 0.3 s in 16 bits, 1 s to 10 s where float32 adds a residual, else nothing. float16 gets the engines of bf16.
std::set<int64_t> smaller_batches(const Wanted& wanted, int sm) {
    const auto* fused = std::get_if<cudnn::FusedConvGraph>(&wanted.graph);
    if (!wanted.smaller || fused == nullptr) {
        return {};
    }
    switch (wanted.arithmetic) {
        case cudnn::Arithmetic::float32:
            if (fused->residual) {
                return sm == 90 ? std::set<int64_t>{1} : std::set<int64_t>{};
            }
            return {1, 8, 32};
        case cudnn::Arithmetic::tf32:
            return {1, 8, 32};
        case cudnn::Arithmetic::bfloat16:
            return sm == 90 ? std::set<int64_t>{1} : std::set<int64_t>{};
        case cudnn::Arithmetic::float16:
            return {};
    }
    return {};
}

int run(int count, char** words) {
    if (count != 6) {
        std::cerr << "build_cudnn_plans DEVICE.json SM f32|tf32|bf16|f16 scoring|training FIRST\n";
        return 2;
    }
    std::ostringstream device;
    device << std::ifstream(words[1]).rdbuf();
    const int sm = std::stoi(words[2]);
    const std::string mode = words[3];
    const std::string purpose = words[4];
    const size_t first = std::stoul(words[5]);
    const std::map<std::string, plan::Precision> precisions{{"f32", plan::Precision::f32},
                                                            {"tf32", plan::Precision::tf32},
                                                            {"bf16", plan::Precision::bf16},
                                                            {"f16", plan::Precision::f16}};
    const plan::Precision precision = precisions.at(mode);
    const Graphs graphs = purpose == "training" ? training_graphs(precision) : scoring_graphs(precision);
    size_t number = 0;
    for (const auto& [name, wanted] : graphs) {
        if (number >= first) {
            std::cout << number << " start " << name << std::endl;
            try {
                const auto build = [&, arithmetic = wanted.arithmetic](const cudnn::GraphSpec& graph,
                                                                       const cudnn::EngineName& engine = "") {
                    return cudnn::Plan::build_without_device(device.str(), sm, graph, arithmetic, engine);
                };
                const cudnn::Plan plan = build(wanted.graph);
                for (const int64_t batch : smaller_batches(wanted, sm)) {
                    cudnn::GraphSpec other = wanted.graph;
                    std::visit([&](auto& any) { any.conv.n = batch; }, other);
                    build(other, plan.engine_name());
                }
                std::cout << number << " built " << plan.engine_name() << std::endl;
            } catch (const std::exception& error) {
                std::cout << number << " refused " << error.what() << std::endl;
            }
        }
        ++number;
    }
    std::cout << "end" << std::endl;
    return 0;
}

}  // namespace
}  // namespace boneage

int main(int count, char** words) {
    try {
        return boneage::run(count, words);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}

// Builds, without a device, the cuDNN graphs that the product's networks need, two lines each:
//
//   build_cudnn_plans DEVICE.json SM f32|tf32|bf16|f16 scoring|batches|training FIRST
//   0 start <name>
//   0 built <engine>        or: 0 refused <why>
//
// `batches` builds a segmenter's also for a batch of 1, by the engines of the usual batch: the same bits depend on it.
// FIRST is the number of the first graph to build: cuDNN may crash, and then the rest is built by another process.
// The last line is "end".
#include "engine/cudnn/backend.h"
#include "engine/cudnn/conv.h"
#include "engine/cudnn/training_backend.h"
#include "engine/cudnn/training_conv.h"
#include "engine/net/parameters.h"
#include "engine/plan/executor.h"

#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

namespace boneage {
namespace {

using Graphs = std::map<std::string, std::pair<cudnn::GraphSpec, cudnn::Arithmetic>>;

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
        graphs.emplace(cudnn::name_of(graph, cudnn::arithmetic_of(at, tf32)),
                       std::pair{graph, cudnn::arithmetic_of(at, tf32)});
        return nothing();
    }
    Made make(const plan::MaxPool&, const plan::Operands&) override { return nothing(); }
    Made make(const plan::GlobalAvgPool&, const plan::Operands&) override { return nothing(); }
    Made make(const plan::Linear&, const plan::Operands&, const plan::Weights&) override { return nothing(); }
    Made make(const plan::TransposedConv&, const plan::Operands&, const plan::Weights&) override { return nothing(); }
    Made make(const plan::DepthToSpace&, const plan::Operands&) override { return nothing(); }
    Made make(const plan::Copy&, const plan::Operands&) override { return nothing(); }

    bool tf32 = false;
    Graphs graphs;

private:
    struct Nothing final : plan::Runnable {
        void run(std::byte*) override {}
    };
    static Made nothing() { return std::make_unique<Nothing>(); }
};

void record(Recorder& recorder, const net::Graph& graph, int64_t batch, int64_t side, plan::Precision precision) {
    plan::Options options;
    options.batch = batch;
    options.height = side;
    options.width = side;
    options.precision = precision;
    options.traits = recorder.traits();
    std::map<std::string, int64_t, std::less<>> sizes;
    for (const net::Parameter& parameter : net::parameters(graph)) {
        sizes[parameter.name] = parameter.size();
    }
    const plan::ParameterSource zeros = [&](std::string_view name) {
        return std::vector<float>(static_cast<size_t>(sizes.find(name)->second), 0.0F);
    };
    plan::Executor(plan::lower(graph, options), recorder, zeros);
}

// Of a segmenter like the one in weights/.
Graphs segmenter_graphs(plan::Precision precision) {
    Recorder recorder;
    recorder.tf32 = precision == plan::Precision::tf32;
    record(recorder, net::unet({.base_width = 8}), 64, 256, precision);
    return recorder.graphs;
}

Graphs scoring_graphs(plan::Precision precision) {
    Recorder recorder;
    recorder.tf32 = precision == plan::Precision::tf32;
    record(recorder, net::resnet34({.channels = 1, .sex_input = true, .hidden = 0, .outputs = 1}), 64, 224, precision);
    record(recorder, net::resnet34({.channels = 3, .sex_input = false, .hidden = 0, .outputs = 1}), 64, 224, precision);
    record(recorder, net::unet({}), 64, 256, precision);
    return recorder.graphs;
}

void record_training(Graphs& graphs, const net::Graph& network, plan::Loss loss, int64_t batch, int64_t side,
                     plan::Precision precision) {
    plan::TrainingOptions options;
    options.batch = batch;
    options.height = side;
    options.width = side;
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
                                   std::pair{graph, cudnn::arithmetic_of(plan)});
                }
            },
            planned.step);
    }
}

Graphs training_graphs(plan::Precision precision) {
    Graphs graphs;
    const auto record_ages = [&](int64_t channels, int64_t batch, int64_t side) {
        record_training(graphs, net::resnet34({.channels = channels, .sex_input = true, .hidden = 0, .outputs = 1}),
                        plan::Loss::absolute_error, batch, side, precision);
    };
    record_ages(1, 64, 224);
    record_ages(3, 128, 256);
    record_ages(1, 256, 320);
    for (const int64_t batch : {16, 64}) {
        record_training(graphs, net::unet({}), plan::Loss::segmentation, batch, 256, precision);
    }
    record_training(graphs, net::unet({.base_width = 8}), plan::Loss::segmentation, 8, 256, precision);
    return graphs;
}

int run(int count, char** words) {
    if (count != 6) {
        std::cerr << "build_cudnn_plans DEVICE.json SM f32|tf32|bf16|f16 scoring|batches|training FIRST\n";
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
    const Graphs graphs = purpose == "training"  ? training_graphs(precision)
                          : purpose == "batches" ? segmenter_graphs(precision)
                                                 : scoring_graphs(precision);
    size_t number = 0;
    for (const auto& [name, graph] : graphs) {
        if (number >= first) {
            std::cout << number << " start " << name << std::endl;
            try {
                const auto plan = cudnn::Plan::build_without_device(device.str(), sm, graph.first, graph.second);
                if (purpose == "batches") {
                    cudnn::GraphSpec alone = graph.first;
                    std::visit([](auto& any) { any.conv.n = 1; }, alone);
                    cudnn::Plan::build_without_device(device.str(), sm, alone, graph.second, plan.engine_name());
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

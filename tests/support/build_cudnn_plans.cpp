// Builds, without a device, the cuDNN graphs that the product's networks need, two lines each:
//
//   build_cudnn_plans DEVICE.json SM f32|tf32|bf16|f16 FIRST
//   0 start <name>
//   0 built <engine>        or: 0 refused <why>
//
// FIRST is the number of the first graph to build: cuDNN may crash, and then the rest is built by another process. The
// last line is "end".
#include "engine/cudnn/backend.h"
#include "engine/cudnn/conv.h"
#include "engine/net/parameters.h"
#include "engine/plan/executor.h"

#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

namespace boneage {
namespace {

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
    std::map<std::string, std::pair<cudnn::GraphSpec, cudnn::Arithmetic>> graphs;

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

int run(int count, char** words) {
    if (count != 5) {
        std::cerr << "build_cudnn_plans DEVICE.json SM f32|tf32|bf16|f16 FIRST\n";
        return 2;
    }
    std::ostringstream device;
    device << std::ifstream(words[1]).rdbuf();
    const int sm = std::stoi(words[2]);
    const std::string mode = words[3];
    const size_t first = std::stoul(words[4]);
    Recorder recorder;
    recorder.tf32 = mode == "tf32";
    const std::map<std::string, plan::Precision> precisions{{"f32", plan::Precision::f32},
                                                            {"tf32", plan::Precision::tf32},
                                                            {"bf16", plan::Precision::bf16},
                                                            {"f16", plan::Precision::f16}};
    const plan::Precision precision = precisions.at(mode);
    record(recorder, net::resnet34({.channels = 1, .sex_input = true, .hidden = 0, .outputs = 1}), 64, 224, precision);
    record(recorder, net::resnet34({.channels = 3, .sex_input = false, .hidden = 0, .outputs = 1}), 64, 256, precision);
    record(recorder, net::unet({}), 64, 256, precision);
    size_t number = 0;
    for (const auto& [name, graph] : recorder.graphs) {
        if (number >= first) {
            std::cout << number << " start " << name << std::endl;
            try {
                const auto plan = cudnn::Plan::build_without_device(device.str(), sm, graph.first, graph.second);
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
    return boneage::run(count, words);
}

// The networks on a GPU: a whole batch recorded as one graph and timed with a cold L2, beside the same graph with
// nothing but its convolutions, which is what cuDNN alone takes.
#include "bench/gpu/device_scene.h"
#include "engine/cudnn/backend.h"
#include "engine/io/model_file.h"
#include "engine/plan/cost_model.h"
#include "engine/plan/describe.h"
#include "engine/plan/executor.h"

#include <cstdlib>

namespace boneage::bench {
namespace {

using plan::Precision;

// A back end whose steps other than convolutions do nothing.
class ConvolutionsOnly final : public plan::Backend {
public:
    explicit ConvolutionsOnly(plan::Backend& inner) : inner_(inner) {}

    [[nodiscard]] plan::Traits traits() const override { return inner_.traits(); }
    [[nodiscard]] plan::Memory allocate(int64_t bytes) override { return inner_.allocate(bytes); }
    [[nodiscard]] bool host_addressable() const override { return inner_.host_addressable(); }
    void upload(std::byte* to, const void* from, int64_t bytes) override { inner_.upload(to, from, bytes); }
    void download(void* to, const std::byte* from, int64_t bytes) override { inner_.download(to, from, bytes); }
    void synchronize() override { inner_.synchronize(); }

    using Made = std::unique_ptr<plan::Runnable>;
    Made make(const plan::FusedConv& step, const plan::Operands& at, const plan::Weights& weights) override {
        return inner_.make(step, at, weights);
    }
    Made make(const plan::MaxPool&, const plan::Operands&) override { return nothing(); }
    Made make(const plan::GlobalAvgPool&, const plan::Operands&) override { return nothing(); }
    Made make(const plan::Linear&, const plan::Operands&, const plan::Weights&) override { return nothing(); }
    Made make(const plan::TransposedConv& step, const plan::Operands& at, const plan::Weights& weights) override {
        return inner_.make(step, at, weights);
    }
    Made make(const plan::DepthToSpace&, const plan::Operands&) override { return nothing(); }
    Made make(const plan::Copy&, const plan::Operands&) override { return nothing(); }

private:
    struct Nothing final : plan::Runnable {
        void run(std::byte*) override {}
    };
    static Made nothing() { return std::make_unique<Nothing>(); }

    plan::Backend& inner_;
};

struct Network {
    net::Graph graph;
    int64_t side;
    Precision precision;
};

plan::Plan planned(const Network& network, int64_t batch) {
    plan::Options options;
    options.batch = batch;
    options.height = network.side;
    options.width = network.side;
    options.precision = network.precision;
    options.traits = cudnn::kTraits;
    return plan::lower(network.graph, options);
}

// The graph of one batch.
CapturedGraph recorded(const Stream& stream, plan::Executor& executor) {
    plan::fill_like_an_image(executor.input("image"));
    executor.run();
    return {stream, [&] { executor.enqueue(); }};
}

void run(benchmark::State& state, const Network& network, bool only_convolutions) {
    TimedDevice* const device = timed_device(state);
    if (device == nullptr) {
        return;
    }
    const int64_t batch = state.range(0);
    const auto backend =
        cudnn::make_backend(device->stream(), {.tf32 = network.precision == Precision::tf32,
                                               .autotune = std::getenv("BONEAGE_BENCH_AUTOTUNE") != nullptr,
                                               .preparing = {}});
    ConvolutionsOnly convolutions(*backend);
    plan::Executor executor(planned(network, batch),
                            only_convolutions ? static_cast<plan::Backend&>(convolutions) : *backend,
                            io::initial_parameters(network.graph, 1));
    const CapturedGraph graph = recorded(device->stream(), executor);
    const double milliseconds = time_graph(state, *device, graph);
    state.counters["images_per_s"] = static_cast<double>(batch) * 1000 / milliseconds;
    state.counters["tflops"] = static_cast<double>(plan::total_flops(executor.plan())) / (milliseconds * 1e9);
    if (!only_convolutions && device->stream().device().name.find("H200") != std::string::npos) {
        const double roof = plan::roof_seconds(executor.plan(), plan::machine("h200"));
        state.counters["share_of_roof_model"] = roof * 1000 / milliseconds;
    }
}

[[maybe_unused]] const bool kRegistered = [] {
    benchmark::AddCustomContext("l2", "overwritten before every run");
    benchmark::AddCustomContext("engines",
                                std::getenv("BONEAGE_BENCH_AUTOTUNE") != nullptr ? "measured" : "heuristics");
    const auto add = [](const std::string& name, const Network& network, const std::vector<int64_t>& batches) {
        for (const bool only_convolutions : {false, true}) {
            benchmark::RegisterBenchmark(
                (name + "_" + plan::name_of(network.precision) + (only_convolutions ? "_convolutions" : "")).c_str(),
                [=](benchmark::State& state) { run(state, network, only_convolutions); })
                ->ArgName("batch")
                ->ArgsProduct({batches})
                ->UseManualTime()
                ->Unit(benchmark::kMicrosecond);
        }
    };
    const net::Graph resnet34 = net::resnet34({.channels = 3, .sex_input = false, .hidden = 0, .outputs = 1});
    const net::Graph unet = net::unet({});
    // cuDNN compiles for seconds for every batch size and precision, so the commonest alone is seen at several.
    for (const Precision precision : {Precision::bf16, Precision::f16, Precision::tf32, Precision::f32}) {
        const bool common = precision == Precision::bf16;
        add("resnet34_256", {resnet34, 256, precision},
            common ? std::vector<int64_t>{1, 64, 256} : std::vector<int64_t>{64});
        add("unet_256", {unet, 256, precision}, common ? std::vector<int64_t>{1, 64} : std::vector<int64_t>{64});
    }
    return true;
}();

}  // namespace
}  // namespace boneage::bench

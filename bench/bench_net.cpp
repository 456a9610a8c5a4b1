// The networks on the CPU beside the most multiply-adds the same threads can do, measured in turns with them.
#include "bench/peak.h"
#include "engine/io/model_file.h"
#include "engine/onednn/backend.h"
#include "engine/plan/executor.h"

#include <benchmark/benchmark.h>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace boneage::bench {
namespace {

// A network as one worker runs it: with its own executor and threads, on weights that all workers share.
class Worker {
public:
    Worker(const net::Graph& graph, int64_t side, plan::Precision precision, int64_t batch,
           const onednn::BackendOptions& processors)
        : backend_(onednn::make_backend(processors)) {
        plan::Options options;
        options.batch = batch;
        options.height = side;
        options.width = side;
        options.precision = precision;
        options.traits = backend_->traits();
        executor_ =
            std::make_unique<plan::Executor>(plan::lower(graph, options), *backend_, io::initial_parameters(graph, 1));
    }

    void fill() { plan::fill_like_an_image(executor_->input("image")); }
    void run() { executor_->run(); }
    [[nodiscard]] int64_t flops() const { return plan::total_flops(executor_->plan()); }

private:
    std::unique_ptr<plan::Backend> backend_;
    std::unique_ptr<plan::Executor> executor_;
};

// One network in turns with the peak: images a second, GFLOP/s, and the share of the peak. Medians. `workers` of
// `threads` threads each run a batch at the same time.
void network(benchmark::State& state, const net::Graph& graph, int64_t side, plan::Precision precision, int64_t workers,
             int threads) {
    const int64_t batch = state.range(0);
    const onednn::BackendOptions processors{.threads = threads, .weights = std::make_shared<onednn::WeightStore>()};
    std::vector<std::unique_ptr<Worker>> team;
    for (int64_t i = 0; i < workers; ++i) {
        team.push_back(std::make_unique<Worker>(graph, side, precision, batch, processors));
    }
    const auto fill = [&] {
        for (const auto& worker : team) {
            worker->fill();
        }
    };
    const auto run = [&] {
        std::vector<std::jthread> others;
        for (size_t i = 1; i < team.size(); ++i) {
            others.emplace_back([&worker = *team[i]] { worker.run(); });
        }
        team.front()->run();
    };
    fill();
    run();
    in_turns_with_peak(state, workers * batch, static_cast<int>(workers) * threads, workers * team.front()->flops(),
                       fill, run);
}

[[maybe_unused]] const bool kRegistered = [] {
    using Run = std::function<void(benchmark::State&)>;
    const auto add_with = [](const std::string& name, const char* second, const std::vector<int64_t>& batches,
                             const Run& run) {
        benchmark::RegisterBenchmark(name.c_str(), run)
            ->ArgNames({"batch", second})
            ->ArgsProduct({batches, {1, 2}})
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
    };
    const auto add = [&](const std::string& name, const net::Graph& graph, int64_t side, plan::Precision precision,
                         const std::vector<int64_t>& batches) {
        add_with(name, "threads", batches, [=](benchmark::State& state) {
            network(state, graph, side, precision, 1, static_cast<int>(state.range(1)));
        });
    };
    // As folders are scored.
    const auto add_workers = [&](const std::string& name, const net::Graph& graph, int64_t side,
                                 plan::Precision precision, const std::vector<int64_t>& batches) {
        add_with(name, "workers", batches,
                 [=](benchmark::State& state) { network(state, graph, side, precision, state.range(1), 1); });
    };
    const net::Graph resnet34 = net::resnet34({.channels = 3, .sex_input = false, .hidden = 0, .outputs = 1});
    const net::Graph unet = net::unet({});
    add("resnet34_224_f32", resnet34, 224, plan::Precision::f32, {1, 8, 16});
    add("resnet34_224_bf16", resnet34, 224, plan::Precision::bf16, {8});
    add_workers("resnet34_224_f32", resnet34, 224, plan::Precision::f32, {8});
    add_workers("resnet34_224_bf16", resnet34, 224, plan::Precision::bf16, {8});
    add("unet_256_f32", unet, 256, plan::Precision::f32, {1, 4});
    return true;
}();

}  // namespace
}  // namespace boneage::bench

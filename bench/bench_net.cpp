// The networks on the CPU beside the most multiply-adds the same threads can do, measured in turns with them.
#include "bench/peak.h"
#include "engine/io/model_file.h"
#include "engine/onednn/backend.h"
#include "engine/plan/executor.h"

#include <benchmark/benchmark.h>
#include <string>
#include <vector>

namespace boneage::bench {
namespace {

// One network in turns with the peak: images a second, GFLOP/s, and the share of the peak. Medians.
void network(benchmark::State& state, const net::Graph& graph, int64_t side, plan::Precision precision) {
    const int64_t batch = state.range(0);
    const auto threads = static_cast<int>(state.range(1));
    const auto backend = onednn::make_backend({.threads = threads, .channel_block = std::nullopt});
    plan::Options options;
    options.batch = batch;
    options.height = side;
    options.width = side;
    options.precision = precision;
    options.traits = backend->traits();
    plan::Executor executor(plan::lower(graph, options), *backend, io::initial_parameters(graph, 1));
    const auto fill = [&] {
        const std::span<float> input = executor.input("image");
        for (size_t i = 0; i < input.size(); ++i) {
            input[i] = static_cast<float>(i % 251) / 125.0F - 1.0F;
        }
    };
    fill();
    executor.run();
    in_turns_with_peak(state, batch, threads, plan::total_flops(executor.plan()), fill, [&] { executor.run(); });
}

[[maybe_unused]] const bool kRegistered = [] {
    const auto add = [](const std::string& name, const net::Graph& graph, int64_t side, plan::Precision precision,
                        const std::vector<int64_t>& batches) {
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& state) { network(state, graph, side, precision); })
            ->ArgNames({"batch", "threads"})
            ->ArgsProduct({batches, {1, 2}})
            ->UseManualTime()
            ->Unit(benchmark::kMillisecond);
    };
    const net::Graph resnet34 = net::resnet34({.channels = 3, .sex_input = false, .hidden = 0, .outputs = 1});
    const net::Graph unet = net::unet({});
    add("resnet34_224_f32", resnet34, 224, plan::Precision::f32, {1, 8, 16});
    add("resnet34_224_bf16", resnet34, 224, plan::Precision::bf16, {8});
    add("unet_256_f32", unet, 256, plan::Precision::f32, {1, 4});
    return true;
}();

}  // namespace
}  // namespace boneage::bench

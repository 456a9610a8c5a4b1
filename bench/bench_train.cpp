// One step of training on the CPU (forward, loss, backward, Adam) beside the most multiply-adds the same threads can
// do, measured in turns with it, and its memory beside what its plan said.
#include "bench/peak.h"
#include "engine/io/model_file.h"
#include "engine/onednn/training_backend.h"
#include "engine/plan/training_executor.h"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <fstream>
#include <malloc.h>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace boneage::bench {
namespace {

// A line of Linux's account of this process, in bytes: "VmRSS" what is resident, "VmHWM" the most that ever was.
std::optional<int64_t> resident(const std::string& line) {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        if (int64_t kib = 0; word == line + ":" && status >> kib) {
            return kib * 1024;
        }
    }
    return std::nullopt;
}

// From now on "VmHWM" tells the most since now. False where the system does not let us.
bool forget_peak() {
    std::ofstream file("/proc/self/clear_refs");
    file << "5" << std::flush;
    return file.good();
}

struct Case {
    net::Graph graph;
    int64_t side = 0;
    plan::Precision precision = plan::Precision::f32;
    onednn::Convolutions convolutions = onednn::Convolutions::direct;
    plan::Loss loss = plan::Loss::absolute_error;
};

// Any numbers will do: no time depends on them. Targets are half ones, as masks' are; every image counts.
void fill_inputs(plan::TrainingExecutor& executor, plan::Loss loss) {
    plan::fill_like_an_image(executor.input("image"));
    const std::span<float> targets = executor.input("targets");
    for (size_t i = 0; i < targets.size(); ++i) {
        targets[i] = static_cast<float>(i % 2);
    }
    if (loss == plan::Loss::absolute_error) {
        std::ranges::fill(executor.input("weights"), 1.0F);
    }
}

// One step in turns with the peak: images a second and GFLOP/s as plain convolutions count them, which Winograd's do
// with fewer. Medians. Then what the first step made resident, as a multiple of what the executor had announced.
void training(benchmark::State& state, const Case& given) {
    const int64_t batch = state.range(0);
    const auto threads = static_cast<int>(state.range(1));
    malloc_trim(0);
    const std::optional<int64_t> before = resident("VmRSS");
    const auto backend = onednn::make_training_backend(threads, given.convolutions);
    plan::TrainingOptions options;
    options.batch = batch;
    options.height = given.side;
    options.width = given.side;
    options.precision = given.precision;
    options.loss = given.loss;
    options.traits = backend->traits();
    plan::TrainingExecutor executor(plan::lower_training(given.graph, options), *backend,
                                    io::initial_parameters(given.graph, 1));
    malloc_trim(0);
    const bool peak_is_known = before && forget_peak();
    const auto fill = [&] { fill_inputs(executor, given.loss); };
    const auto step = [&] { executor.train({}); };
    fill();
    step();
    if (peak_is_known) {
        const auto announced = static_cast<double>(executor.memory_bytes());
        const auto peak = static_cast<double>(resident("VmHWM").value_or(0) - *before);
        state.counters["announced_MB"] = announced / 1e6;
        state.counters["peak_MB"] = peak / 1e6;
        state.counters["peak_over_announced"] = peak / announced;
    }
    in_turns_with_peak(state, batch, threads, plan::total_flops(executor.plan()), fill, step);
}

[[maybe_unused]] const bool kRegistered = [] {
    const auto add = [](const std::string& name, Case given, int64_t batch) {
        constexpr auto kDirect = onednn::Convolutions::direct;
        constexpr auto kWinograd = onednn::Convolutions::winograd;
        for (const auto& [way, precision, convolutions] : {std::tuple{"_f32_winograd", plan::Precision::f32, kWinograd},
                                                           std::tuple{"_f32_direct", plan::Precision::f32, kDirect},
                                                           std::tuple{"_bf16", plan::Precision::bf16, kDirect}}) {
            given.precision = precision;
            given.convolutions = convolutions;
            benchmark::RegisterBenchmark((name + way).c_str(),
                                         [given](benchmark::State& state) { training(state, given); })
                ->ArgNames({"batch", "threads"})
                ->ArgsProduct({{batch}, {1, 2}})
                ->UseManualTime()
                ->Unit(benchmark::kMillisecond);
        }
    };
    const net::Graph resnet34 = net::resnet34({.channels = 3, .sex_input = false, .hidden = 0, .outputs = 1});
    add("resnet34_224", {.graph = resnet34, .side = 224}, 16);
    add("unet_256", {.graph = net::unet({}), .side = 256, .loss = plan::Loss::segmentation}, 8);
    return true;
}();

}  // namespace
}  // namespace boneage::bench

// Where the time of one full-size radiograph goes, and how many a folder's worth of workers score in a second: float32
// models with initial weights (which cost what trained ones do) and the default recipe.
#include "bench/timing.h"
#include "engine/io/model_file.h"
#include "engine/onednn/backend.h"
#include "engine/pipeline/pipeline.h"
#include "engine/session.h"

#include <benchmark/benchmark.h>
#include <chrono>
#include <filesystem>
#include <map>
#include <unistd.h>

namespace boneage::bench {
namespace {

using Clock = std::chrono::steady_clock;

const std::string kRadiograph = BONEAGE_TEST_DATA "/radiographs/1381.png";  // 1514x2044, 8 bits
constexpr net::ResNet34Spec kAgeSpec{.channels = 1, .sex_input = true, .hidden = 0, .outputs = 1};
constexpr net::UnetSpec kUnetSpec{};

// Model files that are removed at the end of the program.
class ModelFiles {
public:
    ModelFiles() {
        folder_ = std::filesystem::temp_directory_path() / ("boneage-bench-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder_);
        pipeline::Recipe large;
        large.canvas.long_side = 512;
        const std::string recipe = pipeline::to_json(large);
        io::write_model(weights(), {kAgeSpec, recipe, false, ""}, io::initial_parameters(net::resnet34(kAgeSpec), 1),
                        io::StoredType::f32);
        io::write_model(segmenter(), {kUnetSpec, recipe, false, ""}, io::initial_parameters(net::unet(kUnetSpec), 1),
                        io::StoredType::f32);
    }
    ~ModelFiles() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    ModelFiles(const ModelFiles&) = delete;
    ModelFiles& operator=(const ModelFiles&) = delete;

    [[nodiscard]] std::string weights() const { return (folder_ / "resnet34.safetensors").string(); }
    [[nodiscard]] std::string segmenter() const { return (folder_ / "unet.safetensors").string(); }

private:
    std::filesystem::path folder_;
};

const ModelFiles& models() {
    static const ModelFiles files;
    return files;
}

// The median time of every stage as a counter in milliseconds; the benchmark's own time is all of them together.
void stages(benchmark::State& state) {
    const auto threads = static_cast<int>(state.range(0));
    const io::ModelFile weights(models().weights());
    const io::ModelFile segmenter(models().segmenter());
    pipeline::Models loaded;
    loaded.age_network = {kAgeSpec, weights.parameters()};
    loaded.segmenter = {kUnetSpec, segmenter.parameters()};
    const auto backend = onednn::make_backend({.threads = threads, .channel_block = std::nullopt});
    pipeline::Pipeline pipeline(loaded, *backend, {1, threads, plan::Precision::f32});
    io::ImageDecoder decoder;
    io::DecodedImage image;

    std::map<std::string, std::vector<double>> times;
    Clock::time_point last;
    const auto lap = [&](const std::string& name) {
        const Clock::time_point now = Clock::now();
        times[name].push_back(std::chrono::duration<double, std::milli>(now - last).count());
        last = Clock::now();
    };
    for ([[maybe_unused]] auto _ : state) {
        last = Clock::now();
        decoder.decode(kRadiograph, image);
        lap("00-decode");
        pipeline::Result result = pipeline.prepare(image, [&](pipeline::Stage stage, const pipeline::StagePicture&) {
            const auto number = std::to_string(static_cast<int>(stage) + 1);
            lap(std::string(2 - number.size(), '0') + number + "-" + std::string(pipeline::name(stage)));
        });
        const pipeline::Sex sex = pipeline::Sex::unknown;
        last = Clock::now();
        pipeline.estimate({&result, 1}, {&sex, 1});
        lap("12-age");
        benchmark::DoNotOptimize(result);
    }
    for (const auto& [name, values] : times) {
        state.counters[name] = quantile(values, 0.5);
    }
}
BENCHMARK(stages)->ArgName("threads")->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);

// Radiographs a second from files to rows, models already loaded; each iteration scores 16.
void folder(benchmark::State& state) {
    constexpr size_t kImages = 16;
    session::Options options;
    options.weights = models().weights();
    options.segmenter = models().segmenter();
    options.workers = static_cast<int>(state.range(0));
    options.batch = state.range(1);
    session::Session session(options);
    const std::vector<session::Input> inputs(kImages, session::Input{.path = kRadiograph, .source = kRadiograph});
    const std::atomic<bool> stop = false;
    size_t scored = 0;
    for ([[maybe_unused]] auto _ : state) {
        scored += session.score(
            inputs, [](const session::Row& row) { benchmark::DoNotOptimize(row); }, stop);
    }
    state.counters["radiographs"] = benchmark::Counter(static_cast<double>(scored), benchmark::Counter::kIsRate);
}
BENCHMARK(folder)
    ->ArgNames({"workers", "batch"})
    ->ArgsProduct({{1, 2}, {1, 4}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace boneage::bench

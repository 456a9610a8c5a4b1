#include "engine/session.h"

#include "engine/errors.h"
#include "engine/gpu.h"
#include "engine/io/image_file.h"
#include "engine/io/model_file.h"
#include "engine/io/segmenter_mark.h"
#include "engine/onednn/backend.h"
#include "engine/pipeline/guarded.h"
#include "engine/pipeline/pipeline.h"
#include "engine/row_order.h"
#include "engine/stage_pictures.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <span>
#include <thread>
#include <utility>

namespace boneage::session {
namespace {

using pipeline::guarded;
using pipeline::Result;

double milliseconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

template <class Spec>
const Spec& architecture_of(const io::ModelFile& model, const std::string& path, const char* wanted) {
    if (const auto* spec = std::get_if<Spec>(&model.card().architecture)) {
        return *spec;
    }
    throw UsageError(path + " holds a " + io::type_name(model.card().architecture) + ", but " + wanted);
}

pipeline::Recipe recipe_of(const io::ModelFile& model, const std::string& path) {
    return naming_file(path, [&] { return pipeline::recipe_from_json(model.card().recipe); });
}

// A caution where the weights know which segmenter they were trained with, and it is not this one, or none. Throws
// UsageError unless another one is wanted.
std::vector<std::string> check_segmenter(const Options& options, const io::ModelFile& weights,
                                         const std::optional<io::ModelFile>& segmenter) {
    const std::optional<std::string>& trained = weights.card().segmenter;
    if (!trained) {
        return {};
    }
    const std::string used = segmenter ? io::segmenter_mark(*segmenter) : std::string(io::kNoSegmenter);
    if (io::same_segmenter(*trained, used)) {
        return {};
    }
    const std::string begin = options.weights + " was trained " + io::segmenter_text(*trained) + ", ";
    if (!options.other_segmenter) {
        throw UsageError(begin + "not " + (segmenter ? "with " + *options.segmenter : "without one") +
                         "; name the right one with --segmenter");
    }
    return {begin + "but is scored " + io::segmenter_text(used) + ": expect other ages"};
}

}  // namespace

struct Session::State {
    explicit State(Options options_)
        : options(std::move(options_)), weights(options.weights), weights_recipe(recipe_of(weights, options.weights)) {
        models.recipe = weights_recipe;
        models.age_network = {
            architecture_of<net::ResNet34Spec>(weights, options.weights, "--weights takes a resnet34"),
            weights.parameters()};
        facts.weights_trained = weights.card().trained;
        if (options.segmenter) {
            segmenter.emplace(*options.segmenter);
            const auto& spec =
                architecture_of<net::UnetSpec>(*segmenter, *options.segmenter, "--segmenter takes a unet");
            naming_file(*options.segmenter, [&] {
                pipeline::check_segmenter_recipe(weights_recipe, recipe_of(*segmenter, *options.segmenter));
            });
            models.segmenter = {spec, segmenter->parameters()};
            facts.segmenter_trained = segmenter->card().trained;
        }
        facts.cautions = check_segmenter(options, weights, segmenter);
        if (options.gpu) {
            gpu = make_gpu_scorer(models, options, *options.gpu);
            std::ranges::move(gpu->cautions(), std::back_inserter(facts.cautions));
        }
        facts.computing = gpu ? gpu->describe() : onednn::describe(options.precision);
    }

    Options options;
    io::ModelFile weights;
    pipeline::Recipe weights_recipe;
    std::optional<io::ModelFile> segmenter;
    pipeline::Models models;
    Facts facts;
    std::unique_ptr<GpuScorer> gpu;
};

namespace {

// What one thread scores with, from file to row.
class Worker {
public:
    Worker(const pipeline::Models& models, const Options& options, int64_t batch,
           const onednn::BackendOptions& processors)
        : backend_(onednn::make_backend(processors)),
          pipeline_(models, *backend_,
                    {.batch = batch,
                     .threads = processors.threads,
                     .precision = options.precision,
                     .mirror = options.mirror}) {}

    // Scores a range of inputs as one batch.
    void score(std::span<const Input> inputs, std::span<const std::string> folders, std::vector<Result>& results) {
        results.clear();
        sexes_.clear();
        for (size_t i = 0; i < inputs.size(); ++i) {
            const Input& input = inputs[i];
            const auto start = std::chrono::steady_clock::now();
            results.push_back(guarded([&] {
                if (input.error) {
                    throw *input.error;
                }
                decoder_.decode(input.path, image_);
                return pipeline_.prepare(image_, folders.empty() ? nullptr : save_stages_in(folders[i]),
                                         input.true_size);
            }));
            results.back().elapsed_ms = milliseconds_since(start);
            sexes_.push_back(input.sex);
        }
        pipeline_.estimate(results, sexes_);
    }

private:
    std::unique_ptr<plan::Backend> backend_;
    pipeline::Pipeline pipeline_;
    io::ImageDecoder decoder_;
    io::DecodedImage image_;
    std::vector<pipeline::Sex> sexes_;
};

void work(const pipeline::Models& models, const Options& options, int64_t batch,
          const onednn::BackendOptions& processors, std::span<const Input> inputs, std::span<const std::string> folders,
          RowOrder& order) {
    try {
        Worker worker(models, options, batch, processors);
        std::vector<Result> results;
        for (auto range = order.take(); !range.empty(); range = order.take()) {
            const size_t count = range.end - range.begin;
            worker.score(inputs.subspan(range.begin, count),
                         folders.empty() ? folders : folders.subspan(range.begin, count), results);
            for (size_t i = 0; i < count; ++i) {
                const Input& input = inputs[range.begin + i];
                order.give(range.begin + i, {input.source, input.sex, std::move(results[i]), range.begin + i});
            }
        }
    } catch (...) {
        order.fail(std::current_exception());
    }
}

}  // namespace

Session::Session(const Options& options) {
    if (options.batch.value_or(1) < 1 || options.batch.value_or(1) > 1024 || options.workers < 0 ||
        options.workers > 1024) {
        throw UsageError("batch must lie between 1 and 1024, workers between 1 and 1024");
    }
    state_ = std::make_unique<State>(options);
}

Session::~Session() = default;

const Facts& Session::facts() const {
    return state_->facts;
}

size_t Session::score(const std::vector<Input>& inputs, const RowSink& sink, const std::atomic<bool>& stop) {
    const Options& options = state_->options;
    std::vector<std::string> folders;
    if (!options.stages_folder.empty()) {
        std::vector<std::filesystem::path> paths;
        paths.reserve(inputs.size());
        for (const Input& input : inputs) {
            paths.push_back(input.path);
        }
        for (const std::string& folder : stage_folders(paths)) {
            folders.push_back((options.stages_folder / folder).string());
        }
    }

    const int processors = available_processors();
    const int wanted = options.workers > 0 ? options.workers : processors;
    if (state_->gpu) {
        const int decoders = static_cast<int>(std::min<size_t>(static_cast<size_t>(wanted), inputs.size()));
        // Rows may wait for an earlier one while several batches of later ones come back.
        const auto most_waiting = 8 * static_cast<size_t>(state_->gpu->batch()) + static_cast<size_t>(decoders);
        RowOrder order(inputs.size(), 1, most_waiting, sink, stop);
        state_->gpu->score(inputs, folders, decoders, order);
        return order.finish_with_gaps();
    }

    // A batch that no range could fill would cost its memory, and the time to plan it, for nothing.
    const size_t batch = std::clamp<size_t>(inputs.size(), 1, static_cast<size_t>(options.batch.value_or(1)));
    const auto ranges = static_cast<int64_t>((inputs.size() + batch - 1) / batch);
    // Single-threaded workers do the most; processors that would have no image help with the others'.
    const int workers = static_cast<int>(std::min<int64_t>(wanted, ranges));
    const int threads = options.workers > 0 || workers == 0 ? 1 : std::max(1, processors / workers);
    const onednn::BackendOptions for_worker{
        .threads = threads, .convolutions = options.convolutions, .weights = std::make_shared<onednn::WeightStore>()};
    RowOrder order(inputs.size(), batch, batch * static_cast<size_t>(workers) * 8, sink, stop);
    {
        std::vector<std::jthread> threads_of_workers;
        threads_of_workers.reserve(static_cast<size_t>(workers));
        for (int i = 0; i < workers; ++i) {
            threads_of_workers.emplace_back([&] {
                work(state_->models, options, static_cast<int64_t>(batch), for_worker, inputs, folders, order);
            });
        }
    }
    return order.finish_with_gaps();
}

}  // namespace boneage::session

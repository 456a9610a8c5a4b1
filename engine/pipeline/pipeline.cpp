#include "engine/pipeline/pipeline.h"

#include "kernels/base/error.h"

#include <chrono>

namespace boneage::pipeline {
namespace {

class Stopwatch {
public:
    [[nodiscard]] double milliseconds() const {
        return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Pipeline::Pipeline(const Models& models, plan::Backend& backend, const PipelineOptions& options)
    : input_(models.recipe.input),
      preparer_(models.recipe, options.threads, models.segmenter, backend),
      age_network_(models.age_network, models.recipe, backend, options.precision, options.batch),
      mirror_(options.mirror) {}

Result Pipeline::prepare(io::DecodedImage& image, const StageSink& sink, const std::optional<ImageSize>& true_size) {
    expects(queued_ < batch(), "the batch is full: call estimate() first");
    const Stopwatch watch;
    Result result = preparer_.prepare(image, true_size, sink);
    if (result.status == Status::ok) {
        const Tensor<float, Host> slot = age_network_.slot(queued_);
        preparer_.input(slot);
        if (sink) {
            picture_of_input(slot, input_, input_picture_);
            sink(Stage::input, Image<const uint8_t, Host>(input_picture_.view()));
        }
        ++queued_;
    }
    result.elapsed_ms = watch.milliseconds();
    return result;
}

void Pipeline::estimate(std::span<Result> results, std::span<const Sex> sexes) {
    expects(results.size() == sexes.size(), "one sex for every result");
    const Stopwatch watch;
    mirror_ ? age_network_.run_both_ways(queued_, ages_) : age_network_.run(queued_, ages_);
    const double each_ms = queued_ > 0 ? watch.milliseconds() / static_cast<double>(queued_) : 0.0;
    size_t slot = 0;
    for (size_t i = 0; i < results.size(); ++i) {
        Result& result = results[i];
        if (result.status != Status::ok) {
            continue;
        }
        expects(slot < ages_.size(), "more results than were prepared");
        result.elapsed_ms += each_ms;
        enter_ages(result, ages_[slot++], sexes[i]);
    }
    expects(slot == ages_.size(), "fewer results than were prepared");
    queued_ = 0;
}

}  // namespace boneage::pipeline

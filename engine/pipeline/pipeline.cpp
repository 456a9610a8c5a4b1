#include "engine/pipeline/pipeline.h"

#include "kernels/base/error.h"

#include <chrono>
#include <utility>

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
    : recipe_(models.recipe),
      workers_(options.threads),
      age_network_(models.age_network, models.recipe, backend, options.precision, options.batch) {
    validate(recipe_);
    if (models.segmenter) {
        segmenter_.emplace(*models.segmenter, recipe_.segment, backend, options.precision);
    }
}

template <>
Pipeline::Pictures<uint8_t>& Pipeline::pictures() {
    return pictures8_;
}
template <>
Pipeline::Pictures<uint16_t>& Pipeline::pictures() {
    return pictures16_;
}

Result Pipeline::prepare(io::DecodedImage& image, const StageSink& sink) {
    return std::visit([&](auto& pixels) { return prepare(pixels.view(), sink); }, image.pixels);
}

template <class P>
Result Pipeline::prepare(Image<P, Host> image, const StageSink& sink) {
    expects(queued_ < batch(), "the batch is full: call estimate() first");
    const Stopwatch watch;
    const Tools tools{workers_, scratch_};
    const auto show = [&](Stage stage, Image<const P, Host> picture) {
        if (sink) {
            sink(stage, picture);
        }
    };
    Result result;
    result.height = image.height;
    result.width = image.width;
    const auto finish = [&] {
        result.elapsed_ms = watch.milliseconds();
        return result;
    };

    const ContrastResult spread = contrast<P>(tools, image, recipe_.contrast);
    show(Stage::contrast, image);
    judge_contrast(result, spread.spread, spread.low);
    if (result.status != Status::ok) {
        return finish();
    }

    polarity<P>(tools, image, recipe_.polarity);
    show(Stage::polarity, image);

    Pictures<P>& own = pictures<P>();
    const ImageSize size = canvas_size(image.height, image.width, recipe_.canvas);
    own.a.reshape(size.height, size.width);
    own.b.reshape(size.height, size.width);
    canvas<P>(tools, image, own.a.view(), recipe_.canvas);
    show(Stage::canvas, own.a.view());

    find_hand<P>(own.a.view(), sink, result);
    if (result.status != Status::ok) {
        return finish();
    }

    overlay<P>(tools, own.a.view(), mask_.view(), own.b.view(), recipe_.overlay);
    show(Stage::overlay, own.b.view());
    clahe<P>(tools, own.b.view(), own.a.view(), recipe_.clahe);
    show(Stage::clahe, own.a.view());
    sharpen<P>(tools, own.a.view(), mask_.view(), own.b.view(), recipe_.sharpen, recipe_.overlay);
    show(Stage::sharpen, own.b.view());

    const ImageSize fitted = input_size(size.height, size.width, recipe_.input);
    own.fitted.reshape(fitted.height, fitted.width);
    const Tensor<float, Host> slot = age_network_.slot(queued_);
    input<P>(tools, own.b.view(), own.fitted.view(), slot, recipe_.input);
    if (sink) {
        picture_of_input(slot, recipe_.input, input_picture_);
        sink(Stage::input, Image<const uint8_t, Host>(input_picture_.view()));
    }
    ++queued_;
    return finish();
}

// Leaves the mask, margin included, in mask_.
template <class P>
void Pipeline::find_hand(Image<const P, Host> canvas, const StageSink& sink, Result& result) {
    const Tools tools{workers_, scratch_};
    const auto show = [&](Stage stage) {
        if (sink) {
            sink(stage, Image<const uint8_t, Host>(mask_.view()));
        }
    };
    mask_.reshape(canvas.height, canvas.width);
    mask_spare_.reshape(canvas.height, canvas.width);
    if (!segmenter_) {
        std::fill_n(mask_.view().data, mask_.view().pixels(), uint8_t{255});
        result.mask_fraction = 1.0;
        return;
    }
    judge_map(result, !segmenter_->segment<P>(workers_, canvas, mask_.view()));
    if (result.status != Status::ok) {
        return;
    }
    show(Stage::segment);
    if (recipe_.contours.fill) {
        fill(tools, mask_.view());
        show(Stage::fill);
    }
    if (recipe_.contours.largest) {
        largest(tools, mask_.view());
        show(Stage::largest);
    }
    judge_mask(result, mask_fraction(mask_.view()), recipe_.segment);
    if (result.status != Status::ok) {
        return;
    }
    dilate(tools, mask_.view(), mask_spare_.view(), recipe_.dilate);
    std::swap(mask_, mask_spare_);
    show(Stage::dilate);
}

void Pipeline::estimate(std::span<Result> results, std::span<const Sex> sexes) {
    expects(results.size() == sexes.size(), "one sex for every result");
    const Stopwatch watch;
    age_network_.run(queued_, ages_);
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

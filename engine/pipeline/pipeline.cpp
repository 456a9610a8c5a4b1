#include "engine/pipeline/pipeline.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"

#include <chrono>
#include <cmath>
#include <cstdio>
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

std::string percent(double fraction) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f %%", 100.0 * fraction);
    return text;
}

void reject(Result& result, const char* reason, std::string message) {
    result.status = Status::rejected;
    result.reason = reason;
    result.message = std::move(message);
}

// The network's first channel as a picture: what it sees, normalisation undone.
void picture_of_input(Tensor<const float, Host> input, const Recipe::Input& recipe, HostImage<uint8_t>& picture) {
    const int64_t channels = input.shape[3];
    picture.reshape(input.shape[1], input.shape[2]);
    const auto mean = static_cast<float>(recipe.mean[0]);
    const auto deviation = static_cast<float>(recipe.deviation[0]);
    for (int64_t i = 0; i < picture.view().pixels(); ++i) {
        const float value = input.data[i * channels] * deviation + mean;
        picture.view().data[i] = saturate<uint8_t>(round_half_even(255.0F * value));
    }
}

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
    result.contrast = spread.spread;
    if (spread.low) {
        reject(result, "low_contrast",
               "the picture is nearly flat: its values spread over " + percent(spread.spread) + " of the range");
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
    sharpen<P>(tools, own.a.view(), own.b.view(), recipe_.sharpen);
    if (recipe_.sharpen.mask_again) {
        overlay<P>(tools, own.b.view(), mask_.view(), own.b.view(), recipe_.overlay);
    }
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
    segmenter_->segment<P>(workers_, canvas, mask_.view());
    show(Stage::segment);
    if (recipe_.contours.fill) {
        fill(tools, mask_.view());
        show(Stage::fill);
    }
    if (recipe_.contours.largest) {
        largest(tools, mask_.view());
        show(Stage::largest);
    }
    const double fraction = mask_fraction(mask_.view());
    result.mask_fraction = fraction;
    if (fraction <= 0.0 || fraction < recipe_.segment.min_fraction) {
        reject(result, "no_hand", "no hand was found: the mask covers " + percent(fraction) + " of the picture");
        return;
    }
    if (fraction > recipe_.segment.max_fraction) {
        reject(
            result, "mask_too_large",
            "the hand cannot be told from its surroundings: the mask covers " + percent(fraction) + " of the picture");
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
        const Ages& ages = ages_[slot++];
        result.elapsed_ms += each_ms;
        if (!std::isfinite(ages.if_male) || !std::isfinite(ages.if_female)) {
            result.status = Status::error;
            result.reason = "not_finite";
            result.message = "the network's answer is not a number: are these weights damaged?";
            continue;
        }
        result.age_if_male = ages.if_male;
        result.age_if_female = ages.if_female;
        result.bone_age_months = sexes[i] == Sex::male     ? ages.if_male
                                 : sexes[i] == Sex::female ? ages.if_female
                                                           : 0.5 * (ages.if_male + ages.if_female);
    }
    expects(slot == ages_.size(), "fewer results than were prepared");
    queued_ = 0;
}

}  // namespace boneage::pipeline

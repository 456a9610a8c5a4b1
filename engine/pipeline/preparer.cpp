#include "engine/pipeline/preparer.h"

#include "engine/pipeline/verdict.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <utility>

namespace boneage::pipeline {
namespace {

template <class P>
void show(const StageSink& sink, Stage stage, Image<const P, Host> picture) {
    if (sink) {
        sink(stage, picture);
    }
}

// dst in 8 bits; both of the same size.
template <class P>
void copy_to_eight_bits(Image<const P, Host> src, Image<uint8_t, Host> dst) {
    for (int64_t y = 0; y < src.height; ++y) {
        std::transform(src.row(y), src.row(y) + src.width, dst.row(y), [](P value) { return to_eight_bits(value); });
    }
}

}  // namespace

Preparer::Preparer(const Recipe& recipe, int threads) : recipe_(recipe), workers_(threads) {
    validate(recipe_);
}

Preparer::Preparer(const Recipe& recipe, int threads, const std::optional<SegmenterSource>& segmenter,
                   plan::Backend& backend)
    : Preparer(recipe, threads) {
    if (segmenter) {
        segmenter_.emplace(*segmenter, recipe_.segment, backend, plan::Precision::f32);
    }
}

template <>
Preparer::Pictures<uint8_t>& Preparer::pictures() {
    return pictures8_;
}
template <>
Preparer::Pictures<uint16_t>& Preparer::pictures() {
    return pictures16_;
}

Result Preparer::prepare(io::DecodedImage& image, const std::optional<ImageSize>& true_size, const StageSink& sink) {
    sixteen_bits_ = image.pixels.index() == 1;
    return std::visit([&](auto& pixels) { return prepare(pixels.view(), true_size, sink); }, image.pixels);
}

template <class P>
Result Preparer::prepare(Image<P, Host> image, const std::optional<ImageSize>& true_size, const StageSink& sink) {
    const Tools tools{workers_, scratch_};
    Pictures<P>& own = pictures<P>();
    Result result;
    make_canvas<P>(image, true_size, sink, result);
    if (result.status != Status::ok) {
        return result;
    }
    find_hand<P>(own.a.view(), sink, result);
    if (result.status != Status::ok) {
        return result;
    }
    own.b.reshape(own.a.height(), own.a.width());
    overlay<P>(tools, own.a.view(), mask_.view(), own.b.view(), recipe_.overlay);
    show<P>(sink, Stage::overlay, own.b.view());
    clahe<P>(tools, own.b.view(), own.a.view(), recipe_.clahe);
    show<P>(sink, Stage::clahe, own.a.view());
    sharpen<P>(tools, own.a.view(), mask_.view(), own.b.view(), recipe_.sharpen, recipe_.overlay);
    show<P>(sink, Stage::sharpen, own.b.view());

    const ImageSize fitted = input_size(own.b.height(), own.b.width(), recipe_.input);
    own.fitted.reshape(fitted.height, fitted.width);
    fit_input<P>(tools, own.b.view(), own.fitted.view());
    return result;
}

// Leaves the canvas in `a`, unless the contrast is too low.
template <class P>
void Preparer::make_canvas(Image<P, Host> image, const std::optional<ImageSize>& true_size, const StageSink& sink,
                           Result& result) {
    const Tools tools{workers_, scratch_};
    result.height = image.height;
    result.width = image.width;
    const ContrastResult spread = contrast<P>(tools, image, recipe_.contrast);
    show<P>(sink, Stage::contrast, image);
    judge_contrast(result, spread.spread, spread.low);
    if (result.status != Status::ok) {
        return;
    }
    polarity<P>(tools, image, recipe_.polarity);
    show<P>(sink, Stage::polarity, image);

    const ImageSize shape = true_size.value_or(ImageSize{image.height, image.width});
    const ImageSize size = canvas_size(shape.height, shape.width, recipe_.canvas);
    HostImage<P>& made = pictures<P>().a;
    made.reshape(size.height, size.width);
    canvas<P>(tools, image, made.view(), recipe_.canvas);
    show<P>(sink, Stage::canvas, made.view());
}

// Leaves the mask, margin included, in mask_.
template <class P>
void Preparer::find_hand(Image<const P, Host> canvas, const StageSink& sink, Result& result) {
    const Tools tools{workers_, scratch_};
    const auto show_mask = [&](Stage stage) { show<uint8_t>(sink, stage, mask_.view()); };
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
    show_mask(Stage::segment);
    if (recipe_.contours.fill) {
        fill(tools, mask_.view());
        show_mask(Stage::fill);
    }
    if (recipe_.contours.largest) {
        largest(tools, mask_.view());
        show_mask(Stage::largest);
    }
    judge_mask(result, mask_fraction(mask_.view()), recipe_.segment);
    if (result.status != Status::ok) {
        return;
    }
    dilate(tools, mask_.view(), mask_spare_.view(), recipe_.dilate);
    std::swap(mask_, mask_spare_);
    show_mask(Stage::dilate);
}

void Preparer::input(Tensor<float, Host> dst) {
    const Tools tools{workers_, scratch_};
    if (sixteen_bits_) {
        normalise_input<uint16_t>(tools, pictures16_.fitted.view(), dst, recipe_.input);
    } else {
        normalise_input<uint8_t>(tools, pictures8_.fitted.view(), dst, recipe_.input);
    }
}

void Preparer::picture(Image<uint8_t, Host> dst) const {
    expects(dst.height == recipe_.input.height && dst.width == recipe_.input.width, "a picture has the input's size");
    for (int64_t y = 0; y < dst.height; ++y) {
        std::fill_n(dst.row(y), dst.width, uint8_t{0});
    }
    const auto place = [&]<class P>(const HostImage<P>& fitted) {
        const Image<P, Host> src = fitted.view();
        const Image<uint8_t, Host> middle(dst.row((dst.height - src.height) / 2) + (dst.width - src.width) / 2,
                                          src.height, src.width, dst.stride);
        copy_to_eight_bits<P>(src, middle);
    };
    if (sixteen_bits_) {
        place(pictures16_.fitted);
    } else {
        place(pictures8_.fitted);
    }
}

Result Preparer::segmenter_picture(io::DecodedImage& image, const std::optional<ImageSize>& true_size,
                                   HostImage<uint8_t>& dst) {
    const auto make = [&]<class P>(HostImage<P>& pixels) {
        Result result;
        make_canvas<P>(pixels.view(), true_size, nullptr, result);
        if (result.status != Status::ok) {
            return result;
        }
        Pictures<P>& own = pictures<P>();
        const ImageSize size = segment_size(own.a.height(), own.a.width(), recipe_.segment);
        own.b.reshape(size.height, size.width);
        segment_input<P>(workers_, own.a.view(), own.b.view());
        dst.reshape(size.height, size.width);
        copy_to_eight_bits<P>(own.b.view(), dst.view());
        return result;
    };
    return std::visit(make, image.pixels);
}

}  // namespace boneage::pipeline

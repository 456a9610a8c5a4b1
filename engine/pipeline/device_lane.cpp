#include "engine/pipeline/device_lane.h"

#include "engine/pipeline/kernel_params.h"
#include "kernels/base/error.h"
#include "kernels/image/finite.h"
#include "kernels/image/overlay.h"
#include "kernels/image/polarity.h"
#include "kernels/image/threshold.h"
#include "kernels/nn/mirror.h"

#include <algorithm>

namespace boneage::pipeline {
namespace {

// Launches are made for multiples of this side, so that few sizes ask for new ones.
constexpr int64_t kSourceStep = 512;

template <class P>
int64_t scratch_bytes(const Recipe& recipe, int64_t batch) {
    const int64_t side = recipe.canvas.long_side;
    int64_t bytes = std::max({contrast_scratch_bytes<P>(batch), find_inverted_scratch_bytes(batch),
                              components_scratch_bytes(side, side, batch),
                              clahe_scratch_bytes<P>(clahe_params(recipe.clahe), batch)});
    if (const auto params = dilate_params(recipe.dilate)) {
        bytes = std::max(bytes, morphology_scratch_bytes<uint8_t, Device>(*params, side, side, batch));
    }
    return bytes;
}

template <class T>
Batch<T, Device> first_images(Batch<T, Device> batch, int64_t count) {
    batch.count = count;
    return batch;
}

}  // namespace

template <class P>
DeviceLane<P>::DeviceLane(const Recipe& recipe, int64_t batch, bool mirror, int64_t places, Stream& stream)
    : recipe_(recipe),
      batch_(batch),
      mirror_(mirror),
      stream_(stream),
      answer_tables_(batch),
      source_(layout_, batch),
      canvas_(layout_, batch, recipe.canvas.long_side, recipe.canvas.long_side),
      spare_(layout_, batch, recipe.canvas.long_side, recipe.canvas.long_side),
      working_(layout_, batch + 1, recipe.segment.long_side, recipe.segment.long_side),
      fitted_(layout_, batch, recipe.input.height, recipe.input.width),
      mask_(layout_, batch, recipe.canvas.long_side, recipe.canvas.long_side),
      spare_mask_(layout_, batch, recipe.canvas.long_side, recipe.canvas.long_side),
      logits_(layout_, batch, recipe.segment.long_side, recipe.segment.long_side),
      canvas_logits_(layout_, batch, recipe.canvas.long_side, recipe.canvas.long_side),
      places_(layout_, places),
      first_place_(layout_, batch + 1),
      tables_(layout_.size()),
      inverted_(batch),
      scratch_(scratch_bytes<P>(recipe, batch)) {
    // Without a segmenter nothing writes the mask: the whole image is hand.
    const std::vector<uint8_t> hand(static_cast<size_t>(mask_.memory().size()), 255);
    copy_to_device(stream_, mask_.memory().data(), hand.data(), mask_.memory().size());
    stream_.synchronize();
}

template <class P>
bool DeviceLane<P>::describe(const ImageBatch& images) {
    expects(images.count() >= 1 && images.capacity() == batch_, "a batch of this pipeline's with images in it");
    std::byte* tables = images.tables_.data();
    std::vector<PatchPlace> places;
    int64_t height = 0;
    int64_t width = 0;
    for (int64_t i = 0; i < batch_; ++i) {
        ImageBatch::Slot slot;
        ImageSize canvas;
        ImageSize working;
        ImageSize fitted;
        if (i < images.count()) {
            slot = images.slots_[static_cast<size_t>(i)];
            canvas = canvas_size(slot.shape.height, slot.shape.width, recipe_.canvas);
            working = fit_inside(canvas.height, canvas.width, recipe_.segment.long_side);
            fitted = input_size(canvas.height, canvas.width, recipe_.input);
        }
        auto* pixels = reinterpret_cast<P*>(images.device_pixels_.data() + slot.offset);
        source_.describe(tables, i, {pixels, slot.height, slot.width, slot.stride});
        for (const DeviceImages<P>* of : {&canvas_, &spare_}) {
            of->describe(tables, i, canvas.height, canvas.width);
        }
        for (const DeviceImages<uint8_t>* of : {&mask_, &spare_mask_}) {
            of->describe(tables, i, canvas.height, canvas.width);
        }
        canvas_logits_.describe(tables, i, canvas.height, canvas.width);
        working_.describe(tables, i, working.height, working.width);
        logits_.describe(tables, i, working.height, working.width);
        fitted_.describe(tables, i, fitted.height, fitted.width);
        first_place_.in(tables)[i] = static_cast<int64_t>(places.size());
        if (places_.count() > 0 && i < images.count()) {
            append_patches(places, i, working.height, working.width, recipe_.segment.patch, recipe_.segment.step);
        }
        height = std::max(height, slot.height);
        width = std::max(width, slot.width);
    }
    working_.describe(tables, batch_, 0, 0);
    first_place_.in(tables)[batch_] = static_cast<int64_t>(places.size());
    expects(static_cast<int64_t>(places.size()) <= places_.count(), "more patches than were planned");
    places.resize(static_cast<size_t>(places_.count()), {batch_, 0, 0});
    std::ranges::copy(places, places_.in(tables));

    const bool grows = height > source_height_ || width > source_width_;
    source_height_ = std::max(source_height_, round_up(height, kSourceStep));
    source_width_ = std::max(source_width_, round_up(width, kSourceStep));
    return grows;
}

template <class P>
void DeviceLane<P>::send_tables(const ImageBatch& images) const {
    copy_to_device(stream_, tables_.data(), images.tables_.data(), layout_.size());
}

template <class P>
void DeviceLane<P>::enqueue(DeviceModels& models, std::byte* answers, const Observer* observer) {
    std::byte* tables = tables_.data();
    // Runs one stage under its name, then shows what it left in `images`.
    const auto stage = [&](Stage which, const ImageTable<P>& images, const auto& body) {
        {
            const ProfileRange range(name(which).data());
            body();
        }
        if (observer != nullptr) {
            observer->image(which, images);
        }
    };
    const Batch<P, Device> source = source_.batch(tables, source_height_, source_width_);
    const Batch<const P, Device> const_source = source_.const_batch(tables, source_height_, source_width_);
    stage(Stage::contrast, source_, [&] {
        ::boneage::contrast<P>(stream_, const_source, {answer_tables_.contrast.in(answers), batch_},
                               contrast_params(recipe_.contrast), scratch());
    });
    stage(Stage::polarity, source_, [&] {
        if (recipe_.polarity.mode == PolarityMode::automatic) {
            find_inverted<P>(stream_, const_source, {inverted_.data(), batch_}, scratch());
            invert<P>(stream_, const_source, source, {inverted_.data(), batch_});
        } else if (recipe_.polarity.mode == PolarityMode::invert) {
            invert<P>(stream_, const_source, source, {});
        }
    });
    stage(Stage::canvas, canvas_.table(),
          [&] { resize<P>(stream_, const_source, canvas_.batch(tables), resize_filter(recipe_.canvas)); });
    const DeviceImages<uint8_t>& hand = models.segmenter ? find_hand(*models.segmenter, answers, observer) : mask_;
    stage(Stage::overlay, spare_.table(), [&] {
        ::boneage::overlay<P>(stream_, canvas_.const_batch(tables), hand.const_batch(tables), spare_.batch(tables),
                              background_value<P>(recipe_.overlay));
    });
    stage(Stage::clahe, canvas_.table(), [&] {
        ::boneage::clahe<P>(stream_, spare_.const_batch(tables), canvas_.batch(tables), clahe_params(recipe_.clahe),
                            scratch());
    });
    const std::optional<SharpenParams> sharpening = sharpen_params(recipe_.sharpen);
    const DeviceImages<P>& sharp = sharpening ? spare_ : canvas_;
    stage(Stage::sharpen, sharp.table(), [&] {
        if (sharpening && recipe_.sharpen.mask_again) {
            sharpen_masked<P>(stream_, canvas_.const_batch(tables), hand.const_batch(tables), sharp.batch(tables),
                              *sharpening, background_value<P>(recipe_.overlay));
        } else if (sharpening) {
            ::boneage::sharpen<P>(stream_, canvas_.const_batch(tables), sharp.batch(tables), *sharpening);
        } else if (recipe_.sharpen.mask_again) {
            ::boneage::overlay<P>(stream_, sharp.const_batch(tables), hand.const_batch(tables), sharp.batch(tables),
                                  background_value<P>(recipe_.overlay));
        }
    });
    const Tensor<float, Device> input = models.age_network.input();
    const auto fill_input = [&] {
        normalise<P, float>(stream_, fitted_.const_batch(tables), input, normalise_params(recipe_.input));
    };
    {
        const ProfileRange range(name(Stage::input).data());
        resize<P>(stream_, sharp.const_batch(tables), fitted_.batch(tables), ResizeFilter::area);
        fill_input();
    }
    if (observer != nullptr) {
        observer->input();
    }
    const ProfileRange range(name(Stage::age).data());
    const auto estimate = [&](const AnswerTables::AgeTables& ages) {
        models.age_network.enqueue(stream_, {ages.if_male.in(answers), batch_}, {ages.if_female.in(answers), batch_});
    };
    estimate(answer_tables_.ages);
    if (mirror_) {
        fill_input();
        mirror(stream_, {input.data, input.shape[0], input.shape[1], input.shape[2], input.shape[3]});
        estimate(answer_tables_.mirrored);
    }
}

// The mask, margin included.
template <class P>
const DeviceImages<uint8_t>& DeviceLane<P>::find_hand(DeviceSegmenter& segmenter, std::byte* answers,
                                                      const Observer* observer) {
    std::byte* tables = tables_.data();
    const auto stage = [&](Stage which, const DeviceImages<uint8_t>& images, const auto& body) {
        {
            const ProfileRange range(name(which).data());
            body();
        }
        if (observer != nullptr) {
            observer->mask(which, images.table());
        }
    };
    stage(Stage::segment, mask_, [&] {
        resize<P>(stream_, canvas_.const_batch(tables), first_images(working_.batch(tables), batch_),
                  ResizeFilter::area);
        segmenter.enqueue<P>(stream_, working_.const_batch(tables), {places_.in(tables), places_.count()},
                             {first_place_.in(tables), first_place_.count()}, logits_.batch(tables));
        find_not_finite(stream_, logits_.const_batch(tables), {answer_tables_.broken_map.in(answers), batch_});
        resize<float>(stream_, logits_.const_batch(tables), canvas_logits_.batch(tables), ResizeFilter::linear);
        threshold<float>(stream_, canvas_logits_.const_batch(tables), mask_.batch(tables),
                         logit(static_cast<float>(recipe_.segment.threshold)));
    });
    if (recipe_.contours.fill) {
        stage(Stage::fill, mask_,
              [&] { fill_holes(stream_, mask_.const_batch(tables), mask_.batch(tables), scratch()); });
    }
    const Tensor<ComponentStats, Device> components(answer_tables_.components.in(answers), batch_);
    if (recipe_.contours.largest) {
        stage(Stage::largest, mask_,
              [&] { keep_largest(stream_, mask_.const_batch(tables), mask_.batch(tables), components, scratch()); });
    } else {
        // For the share of foreground alone; the dilation overwrites the picture.
        keep_largest(stream_, mask_.const_batch(tables), spare_mask_.batch(tables), components, scratch());
    }
    const std::optional<MorphologyParams> dilation = dilate_params(recipe_.dilate);
    const DeviceImages<uint8_t>& hand = dilation ? spare_mask_ : mask_;
    stage(Stage::dilate, hand, [&] {
        if (dilation) {
            morphology<uint8_t>(stream_, mask_.const_batch(tables), hand.batch(tables), *dilation, scratch());
        }
    });
    return hand;
}

template class DeviceLane<uint8_t>;
template class DeviceLane<uint16_t>;

}  // namespace boneage::pipeline

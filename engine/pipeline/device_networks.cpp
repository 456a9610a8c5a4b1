#include "engine/pipeline/device_networks.h"

#include "engine/pipeline/kernel_params.h"
#include "kernels/base/error.h"
#include "kernels/nn/copy.h"

#include <algorithm>

namespace boneage::pipeline {
namespace {

// Enough patches to fill any device; more would only take memory.
constexpr int64_t kMostPatchesTogether = 64;

int64_t patches_of_largest(const Recipe::Segment& recipe) {
    const auto per_side = static_cast<int64_t>(patch_origins(recipe.long_side, recipe.patch, recipe.step).size());
    return per_side * per_side;
}

template <class T>
T* data_of(const plan::Place& place) {
    expects(place.dense() && place.channel_block == 1, "inputs and outputs are dense");
    return reinterpret_cast<T*>(place.data);
}

void copy_values(Stream& stream, const float* from, float* to, int64_t count) {
    copy<float, float>(stream, {from, 1, 1, 1, count}, {to, 1, 1, 1, count});
}

}  // namespace

DeviceSegmenter::DeviceSegmenter(const SegmenterSource& source, const Recipe& recipe, plan::Backend& backend,
                                 plan::Precision precision, int64_t batch)
    : recipe_(recipe.segment),
      channels_(source.spec.channels),
      places_(batch * patches_of_largest(recipe.segment)),
      chunk_(std::min(places_, kMostPatchesTogether)),
      executor_(lower_segmenter(source.spec, recipe.segment, backend, precision, chunk_), backend, source.parameters),
      window_(recipe.segment.patch * recipe.segment.patch),
      answers_(0) {
    places_ = round_up(places_, chunk_);
    answers_ = Buffer<float, Device>(places_ * window_.size());
    const std::vector<float> window = gaussian_window(recipe_.patch);
    backend.upload(reinterpret_cast<std::byte*>(window_.data()), window.data(),
                   window_.size() * static_cast<int64_t>(sizeof(float)));
    backend.synchronize();
}

template <class P>
void DeviceSegmenter::enqueue(Stream& stream, Batch<const P, Device> images, Tensor<const PatchPlace, Device> places,
                              Tensor<const int64_t, Device> first, Batch<float, Device> logits) {
    expects(places.size() == places_, "as many places as were planned");
    const int64_t patch = recipe_.patch;
    const Tensor<float, Device> input(data_of<float>(executor_.place("image")), chunk_, patch, patch, channels_);
    const auto* output = data_of<const float>(executor_.place("logits"));
    for (int64_t i = 0; i < places_; i += chunk_) {
        gather_patches<P, float>(stream, images, {places.data + i, chunk_}, input, normalise_params(recipe_));
        executor_.enqueue();
        copy_values(stream, output, answers_.data() + i * patch * patch, chunk_ * patch * patch);
    }
    blend_patches(stream, {answers_.data(), places_, patch, patch}, places, first, {window_.data(), patch, patch},
                  logits);
}

template void DeviceSegmenter::enqueue(Stream&, Batch<const uint8_t, Device>, Tensor<const PatchPlace, Device>,
                                       Tensor<const int64_t, Device>, Batch<float, Device>);
template void DeviceSegmenter::enqueue(Stream&, Batch<const uint16_t, Device>, Tensor<const PatchPlace, Device>,
                                       Tensor<const int64_t, Device>, Batch<float, Device>);

DeviceAgeNetwork::DeviceAgeNetwork(const AgeNetworkSource& source, const Recipe& recipe, plan::Backend& backend,
                                   plan::Precision precision, int64_t batch, Stream& stream)
    : spec_(source.spec),
      batch_(batch),
      executor_(lower_age_network(source.spec, recipe, backend, precision, batch), backend, source.parameters),
      sexes_(2 * batch) {
    std::vector<float> sexes(static_cast<size_t>(batch), kMale);
    sexes.resize(static_cast<size_t>(2 * batch), kFemale);
    copy_to_device(stream, sexes_.data(), sexes.data(), 2 * batch * static_cast<int64_t>(sizeof(float)));
    stream.synchronize();
}

Tensor<float, Device> DeviceAgeNetwork::input() const {
    const plan::Place place = executor_.place("image");
    return {data_of<float>(place), place.shape.n, place.shape.h, place.shape.w, place.shape.c};
}

void DeviceAgeNetwork::enqueue(Stream& stream, Tensor<float, Device> if_male, Tensor<float, Device> if_female) {
    const auto* answers = data_of<const float>(executor_.place("age"));
    if (!spec_.sex_input) {
        executor_.enqueue();
        copy_values(stream, answers, if_male.data, batch_);
        copy_values(stream, answers, if_female.data, batch_);
        return;
    }
    auto* sex = data_of<float>(executor_.place("sex"));
    copy_values(stream, sexes_.data(), sex, batch_);
    executor_.enqueue();
    copy_values(stream, answers, if_male.data, batch_);
    copy_values(stream, sexes_.data() + batch_, sex, batch_);
    executor_.enqueue_rerun("sex");
    copy_values(stream, answers, if_female.data, batch_);
}

}  // namespace boneage::pipeline

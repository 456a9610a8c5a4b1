// The two networks where their inputs and answers never leave the device.
#pragma once

#include "engine/pipeline/age_network.h"
#include "engine/pipeline/segmenter.h"
#include "kernels/base/stream.h"
#include "kernels/image/patches.h"

namespace boneage::pipeline {

// A U-Net over a fixed number of patch places: what a batch of the largest images needs. Places that a batch does not
// use see black.
class DeviceSegmenter {
public:
    DeviceSegmenter(const SegmenterSource& source, const Recipe& recipe, plan::Backend& backend,
                    plan::Precision precision, int64_t batch);

    // Patches of one batch, at the working size.
    [[nodiscard]] int64_t places() const { return places_; }

    // Queues: patches of `images` at `places`, the network over all of them, its answers blended into `logits`.
    //   images  the batch at its working size, and behind it one image of 0x0 for the unused places
    //   places  [places()], sorted by image;  first [batch + 1] as blend_patches() takes it
    //   logits  the same sizes as the batch
    template <class P>
    void enqueue(Stream& stream, Batch<const P, Device> images, Tensor<const PatchPlace, Device> places,
                 Tensor<const int64_t, Device> first, Batch<float, Device> logits);

private:
    Recipe::Segment recipe_;
    int64_t channels_;
    int64_t places_;
    int64_t chunk_;  // patches that go through the network together
    plan::Executor executor_;
    Buffer<float, Device> window_;
    Buffer<float, Device> answers_;  // [places, patch, patch]
};

// A ResNet34 over a fixed batch of slots, asked as for a boy and as for a girl.
class DeviceAgeNetwork {
public:
    DeviceAgeNetwork(const AgeNetworkSource& source, const Recipe& recipe, plan::Backend& backend,
                     plan::Precision precision, int64_t batch, Stream& stream);

    // Other weights for what was recorded, too.
    void reload(const plan::ParameterSource& parameters) { executor_.reload(parameters); }
    // The input of all slots, [n, h, w, c], to be assigned by work queued before enqueue().
    [[nodiscard]] Tensor<float, Device> input() const;
    // Queues the network; its raw answers, one a slot, land in the two arrays.
    void enqueue(Stream& stream, Tensor<float, Device> if_male, Tensor<float, Device> if_female);

private:
    net::ResNet34Spec spec_;
    int64_t batch_;
    plan::Executor executor_;
    Buffer<float, Device> sexes_;  // [2, batch]: all male, all female
};

}  // namespace boneage::pipeline

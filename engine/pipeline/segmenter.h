// Finds the hand: a U-Net over overlapping patches of the canvas at its own working size, its answers blended, brought
// back to the canvas and cut at a probability.
#pragma once

#include "engine/net/graph.h"
#include "engine/pipeline/recipe.h"
#include "engine/plan/executor.h"
#include "kernels/base/buffer.h"
#include "kernels/image/patches.h"

namespace boneage::pipeline {

// A network and where its weights come from; `parameters` is only read while executors are made.
template <class Spec>
struct NetworkSource {
    Spec spec;
    plan::ParameterSource parameters;
};
using SegmenterSource = NetworkSource<net::UnetSpec>;
using AgeNetworkSource = NetworkSource<net::ResNet34Spec>;

// The plan for `batch` patches. Throws UsageError when the recipe's patch does not fit the network.
plan::Plan lower_segmenter(const net::UnetSpec& spec, const Recipe::Segment& recipe, const plan::Backend& backend,
                           plan::Precision precision, int64_t batch);

// Patches run one after another, so memory does not depend on the size of the image. Belongs to one thread.
class Segmenter {
public:
    // `backend` must outlive this.
    Segmenter(const SegmenterSource& source, const Recipe::Segment& recipe, plan::Backend& backend,
              plan::Precision precision);

    // mask = 255 where the blended probability exceeds the recipe's threshold, else 0. Same size as `image`. False when
    // the network's answer holds something other than numbers: then the mask means nothing.
    template <class P>
    [[nodiscard]] bool segment(Workers& workers, Image<const P, Host> image, Image<uint8_t, Host> mask);

    [[nodiscard]] const plan::Plan& plan() const { return executor_.plan(); }

private:
    // The blended answers for an image of the working size, in logits_; whether all are numbers.
    template <class P>
    bool find(Workers& workers, Image<const P, Host> image);

    Recipe::Segment recipe_;
    int64_t channels_;
    plan::Executor executor_;
    std::vector<float> window_;
    std::vector<PatchPlace> places_;
    Buffer<float, Host> answers_;      // [patches, patch, patch]
    HostImage<float> logits_;          // at the working size
    HostImage<float> canvas_logits_;   // at the canvas's
    Buffer<std::byte, Host> working_;  // the canvas at the working size, of either pixel type
};

}  // namespace boneage::pipeline

// Radiograph in, age out: the stages in their order, on memory that is reused from image to image.
#pragma once

#include "engine/pipeline/age_network.h"
#include "engine/pipeline/preparer.h"

#include <optional>
#include <span>

namespace boneage::pipeline {

// What a pipeline is made from. Without a segmenter the whole image counts as hand.
struct Models {
    Recipe recipe;
    AgeNetworkSource age_network;
    std::optional<SegmenterSource> segmenter;
};

struct PipelineOptions {
    int64_t batch = 1;  // images that go through the age network together; the answers do not depend on it
    int threads = 1;    // for the image stages; the back end has its own count
    // Of the age network. Masks are cut at a threshold, where what 16 bits round away would move an age by most of a
    // month, so the segmenter computes in float32, and costs little: it is narrow.
    plan::Precision precision = plan::Precision::f32;
    bool mirror = false;  // ages are means of a radiograph's and its mirror image's
};

// One for each worker: belongs to one thread at a time. Holds what the largest image so far needed, however many there
// were, and allocates nothing for images that are not larger.
class Pipeline {
public:
    // `backend` must outlive the pipeline.
    Pipeline(const Models& models, plan::Backend& backend, const PipelineOptions& options);

    [[nodiscard]] int64_t batch() const { return age_network_.batch(); }

    // Every stage up to the network's input. The pixels of `image` may be inverted in place. A result that is `ok` has
    // no age yet; its image takes the next slot of the batch until estimate(). `sink`, where given, sees every stage's
    // picture. At most batch() results may be ok between two calls of estimate(). `true_size` as Preparer has it.
    Result prepare(io::DecodedImage& image, const StageSink& sink = nullptr,
                   const std::optional<ImageSize>& true_size = std::nullopt);

    // The ages of all results prepared since the last call, in that order; rejected ones are passed over. `sexes` has
    // one entry a result: where known, its age is the bone age, else the mean of both.
    void estimate(std::span<Result> results, std::span<const Sex> sexes);

private:
    Recipe::Input input_;
    Preparer preparer_;
    AgeNetwork age_network_;
    HostImage<uint8_t> input_picture_;
    bool mirror_;
    int64_t queued_ = 0;
    std::vector<Ages> ages_;
};

}  // namespace boneage::pipeline

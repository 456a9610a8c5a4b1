// From a radiograph to the picture that the age network sees: the stages in their order, on memory that is reused from
// image to image. Scoring and the making of training data both go this way.
#pragma once

#include "engine/io/image_file.h"
#include "engine/pipeline/result.h"
#include "engine/pipeline/segmenter.h"
#include "engine/pipeline/stages.h"

#include <optional>

namespace boneage::pipeline {

// One for each worker: belongs to one thread at a time. Holds what the largest image so far needed, and allocates
// nothing for images that are not larger.
class Preparer {
public:
    // Without a segmenter: the whole image counts as hand. `threads` is for the image stages.
    Preparer(const Recipe& recipe, int threads);
    // Segments in float32, as every pipeline does. `backend` must outlive this.
    Preparer(const Recipe& recipe, int threads, const std::optional<SegmenterSource>& segmenter,
             plan::Backend& backend);

    // Every stage up to the network's input, which input() and picture() then give. The pixels of `image` may be
    // inverted in place. `true_size`, where given, is the size of the radiograph before somebody squashed it to that of
    // `image`: the canvas gets the shape that the radiograph's would have. `sink`, where given, sees every stage's
    // picture. The result is ok and has no age, or says why there is no picture.
    Result prepare(io::DecodedImage& image, const std::optional<ImageSize>& true_size = std::nullopt,
                   const StageSink& sink = nullptr);
    // The network's input [1, h, w, c] of the last image that was ok: its picture, normalised.
    void input(Tensor<float, Host> dst);
    // The same as a picture of the recipe's input size, black around: an 8-bit image's, normalised, is input() bit for
    // bit; a 16-bit image's values are brought to 8 bits by to_eight_bits().
    void picture(Image<uint8_t, Host> dst) const;

    // What the segmenter's patches are cut from, its pixels in 8 bits: contrast, polarity and canvas, then the
    // segmenter's working size. The result is ok, or rejected for its contrast with `dst` as it was.
    Result segmenter_picture(io::DecodedImage& image, const std::optional<ImageSize>& true_size,
                             HostImage<uint8_t>& dst);

private:
    template <class P>
    struct Pictures {
        HostImage<P> a, b, fitted;
    };

    template <class P>
    Result prepare(Image<P, Host> image, const std::optional<ImageSize>& true_size, const StageSink& sink);
    template <class P>
    void make_canvas(Image<P, Host> image, const std::optional<ImageSize>& true_size, const StageSink& sink,
                     Result& result);
    template <class P>
    void find_hand(Image<const P, Host> canvas, const StageSink& sink, Result& result);
    template <class P>
    Pictures<P>& pictures();

    Recipe recipe_;
    Workers workers_;
    HostScratch scratch_;
    std::optional<Segmenter> segmenter_;
    Pictures<uint8_t> pictures8_;
    Pictures<uint16_t> pictures16_;
    bool sixteen_bits_ = false;  // which of the two holds the last image
    HostImage<uint8_t> mask_, mask_spare_;
};

}  // namespace boneage::pipeline

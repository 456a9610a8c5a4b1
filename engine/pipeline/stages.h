// The stages between the decoded image and the network, one pure function each. The names below are those of
// `boneage apply`, of the pictures that `--stages` saves, and of profile rows and parity dumps.
//
// Images are grey u8 or u16 and keep their type; masks are u8, 255 for the hand and 0 outside. Every function takes its
// group of the recipe, so what a stage does is said there and by the kernel's own header (kernels/image).
#pragma once

#include "engine/pipeline/recipe.h"
#include "kernels/base/buffer.h"
#include "kernels/base/view.h"
#include "kernels/base/workers.h"
#include "kernels/image/resize.h"

#include <functional>
#include <string_view>
#include <variant>

namespace boneage::pipeline {

enum class Stage : uint8_t {
    contrast,  // is there anything to see?
    polarity,  // bones bright
    canvas,    // one working size, aspect kept
    segment,   // the U-Net's mask of the hand
    fill,      // its holes closed
    largest,   // its largest component
    dilate,    // a margin around it
    overlay,   // the image inside the mask only
    clahe,     // local contrast
    sharpen,   // edges
    input,     // what the network sees
    age,       // months
};
std::string_view name(Stage stage);

// A picture as a stage left it, valid during the call.
using StagePicture = std::variant<Image<const uint8_t, Host>, Image<const uint16_t, Host>>;
using StageSink = std::function<void(Stage, const StagePicture&)>;

// What one thread works with.
struct Tools {
    Workers& workers;
    HostScratch& scratch;
};

struct ContrastResult {
    double spread = 0.0;  // (99th - 1st percentile) / pixel range
    bool low = false;
};
template <class P>
ContrastResult contrast(const Tools& tools, Image<const P, Host> image, const Recipe::Contrast& recipe);

// Inverts `image` in place where the recipe asks for it, and says whether it did.
template <class P>
bool polarity(const Tools& tools, Image<P, Host> image, const Recipe::Polarity& recipe);

// The size that canvas() makes of an image: at least 1x1.
ImageSize canvas_size(int64_t height, int64_t width, const Recipe::Canvas& recipe);
// Scales into the size of dst, which is canvas_size() of src.
template <class P>
void canvas(const Tools& tools, Image<const P, Host> src, Image<P, Host> dst, const Recipe::Canvas& recipe);

// The size at which the segmenter looks at a canvas, and the canvas at that size.
ImageSize segment_size(int64_t height, int64_t width, const Recipe::Segment& recipe);
template <class P>
void segment_input(Workers& workers, Image<const P, Host> canvas, Image<P, Host> dst);

// In place.
void fill(const Tools& tools, Image<uint8_t, Host> mask);
void largest(const Tools& tools, Image<uint8_t, Host> mask);
void dilate(const Tools& tools, Image<const uint8_t, Host> mask, Image<uint8_t, Host> dst,
            const Recipe::Dilate& recipe);
// Share of the pixels inside a mask.
double mask_fraction(Image<const uint8_t, Host> mask);

template <class P>
void overlay(const Tools& tools, Image<const P, Host> src, Image<const uint8_t, Host> mask, Image<P, Host> dst,
             const Recipe::Overlay& recipe);
template <class P>
void clahe(const Tools& tools, Image<const P, Host> src, Image<P, Host> dst, const Recipe::Clahe& recipe);
// Sharpens, and masks again where the recipe asks for it.
template <class P>
void sharpen(const Tools& tools, Image<const P, Host> src, Image<const uint8_t, Host> mask, Image<P, Host> dst,
             const Recipe::Sharpen& recipe, const Recipe::Overlay& background);

// Size of an image scaled to fit into the network's input, aspect kept: at least 1x1.
ImageSize input_size(int64_t height, int64_t width, const Recipe::Input& recipe);
// Scales src into `fitted`, which is input_size() of src.
template <class P>
void fit_input(const Tools& tools, Image<const P, Host> src, Image<P, Host> fitted);
// Places it in the middle of dst [1, h, w, c], normalised.
template <class P>
void normalise_input(const Tools& tools, Image<const P, Host> fitted, Tensor<float, Host> dst,
                     const Recipe::Input& recipe);

// A pixel in 8 bits: 16-bit values become v / 257, rounded to nearest (no value lies half way).
constexpr uint8_t to_eight_bits(uint8_t value) {
    return value;
}
constexpr uint8_t to_eight_bits(uint16_t value) {
    return static_cast<uint8_t>((value + 128U) / 257U);
}

// The first channel of one network input [1, h, w, c] as a picture: what the network sees, normalisation undone.
void picture_of_input(Tensor<const float, Host> input, const Recipe::Input& recipe, HostImage<uint8_t>& picture);

}  // namespace boneage::pipeline

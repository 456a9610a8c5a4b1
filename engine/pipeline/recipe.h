// The recipe: every setting of the way from a radiograph to its age. It is stored as JSON in the metadata of the
// weights that were trained with it, so training and scoring cannot drift apart.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace boneage::pipeline {

enum class PolarityMode {
    keep,       // bones are bright already
    invert,     // every image is inverted
    automatic,  // images whose surroundings are lighter than their middle are inverted: a guess
};
enum class CanvasFilter { area, linear };
enum class DilateElement { rect, cross, ellipse };
enum class SharpenMode { none, laplacian4, laplacian8, unsharp };

// The fields in JSON are called as here and grouped as here. Numbers are double so that they survive being written
// and read.
struct Recipe {
    struct Contrast {
        double threshold = 0.05;  // rejected below this share of the pixel range between the 1st and 99th percentile
        bool operator==(const Contrast&) const = default;
    } contrast;

    struct Polarity {
        PolarityMode mode = PolarityMode::keep;
        bool operator==(const Polarity&) const = default;
    } polarity;

    struct Canvas {
        int64_t long_side = 288;  // the image is scaled, aspect kept, until its longer side has so many pixels
        CanvasFilter filter = CanvasFilter::area;
        bool operator==(const Canvas&) const = default;
    } canvas;

    struct Segment {
        int64_t long_side = 256;  // the canvas is scaled to this for the segmenter: a hand is found without fine detail
        int64_t patch = 256;      // side of the squares the segmenter sees
        double step = 0.5;        // distance of neighbouring patches as a share of their side
        double threshold = 0.5;   // probability above which a pixel belongs to the hand
        double mean = 0.5;        // the segmenter sees (v - mean) / deviation of pixel values in 0..1
        double deviation = 0.25;
        double min_fraction = 0.02;  // a mask that covers less of the canvas is no hand
        double max_fraction = 1.0;   // nor is one that covers more
        bool operator==(const Segment&) const = default;
    } segment;

    struct Contours {
        bool fill = true;     // close the holes of the mask
        bool largest = true;  // keep its largest component only
        bool operator==(const Contours&) const = default;
    } contours;

    struct Dilate {
        DilateElement element = DilateElement::ellipse;
        int64_t width = 9;
        int64_t height = 9;
        int64_t iterations = 1;  // 0: the mask stays as it is
        bool operator==(const Dilate&) const = default;
    } dilate;

    struct Overlay {
        double background = 0.0;  // outside the mask, as a share of the pixel range
        bool operator==(const Overlay&) const = default;
    } overlay;

    struct Clahe {
        double clip_limit = 2.0;  // multiple of the mean bin count; 0: no clipping
        int64_t tiles_x = 8;
        int64_t tiles_y = 8;
        bool operator==(const Clahe&) const = default;
    } clahe;

    struct Sharpen {
        SharpenMode kernel = SharpenMode::unsharp;
        double amount = 0.25;  // of `unsharp`
        bool mask_again =
            true;  // apply the mask once more: equalising lifts the background, sharpening rings at its edge
        bool operator==(const Sharpen&) const = default;
    } sharpen;

    struct Input {
        int64_t width = 224;  // the canvas is scaled to fit, aspect kept, and placed in the middle
        int64_t height = 224;
        std::array<double, 3> mean{0.5, 0.5, 0.5};  // per channel: (v - mean) / deviation of pixel values in 0..1
        std::array<double, 3> deviation{0.25, 0.25, 0.25};
        bool operator==(const Input&) const = default;
    } input;

    struct Age {
        double mean_months = 127.3;
        double deviation_months = 41.2;
        // The age that an answer of the network means.
        [[nodiscard]] double months(float answer) const {
            return static_cast<double>(answer) * deviation_months + mean_months;
        }
        bool operator==(const Age&) const = default;
    } age;

    bool operator==(const Recipe&) const = default;
};

// Throws UsageError naming the first field that is out of range, such as "recipe: canvas.long_side must lie between
// 16 and 8192, not 0".
void validate(const Recipe& recipe);

// Indented JSON with every field.
std::string to_json(const Recipe& recipe);

// Reads a complete recipe. Throws UsageError naming the field that is missing, unknown, of the wrong type or out of
// range: a setting that silently took a default would make a different pipeline.
Recipe recipe_from_json(std::string_view text);

// Throws UsageError naming the first setting in which a segmenter's own recipe prepares images otherwise than
// `recipe` does: it would see pictures unlike those it was trained on.
void check_segmenter_recipe(const Recipe& recipe, const Recipe& segmenter);

}  // namespace boneage::pipeline

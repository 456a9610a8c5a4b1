// The operations of `boneage apply`, written once for the CPU and for a device: a Side says where pictures lie while
// they are worked on and which twin of a kernel runs.
#pragma once

#include "engine/pipeline/apply.h"
#include "engine/pipeline/kernel_params.h"
#include "engine/pipeline/stages.h"
#include "engine/pipeline/verdict.h"
#include "kernels/base/error.h"
#include "kernels/image/components.h"
#include "kernels/image/overlay.h"
#include "kernels/image/polarity.h"
#include "kernels/image/threshold.h"

namespace boneage::pipeline {

// Throws InputError where a segmenter answered with something other than numbers.
inline void expect_numbers(bool finite) {
    Result result;
    judge_map(result, !finite);
    if (result.status != Status::ok) {
        throw InputError(result.reason, result.message);
    }
}

// A Side has
//   Space                      where its images lie
//   queue()                    what the kernels take first: Workers or a Stream
//   parts()                    morphology_scratch_bytes()'s last argument for one image
//   scratch(bytes)             Bytes<Space>
//   Held<P>                    one image there: batch(), const_batch()
//   make<P>(size), put(image)  a Held image, not initialised, or with these pixels
//   get(held)                  its pixels on the host
//   read(value)                a T that a kernel writes through a Tensor<T, Space>: tensor(), value()
//   segment<P>(canvas, mask, source, recipe)   the network's mask of a canvas
template <class Side>
class ApplierOn final : public Applier {
public:
    explicit ApplierOn(Side side) : side_(std::move(side)) {}

    ContrastStats contrast(const Picture& src, double threshold) override {
        return std::visit(
            [&]<class P>(const HostImage<P>& image) {
                const auto held = side_.put(image);
                const auto stats = side_.template read<ContrastStats>();
                ::boneage::contrast<P>(side_.queue(), held.const_batch(), stats.tensor(), {threshold},
                                       side_.scratch(contrast_scratch_bytes<P>(1)));
                return side_.value(stats);
            },
            src);
    }

    Picture resize(const Picture& src, ImageSize size, ResizeFilter filter) override {
        return made(src, size, [&]<class P>(const Held<P>& in, const Held<P>& out) {
            ::boneage::resize<P>(side_.queue(), in.const_batch(), out.batch(), filter);
        });
    }

    Picture invert(const Picture& src) override {
        return made(src, size_of(src), [&]<class P>(const Held<P>& in, const Held<P>& out) {
            ::boneage::invert<P>(side_.queue(), in.const_batch(), out.batch(), {});
        });
    }

    Picture fill(const Picture& mask) override {
        return on_mask(mask, [&](const Held<uint8_t>& bytes) {
            fill_holes(side_.queue(), bytes.const_batch(), bytes.batch(), components_scratch(size_of(mask)));
        });
    }

    Picture largest(const Picture& mask) override {
        return on_mask(mask, [&](const Held<uint8_t>& bytes) {
            const auto stats = side_.template read<ComponentStats>();
            keep_largest(side_.queue(), bytes.const_batch(), bytes.batch(), stats.tensor(),
                         components_scratch(size_of(mask)));
        });
    }

    Picture morphology(const Picture& src, const MorphologyParams& params) override {
        const ImageSize size = size_of(src);
        return made(src, size, [&]<class P>(const Held<P>& in, const Held<P>& out) {
            const int64_t bytes =
                morphology_scratch_bytes<P, typename Side::Space>(params, size.height, size.width, side_.parts());
            ::boneage::morphology<P>(side_.queue(), in.const_batch(), out.batch(), params, side_.scratch(bytes));
        });
    }

    Picture overlay(const Picture& src, const Picture& mask, double background) override {
        if (size_of(src) != size_of(mask)) {
            throw UsageError("the mask must have the size of the image");
        }
        const Held<uint8_t> bytes = mask_of(mask);
        return made(src, size_of(src), [&]<class P>(const Held<P>& in, const Held<P>& out) {
            ::boneage::overlay<P>(side_.queue(), in.const_batch(), bytes.const_batch(), out.batch(),
                                  background_value<P>({background}));
        });
    }

    Picture clahe(const Picture& src, const ClaheParams& params) override {
        return made(src, size_of(src), [&]<class P>(const Held<P>& in, const Held<P>& out) {
            ::boneage::clahe<P>(side_.queue(), in.const_batch(), out.batch(), params,
                                side_.scratch(clahe_scratch_bytes<P>(params, 1)));
        });
    }

    Picture sharpen(const Picture& src, const SharpenParams& params) override {
        return made(src, size_of(src), [&]<class P>(const Held<P>& in, const Held<P>& out) {
            ::boneage::sharpen<P>(side_.queue(), in.const_batch(), out.batch(), params);
        });
    }

    Picture segment(const Picture& src, const SegmenterSource& segmenter, const Recipe& recipe) override {
        const ImageSize size = size_of(src);
        const ImageSize canvas = canvas_size(size.height, size.width, recipe.canvas);
        return std::visit(
            [&]<class P>(const HostImage<P>& image) {
                const Held<P> picture = side_.put(image);
                const Held<P> small = side_.template make<P>(canvas);
                if (recipe.polarity.mode == PolarityMode::invert) {
                    ::boneage::invert<P>(side_.queue(), picture.const_batch(), picture.batch(), {});
                } else if (recipe.polarity.mode == PolarityMode::automatic) {
                    const auto inverted = side_.template read<uint8_t>();
                    find_inverted<P>(side_.queue(), picture.const_batch(), inverted.tensor(),
                                     side_.scratch(find_inverted_scratch_bytes(1)));
                    ::boneage::invert<P>(side_.queue(), picture.const_batch(), picture.batch(), inverted.tensor());
                }
                ::boneage::resize<P>(side_.queue(), picture.const_batch(), small.batch(), resize_filter(recipe.canvas));
                const Held<uint8_t> mask = side_.template make<uint8_t>(canvas);
                side_.template segment<P>(small, mask, segmenter, recipe);
                const Held<uint8_t> scaled = side_.template make<uint8_t>(size);
                ::boneage::resize<uint8_t>(side_.queue(), mask.const_batch(), scaled.batch(), ResizeFilter::linear);
                threshold<uint8_t>(side_.queue(), scaled.const_batch(), scaled.batch(), 127);
                return full_range<P>(side_.get(scaled));
            },
            src);
    }

private:
    template <class P>
    using Held = typename Side::template Held<P>;

    static ImageSize size_of(const Picture& picture) {
        return std::visit([](const auto& image) { return ImageSize{image.height(), image.width()}; }, picture);
    }

    // Calls body(image, new image of this size) and returns the new one.
    template <class Body>
    Picture made(const Picture& src, ImageSize size, const Body& body) {
        return std::visit(
            [&]<class P>(const HostImage<P>& image) -> Picture {
                const Held<P> in = side_.put(image);
                const Held<P> out = side_.template make<P>(size);
                body(in, out);
                return side_.get(out);
            },
            src);
    }

    // 255 wherever a picture is not 0.
    Held<uint8_t> mask_of(const Picture& picture) {
        return std::visit(
            [&]<class P>(const HostImage<P>& image) {
                const Held<P> in = side_.put(image);
                Held<uint8_t> mask = side_.template make<uint8_t>({image.height(), image.width()});
                threshold<P>(side_.queue(), in.const_batch(), mask.batch(), P{0});
                return mask;
            },
            picture);
    }

    // A mask of 0 and 255 as one of P's whole range.
    template <class P>
    static Picture full_range(const HostImage<uint8_t>& bytes) {
        HostImage<P> image(bytes.height(), bytes.width());
        for (int64_t i = 0; i < image.view().pixels(); ++i) {
            image.view().data[i] = bytes.view().data[i] != 0 ? std::numeric_limits<P>::max() : P{0};
        }
        return image;
    }

    template <class Operation>
    Picture on_mask(const Picture& mask, const Operation& operation) {
        const Held<uint8_t> bytes = mask_of(mask);
        operation(bytes);
        return std::visit([&]<class P>(const HostImage<P>&) { return full_range<P>(side_.get(bytes)); }, mask);
    }

    auto components_scratch(ImageSize size) {
        return side_.scratch(components_scratch_bytes(size.height, size.width, 1));
    }

    Side side_;
};

}  // namespace boneage::pipeline

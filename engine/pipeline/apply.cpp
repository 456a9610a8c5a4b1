#include "engine/pipeline/apply.h"

#include "kernels/base/error.h"
#include "kernels/image/components.h"
#include "kernels/image/overlay.h"
#include "kernels/image/polarity.h"
#include "kernels/image/threshold.h"

#include <cmath>
#include <limits>

namespace boneage::pipeline {
namespace {

// Calls body(image, new image of the size given by `size_of`) with a picture's pixel type.
template <class Body>
Picture made(const Picture& src, ImageSize size, const Body& body) {
    return std::visit(
        [&]<class P>(const HostImage<P>& image) -> Picture {
            HostImage<P> dst(size.height, size.width);
            body(Image<const P, Host>(image.view()), dst.view());
            return dst;
        },
        src);
}

ImageSize size_of(const Picture& picture) {
    return std::visit([](const auto& image) { return ImageSize{image.height(), image.width()}; }, picture);
}

// 255 wherever a picture is not 0.
HostImage<uint8_t> mask_of(const Picture& picture, Workers& workers) {
    return std::visit(
        [&]<class P>(const HostImage<P>& image) {
            HostImage<uint8_t> mask(image.height(), image.width());
            threshold<P>(workers, one<const P>(image.view()), one(mask.view()), P{0});
            return mask;
        },
        picture);
}

}  // namespace

ContrastStats Applier::contrast(const Picture& src, double threshold) {
    return std::visit(
        [&]<class P>(const HostImage<P>& image) {
            ContrastStats stats;
            ::boneage::contrast<P>(workers_, one<const P>(image.view()), {&stats, 1}, {threshold},
                                   scratch_.bytes(contrast_scratch_bytes<P>(1)));
            return stats;
        },
        src);
}

Picture Applier::resize(const Picture& src, ImageSize size, ResizeFilter filter) {
    return made(src, size, [&]<class P>(Image<const P, Host> in, Image<P, Host> out) {
        ::boneage::resize<P>(workers_, one(in), one(out), filter);
    });
}

Picture Applier::invert(const Picture& src) {
    return made(src, size_of(src), [&]<class P>(Image<const P, Host> in, Image<P, Host> out) {
        ::boneage::invert<P>(workers_, one(in), one(out), {});
    });
}

template <class Operation>
Picture Applier::on_mask(const Picture& mask, const Operation& operation) {
    HostImage<uint8_t> bytes = mask_of(mask, workers_);
    operation(bytes.view());
    return made(mask, size_of(mask), [&]<class P>(Image<const P, Host>, Image<P, Host> out) {
        for (int64_t i = 0; i < out.pixels(); ++i) {
            out.data[i] = bytes.view().data[i] != 0 ? std::numeric_limits<P>::max() : P{0};
        }
    });
}

Picture Applier::fill(const Picture& mask) {
    return on_mask(mask, [&](Image<uint8_t, Host> bytes) { pipeline::fill(tools(), bytes); });
}

Picture Applier::largest(const Picture& mask) {
    return on_mask(mask, [&](Image<uint8_t, Host> bytes) { pipeline::largest(tools(), bytes); });
}

Picture Applier::morphology(const Picture& src, const MorphologyParams& params) {
    return made(src, size_of(src), [&]<class P>(Image<const P, Host> in, Image<P, Host> out) {
        const int64_t bytes = morphology_scratch_bytes<P>(params, in.height, in.width, workers_.count());
        ::boneage::morphology<P>(workers_, one(in), one(out), params, scratch_.bytes(bytes));
    });
}

Picture Applier::overlay(const Picture& src, const Picture& mask, double background) {
    if (size_of(src) != size_of(mask)) {
        throw UsageError("the mask must have the size of the image");
    }
    const HostImage<uint8_t> bytes = mask_of(mask, workers_);
    return made(src, size_of(src), [&]<class P>(Image<const P, Host> in, Image<P, Host> out) {
        pipeline::overlay<P>(tools(), in, bytes.view(), out, {background});
    });
}

Picture Applier::clahe(const Picture& src, const ClaheParams& params) {
    return made(src, size_of(src), [&]<class P>(Image<const P, Host> in, Image<P, Host> out) {
        ::boneage::clahe<P>(workers_, one(in), one(out), params, scratch_.bytes(clahe_scratch_bytes<P>(params, 1)));
    });
}

Picture Applier::sharpen(const Picture& src, const SharpenParams& params) {
    return made(src, size_of(src), [&]<class P>(Image<const P, Host> in, Image<P, Host> out) {
        ::boneage::sharpen<P>(workers_, one(in), one(out), params);
    });
}

Picture Applier::segment(const Picture& src, Segmenter& segmenter, const Recipe& recipe) {
    return made(src, size_of(src), [&]<class P>(Image<const P, Host> in, Image<P, Host> out) {
        HostImage<P> bright(in.height, in.width);
        for (int64_t i = 0; i < in.pixels(); ++i) {
            bright.view().data[i] = in.data[i];
        }
        polarity<P>(tools(), bright.view(), recipe.polarity);
        const ImageSize size = canvas_size(in.height, in.width, recipe.canvas);
        HostImage<P> small(size.height, size.width);
        canvas<P>(tools(), bright.view(), small.view(), recipe.canvas);
        HostImage<uint8_t> mask(size.height, size.width);
        segmenter.segment<P>(workers_, small.view(), mask.view());
        HostImage<uint8_t> scaled(in.height, in.width);
        ::boneage::resize<uint8_t>(workers_, one<const uint8_t>(mask.view()), one(scaled.view()), ResizeFilter::linear);
        for (int64_t i = 0; i < out.pixels(); ++i) {
            out.data[i] = scaled.view().data[i] > 127 ? std::numeric_limits<P>::max() : P{0};
        }
    });
}

}  // namespace boneage::pipeline

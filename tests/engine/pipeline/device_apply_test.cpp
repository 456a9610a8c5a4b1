// Every operation of `boneage apply` on a device against the same on the CPU.
#include "engine/onednn/backend.h"
#include "engine/pipeline/apply.h"
#include "kernels/base/error.h"
#include "tests/support/images.h"
#include "tests/support/pipeline_cases.h"
#include "tests/support/test_device.h"

#include <functional>
#include <gtest/gtest.h>

namespace boneage::pipeline {
namespace {

template <class P>
Picture random_picture(int64_t height, int64_t width, uint64_t seed) {
    const testing::PaddedImage<P> random = testing::random_image<P>(height, width, seed);
    HostImage<P> image(height, width);
    for (int64_t y = 0; y < height; ++y) {
        std::copy_n(random.view().row(y), width, image.view().row(y));
    }
    return image;
}

// A picture of which about half is black: a mask with holes.
Picture speckled(const Picture& picture) {
    Picture mask = std::visit(
        [](const auto& image) -> Picture {
            std::remove_cvref_t<decltype(image)> copy(image.height(), image.width());
            for (int64_t i = 0; i < copy.view().pixels(); ++i) {
                copy.view().data[i] = image.view().data[i] % 5 < 2 ? 0 : image.view().data[i];
            }
            return copy;
        },
        picture);
    return mask;
}

bool same(const Picture& a, const Picture& b) {
    return a.index() == b.index() &&
           std::visit(
               [&]<class P>(const HostImage<P>& image) {
                   const auto& other = std::get<HostImage<P>>(b);
                   return image.height() == other.height() && image.width() == other.width() &&
                          std::equal(image.view().data, image.view().data + image.view().pixels(), other.view().data);
               },
               a);
}

TEST(DeviceApply, every_operation_equals_the_cpus) {
    const auto backend = onednn::make_backend({});
    const auto cpu = make_applier(1, *backend);
    const auto test_device = testing::make_test_device();
    const auto device = make_applier(test_device->stream(), [&]() -> plan::Backend& { return test_device->backend(); });

    const Recipe recipe = testing::small_recipe();
    const SegmenterSource segmenter{testing::kBrightSpec, testing::bright_weights(0.5F)};
    const std::vector<std::pair<const char*, std::function<Picture(Applier&, const Picture&)>>> operations{
        {"resize",
         [](Applier& on, const Picture& p) {
             return on.resize(p, {13, 29}, ResizeFilter::area);
         }},
        {"enlarge",
         [](Applier& on, const Picture& p) {
             return on.resize(p, {150, 99}, ResizeFilter::linear);
         }},
        {"invert", [](Applier& on, const Picture& p) { return on.invert(p); }},
        {"fill", [](Applier& on, const Picture& p) { return on.fill(speckled(p)); }},
        {"largest", [](Applier& on, const Picture& p) { return on.largest(speckled(p)); }},
        {"open",
         [](Applier& on, const Picture& p) {
             return on.morphology(p, {MorphologyOp::open, ElementShape::ellipse, 5, 7, 1});
         }},
        {"overlay", [](Applier& on, const Picture& p) { return on.overlay(p, speckled(p), 0.25); }},
        {"clahe",
         [](Applier& on, const Picture& p) {
             return on.clahe(p, {2.0, 3, 2});
         }},
        {"sharpen",
         [](Applier& on, const Picture& p) {
             return on.sharpen(p, {SharpenKernel::unsharp, 0.3F});
         }},
        {"segment", [&](Applier& on, const Picture& p) { return on.segment(p, segmenter, recipe); }},
    };
    const std::vector<Picture> pictures = [] {
        std::vector<Picture> all;
        all.push_back(random_picture<uint8_t>(67, 45, 1));
        all.push_back(random_picture<uint16_t>(31, 90, 2));
        all.push_back(random_picture<uint8_t>(1, 1, 3));
        all.push_back(random_picture<uint16_t>(1, 40, 4));
        return all;
    }();
    for (const Picture& picture : pictures) {
        for (const auto& [name, operation] : operations) {
            EXPECT_TRUE(same(operation(*device, picture), operation(*cpu, picture))) << name;
        }
        const ContrastStats want = cpu->contrast(picture, 0.05);
        const ContrastStats got = device->contrast(picture, 0.05);
        EXPECT_EQ(got.p1, want.p1);
        EXPECT_EQ(got.p99, want.p99);
        EXPECT_EQ(got.low, want.low);
        EXPECT_THROW(device->overlay(picture, random_picture<uint8_t>(2, 3, 1), 0.0), UsageError);
    }
}

}  // namespace
}  // namespace boneage::pipeline

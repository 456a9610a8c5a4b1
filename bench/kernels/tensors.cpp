// Between images and tensors: thresholding beside OpenCV; normalising and patches, which have no counterpart there.
#include "bench/kernels/radiograph.h"
#include "kernels/image/patches.h"
#include "kernels/image/threshold.h"

namespace boneage::bench {
namespace {

// A canvas and its patches as the segmenter sees them.
struct Canvas {
    static constexpr int64_t kHeight = 768;
    static constexpr int64_t kWidth = 576;
    static constexpr int64_t kPatch = 256;
    cv::Mat pixels;
    std::vector<PatchPlace> places;
    std::vector<float> window = gaussian_window(kPatch);
    Buffer<float, Host> tensor;

    Canvas() {
        cv::resize(radiograph(), pixels, {kWidth, kHeight}, 0, 0, cv::INTER_AREA);
        append_patches(places, 0, kHeight, kWidth, kPatch, 0.5);
        tensor = Buffer<float, Host>(count() * kPatch * kPatch);
        tensor.clear();
    }
    [[nodiscard]] int64_t count() const { return static_cast<int64_t>(places.size()); }
    [[nodiscard]] Tensor<const PatchPlace, Host> table() const { return {places.data(), count()}; }
};

const Canvas& canvas() {
    static const Canvas the_canvas;
    return the_canvas;
}

[[maybe_unused]] const bool kRegistered = [] {
    static cv::Mat map;
    static HostImage<uint8_t> above(radiograph().rows, radiograph().cols);
    static cv::Mat opencv_above;
    radiograph().convertTo(map, CV_32F);
    compare(
        "threshold_f32", above.view().pixels() * 5,
        [](Workers& workers) { threshold<float>(workers, one(view<float>(map)), one(above.view()), 100.0F); },
        [] { cv::compare(map, 100.0, opencv_above, cv::CMP_GT); });

    const int64_t pixels = Canvas::kHeight * Canvas::kWidth;
    const int64_t values = canvas().tensor.size();
    measure("normalise_u8", pixels * 5, [](Workers& workers) {
        normalise<uint8_t, float>(workers, one(view<uint8_t>(canvas().pixels)),
                                  {canvas().tensor.data(), 1, Canvas::kHeight, Canvas::kWidth},
                                  {{0.45F, 0, 0}, {0.22F, 1, 1}});
    });
    measure("gather_patches_u8", values * 4, [](Workers& workers) {
        gather_patches<uint8_t, float>(workers, one(view<uint8_t>(canvas().pixels)), canvas().table(),
                                       {canvas().tensor.data(), canvas().count(), Canvas::kPatch, Canvas::kPatch}, {});
    });
    measure("blend_patches", (values + pixels) * 4, [](Workers& workers) {
        static HostImage<float> blended(Canvas::kHeight, Canvas::kWidth);
        const std::array<int64_t, 2> first{0, canvas().count()};
        blend_patches(workers, {canvas().tensor.data(), canvas().count(), Canvas::kPatch, Canvas::kPatch},
                      canvas().table(), {first.data(), 2}, {canvas().window.data(), Canvas::kPatch, Canvas::kPatch},
                      one(blended.view()));
    });
    return true;
}();

}  // namespace
}  // namespace boneage::bench

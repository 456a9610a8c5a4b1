#include "kernels/image/morphology.h"

#include "bench/kernels/radiograph.h"

namespace boneage::bench {
namespace {

void add_dilate(const std::string& name, ElementShape shape, int opencv_shape, int size) {
    static HostScratch scratch;
    static HostImage<uint8_t> dst(radiograph().rows, radiograph().cols);
    static cv::Mat opencv_dst;
    const MorphologyParams params{MorphologyOp::dilate, shape, size, size, 1};
    const cv::Mat element = cv::getStructuringElement(opencv_shape, {size, size});
    compare(
        name, 2 * radiograph().rows * int64_t{radiograph().cols},
        [=](Workers& workers) {
            morphology<uint8_t>(
                workers, one(view<uint8_t>(radiograph())), one(dst.view()), params,
                scratch.bytes(morphology_scratch_bytes<uint8_t>(params, dst.height(), dst.width(), workers.count())));
        },
        [=] { cv::dilate(radiograph(), opencv_dst, element); });
}

[[maybe_unused]] const bool kRegistered = [] {
    add_dilate("dilate_rect_3x3", ElementShape::rect, cv::MORPH_RECT, 3);
    add_dilate("dilate_rect_15x15", ElementShape::rect, cv::MORPH_RECT, 15);
    add_dilate("dilate_ellipse_15x15", ElementShape::ellipse, cv::MORPH_ELLIPSE, 15);
    add_dilate("dilate_ellipse_41x41", ElementShape::ellipse, cv::MORPH_ELLIPSE, 41);
    add_dilate("dilate_cross_15x15", ElementShape::cross, cv::MORPH_CROSS, 15);
    return true;
}();

}  // namespace
}  // namespace boneage::bench

#include "kernels/image/resize.h"

#include "bench/kernels/radiograph.h"

namespace boneage::bench {
namespace {

template <class P>
void add_resize(const std::string& name, const cv::Mat& source, ResizeFilter filter, ImageSize size) {
    static HostImage<P> dst;
    static cv::Mat opencv_dst;
    const int opencv_filter = filter == ResizeFilter::area ? cv::INTER_AREA : cv::INTER_LINEAR;
    const cv::Size opencv_size(static_cast<int>(size.width), static_cast<int>(size.height));
    compare(
        name + "_" + std::to_string(size.width) + "x" + std::to_string(size.height),
        (source.rows * int64_t{source.cols} + size.height * size.width) * static_cast<int64_t>(sizeof(P)),
        [=](Workers& workers) {
            dst.reshape(size.height, size.width);
            resize<P>(workers, one(view<P>(source)), one(dst.view()), filter);
        },
        [=] { cv::resize(source, opencv_dst, opencv_size, 0, 0, opencv_filter); });
}

[[maybe_unused]] const bool kRegistered = [] {
    // The canvas, a square input, whole scales of 4 and 2, and an enlargement.
    for (const ImageSize size :
         {ImageSize{512, 384}, ImageSize{512, 512}, ImageSize{500, 375}, ImageSize{1000, 750}, ImageSize{4000, 3000}}) {
        add_resize<uint8_t>("resize_area_u8", radiograph(), ResizeFilter::area, size);
        add_resize<uint8_t>("resize_linear_u8", radiograph(), ResizeFilter::linear, size);
        add_resize<uint16_t>("resize_area_u16", radiograph_u16(), ResizeFilter::area, size);
        add_resize<uint16_t>("resize_linear_u16", radiograph_u16(), ResizeFilter::linear, size);
    }
    return true;
}();

}  // namespace
}  // namespace boneage::bench

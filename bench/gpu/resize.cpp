#include "kernels/image/resize.h"

#include "bench/gpu/device_scene.h"

namespace boneage::bench {
namespace {

template <class P>
void add_resize(const std::string& name, const cv::Mat& (*source)(), ResizeFilter filter, ImageSize size) {
    on_device(name + "_" + std::to_string(size.width) + "x" + std::to_string(size.height), [=](Stream& stream) {
        const auto src = device_images<P>(stream, source());
        const auto dst = device_images<P>(stream, size.height, size.width);
        return DeviceWork{src->bytes() + dst->bytes(),
                          [=, &stream] { resize<P>(stream, src->const_view(), dst->view(), filter); }};
    });
}

// Logits of a segmenter's working size, brought to the canvas.
const cv::Mat& logits() {
    static const cv::Mat image = [] {
        cv::Mat wide;
        radiograph().convertTo(wide, CV_32F, 0.05, -5);
        cv::resize(wide, wide, {288, 384}, 0, 0, cv::INTER_AREA);
        return wide;
    }();
    return image;
}

[[maybe_unused]] const bool kRegistered = [] {
    // As on the CPU: the canvas, a square input, whole scales of 4 and 2, and an enlargement.
    for (const ImageSize size :
         {ImageSize{512, 384}, ImageSize{512, 512}, ImageSize{500, 375}, ImageSize{1000, 750}, ImageSize{4000, 3000}}) {
        add_resize<uint8_t>("resize_area_u8", radiograph, ResizeFilter::area, size);
        add_resize<uint8_t>("resize_linear_u8", radiograph, ResizeFilter::linear, size);
        add_resize<uint16_t>("resize_area_u16", radiograph_u16, ResizeFilter::area, size);
        add_resize<uint16_t>("resize_linear_u16", radiograph_u16, ResizeFilter::linear, size);
    }
    add_resize<float>("resize_linear_f32", logits, ResizeFilter::linear, {768, 576});
    return true;
}();

}  // namespace
}  // namespace boneage::bench

// Kernels that give each pixel a new value, and those that measure a whole image.
#include "bench/gpu/device_scene.h"
#include "kernels/image/clahe.h"
#include "kernels/image/contrast.h"
#include "kernels/image/overlay.h"
#include "kernels/image/polarity.h"
#include "kernels/image/sharpen.h"
#include "kernels/image/threshold.h"

namespace boneage::bench {
namespace {

template <class P>
const cv::Mat& picture() {
    if constexpr (sizeof(P) == 1) {
        return radiograph();
    } else {
        return radiograph_u16();
    }
}

// Work that reads a batch of pictures and writes images of type Q: call(src, dst).
template <class P, class Q, class Call>
void add_map(const std::string& name, const cv::Mat& (*source)(), Call call) {
    on_device(name, [=](Stream& stream) {
        const auto src = device_images<P>(stream, source());
        const auto dst = device_images<Q>(stream, source().rows, source().cols);
        return DeviceWork{src->bytes() + dst->bytes(), [=, &stream] { call(stream, src->const_view(), dst->view()); }};
    });
}

template <class P>
void add_of_type(const std::string& type) {
    add_map<P, P>("invert_" + type, picture<P>,
                  [](Stream& stream, auto src, auto dst) { invert<P>(stream, src, dst, {}); });
    add_map<P, P>("sharpen_" + type, picture<P>,
                  [](Stream& stream, auto src, auto dst) { sharpen<P>(stream, src, dst, {}); });
    on_device("overlay_" + type, [](Stream& stream) {
        const auto src = device_images<P>(stream, picture<P>());
        const auto kept = device_images<uint8_t>(stream, mask());
        const auto dst = device_images<P>(stream, mask().rows, mask().cols);
        return DeviceWork{src->bytes() + kept->bytes() + dst->bytes(),
                          [=, &stream] { overlay<P>(stream, src->const_view(), kept->const_view(), dst->view(), 0); }};
    });
    on_device("sharpen_masked_" + type, [](Stream& stream) {
        const auto src = device_images<P>(stream, picture<P>());
        const auto kept = device_images<uint8_t>(stream, mask());
        const auto dst = device_images<P>(stream, mask().rows, mask().cols);
        return DeviceWork{src->bytes() + kept->bytes() + dst->bytes(), [=, &stream] {
                              sharpen_masked<P>(stream, src->const_view(), kept->const_view(), dst->view(), {}, 0);
                          }};
    });
    on_device("sharpen_then_overlay_" + type, [](Stream& stream) {
        const auto src = device_images<P>(stream, picture<P>());
        const auto kept = device_images<uint8_t>(stream, mask());
        const auto dst = device_images<P>(stream, mask().rows, mask().cols);
        return DeviceWork{src->bytes() + kept->bytes() + dst->bytes(), [=, &stream] {
                              sharpen<P>(stream, src->const_view(), dst->view(), {});
                              overlay<P>(stream, dst->const_view(), kept->const_view(), dst->view(), 0);
                          }};
    });
    on_device("clahe_" + type, [](Stream& stream) {
        const ClaheParams params;
        const auto src = device_images<P>(stream, picture<P>());
        const auto dst = device_images<P>(stream, radiograph().rows, radiograph().cols);
        const auto scratch = device_memory<std::byte>(clahe_scratch_bytes<P>(params, kImages));
        return DeviceWork{src->bytes() + dst->bytes(), [=, &stream] {
                              clahe<P>(stream, src->const_view(), dst->view(), params, bytes_of(*scratch));
                          }};
    });
    on_device("contrast_" + type, [](Stream& stream) {
        const auto src = device_images<P>(stream, picture<P>());
        const auto stats = device_memory<ContrastStats>(kImages);
        const auto scratch = device_memory<std::byte>(contrast_scratch_bytes<P>(kImages));
        return DeviceWork{src->bytes(), [=, &stream] {
                              contrast<P>(stream, src->const_view(), {stats->data(), kImages}, {}, bytes_of(*scratch));
                          }};
    });
    on_device("find_inverted_" + type, [](Stream& stream) {
        const auto src = device_images<P>(stream, picture<P>());
        const auto inverted = device_memory<uint8_t>(kImages);
        const auto scratch = device_memory<std::byte>(find_inverted_scratch_bytes(kImages));
        // Three bands and the middle: a tenth of each side, a quarter of the picture.
        return DeviceWork{
            src->bytes() * 55 / 100, [=, &stream] {
                find_inverted<P>(stream, src->const_view(), {inverted->data(), kImages}, bytes_of(*scratch));
            }};
    });
}

const cv::Mat& map() {
    static const cv::Mat image = [] {
        cv::Mat wide;
        radiograph().convertTo(wide, CV_32F);
        return wide;
    }();
    return image;
}

[[maybe_unused]] const bool kRegistered = [] {
    add_of_type<uint8_t>("u8");
    add_of_type<uint16_t>("u16");
    add_map<uint8_t, uint8_t>("threshold_u8", radiograph,
                              [](Stream& stream, auto src, auto dst) { threshold<uint8_t>(stream, src, dst, 100); });
    add_map<float, uint8_t>("threshold_f32", map,
                            [](Stream& stream, auto src, auto dst) { threshold<float>(stream, src, dst, 100.0F); });
    return true;
}();

}  // namespace
}  // namespace boneage::bench

// Components of masks, and morphology.
#include "bench/gpu/device_scene.h"
#include "kernels/image/components.h"
#include "kernels/image/morphology.h"

namespace boneage::bench {
namespace {

// Work on a batch of masks that needs the components' scratch: call(stream, masks, dst, scratch).
template <class Q, class Call>
void add_components(const std::string& name, Call call) {
    on_device(name, [=](Stream& stream) {
        const auto src = device_images<uint8_t>(stream, mask());
        const auto dst = device_images<Q>(stream, mask().rows, mask().cols);
        const auto scratch = device_memory<std::byte>(components_scratch_bytes(mask().rows, mask().cols, kImages));
        return DeviceWork{src->bytes() + dst->bytes(),
                          [=, &stream] { call(stream, src->const_view(), dst->view(), bytes_of(*scratch)); }};
    });
}

void add_morphology(const std::string& name, const MorphologyParams& params) {
    on_device(name, [=](Stream& stream) {
        const auto src = device_images<uint8_t>(stream, mask());
        const auto dst = device_images<uint8_t>(stream, mask().rows, mask().cols);
        const auto scratch = device_memory<std::byte>(
            morphology_scratch_bytes<uint8_t, Device>(params, mask().rows, mask().cols, kImages));
        return DeviceWork{src->bytes() + dst->bytes(), [=, &stream] {
                              morphology<uint8_t>(stream, src->const_view(), dst->view(), params, bytes_of(*scratch));
                          }};
    });
}

[[maybe_unused]] const bool kRegistered = [] {
    add_components<int32_t>("label_components", [](Stream& stream, auto masks, auto dst, Bytes<Device> scratch) {
        label_components(stream, masks, dst, scratch);
    });
    add_components<uint8_t>("fill_holes", [](Stream& stream, auto masks, auto dst, Bytes<Device> scratch) {
        fill_holes(stream, masks, dst, scratch);
    });
    on_device("keep_largest", [](Stream& stream) {
        const auto src = device_images<uint8_t>(stream, mask());
        const auto dst = device_images<uint8_t>(stream, mask().rows, mask().cols);
        const auto stats = device_memory<ComponentStats>(kImages);
        const auto scratch = device_memory<std::byte>(components_scratch_bytes(mask().rows, mask().cols, kImages));
        return DeviceWork{
            src->bytes() + dst->bytes(), [=, &stream] {
                keep_largest(stream, src->const_view(), dst->view(), {stats->data(), kImages}, bytes_of(*scratch));
            }};
    });
    add_morphology("dilate_rect_3x3", {MorphologyOp::dilate, ElementShape::rect, 3, 3, 1});
    add_morphology("dilate_rect_15x15", {MorphologyOp::dilate, ElementShape::rect, 15, 15, 1});
    add_morphology("dilate_ellipse_15x15", {MorphologyOp::dilate, ElementShape::ellipse, 15, 15, 1});
    add_morphology("dilate_ellipse_41x41", {MorphologyOp::dilate, ElementShape::ellipse, 41, 41, 1});
    add_morphology("close_ellipse_15x15", {MorphologyOp::close, ElementShape::ellipse, 15, 15, 1});
    return true;
}();

}  // namespace
}  // namespace boneage::bench

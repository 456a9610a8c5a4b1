// Between images and tensors: normalising, and patches of a segmenter's canvas.
#include "bench/gpu/device_scene.h"
#include "kernels/base/numeric.h"
#include "kernels/image/patches.h"

namespace boneage::bench {
namespace {

constexpr int64_t kHeight = 768;
constexpr int64_t kWidth = 576;
constexpr int64_t kPatch = 256;
constexpr NormaliseParams kParams{{0.45F, 0.45F, 0.45F}, {0.22F, 0.22F, 0.22F}};

const cv::Mat& canvas() {
    static const cv::Mat image = [] {
        cv::Mat resized;
        cv::resize(radiograph(), resized, {kWidth, kHeight}, 0, 0, cv::INTER_AREA);
        return resized;
    }();
    return image;
}

template <class T>
void add_normalise(const std::string& name, int64_t channels) {
    on_device(name, [=](Stream& stream) {
        const auto src = device_images<uint8_t>(stream, canvas());
        const auto dst = device_memory<T>(kImages * kHeight * kWidth * channels);
        return DeviceWork{src->bytes() + dst->size() * static_cast<int64_t>(sizeof(T)), [=, &stream] {
                              normalise<uint8_t, T>(stream, src->const_view(),
                                                    {dst->data(), kImages, kHeight, kWidth, channels}, kParams);
                          }};
    });
}

// The patches of all images, on the device.
struct Table {
    std::shared_ptr<Buffer<PatchPlace, Device>> places;
    std::shared_ptr<Buffer<int64_t, Device>> first;

    explicit Table(Stream& stream) {
        std::vector<PatchPlace> host_places;
        std::vector<int64_t> host_first{0};
        for (int64_t i = 0; i < kImages; ++i) {
            append_patches(host_places, i, kHeight, kWidth, kPatch, 0.5);
            host_first.push_back(static_cast<int64_t>(host_places.size()));
        }
        places = device_memory(stream, host_places);
        first = device_memory(stream, host_first);
    }
    [[nodiscard]] int64_t values() const { return places->size() * kPatch * kPatch; }
};

template <class T>
void add_gather(const std::string& name) {
    on_device(name, [](Stream& stream) {
        const Table table(stream);
        const auto src = device_images<uint8_t>(stream, canvas());
        const auto dst = device_memory<T>(table.values());
        return DeviceWork{src->bytes() + dst->size() * static_cast<int64_t>(sizeof(T)), [=, &stream] {
                              gather_patches<uint8_t, T>(stream, src->const_view(),
                                                         {table.places->data(), table.places->size()},
                                                         {dst->data(), table.places->size(), kPatch, kPatch}, kParams);
                          }};
    });
}

void add_blend() {
    on_device("blend_patches", [](Stream& stream) {
        const Table table(stream);
        const auto values = device_memory(stream, std::vector<float>(static_cast<size_t>(table.values()), 0.5F));
        const auto window = device_memory(stream, gaussian_window(kPatch));
        const auto dst = device_images<float>(stream, kHeight, kWidth);
        return DeviceWork{values->size() * 4 + dst->bytes(), [=, &stream] {
                              blend_patches(stream, {values->data(), table.places->size(), kPatch, kPatch},
                                            {table.places->data(), table.places->size()},
                                            {table.first->data(), table.first->size()},
                                            {window->data(), kPatch, kPatch}, dst->view());
                          }};
    });
}

[[maybe_unused]] const bool kRegistered = [] {
    add_normalise<float>("normalise_f32_c1", 1);
    add_normalise<float>("normalise_f32_c3", 3);
    add_normalise<bfloat16>("normalise_bf16_c1", 1);
    add_normalise<bfloat16>("normalise_bf16_c3", 3);
    add_gather<float>("gather_patches_f32");
    add_gather<bfloat16>("gather_patches_bf16");
    add_blend();
    return true;
}();

}  // namespace
}  // namespace boneage::bench

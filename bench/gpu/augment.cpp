// Batches for training: 256 pictures of 224x224 for the age network, 64 patches of 256x256 for the segmenter.
#include "kernels/image/augment.h"

#include "bench/gpu/device_scene.h"

namespace boneage::bench {
namespace {

constexpr int64_t kSide = 224;
constexpr int64_t kPatch = 256;

constexpr AugmentParams kEverything{.rotation_degrees = 20,
                                    .shift = 0.1F,
                                    .zoom = 0.2F,
                                    .shear = 0.1F,
                                    .flip = 0.5F,
                                    .brightness = 0.1F,
                                    .contrast = 0.2F,
                                    .noise = 0.05F,
                                    .erase = 0.5F,
                                    .erase_smallest_area = 0.02F,
                                    .erase_largest_area = 0.2F,
                                    .erase_stretch = 1};
constexpr NormaliseParams kNormalise{{0.45F, 0, 0}, {0.22F, 1, 1}};

// What a call needs beside its pictures: sample i asks for picture i mod `pictures`.
struct Memory {
    int64_t samples;
    std::shared_ptr<Buffer<int32_t, Device>> indices;
    std::shared_ptr<Buffer<AugmentDraws, Device>> draws;
    std::shared_ptr<Buffer<float, Device>> dst, targets;
    std::shared_ptr<Buffer<std::byte, Device>> scratch;

    Memory(Stream& stream, int64_t samples_, int64_t side, int64_t pictures) : samples(samples_) {
        std::vector<int32_t> table;
        for (int64_t i = 0; i < samples; ++i) {
            table.push_back(static_cast<int32_t>(i % pictures));
        }
        indices = device_memory(stream, table);
        draws = device_memory(stream, std::vector<AugmentDraws>{{1, 0}});
        dst = device_memory<float>(samples * side * side);
        targets = device_memory<float>(samples * side * side);
        scratch = device_memory<std::byte>(augment_scratch_bytes(samples));
    }
};

void add_pictures(const std::string& name, const AugmentParams& params) {
    on_device(name, [=](Stream& stream) {
        constexpr int64_t kSamples = 256;
        const Memory memory(stream, kSamples, kSide, kSamples);
        const auto pictures =
            device_memory(stream, std::vector<uint8_t>(static_cast<size_t>(kSamples * kSide * kSide), 100));
        return DeviceWork{pictures->size() + memory.dst->size() * 4, [=, &stream] {
                              augment(stream, {pictures->data(), kSamples, kSide, kSide},
                                      {memory.indices->data(), kSamples}, {memory.draws->data(), 1},
                                      {memory.dst->data(), kSamples, kSide, kSide}, params, kNormalise,
                                      bytes_of(*memory.scratch));
                          }};
    });
}

void add_patches(const std::string& name, const AugmentParams& params) {
    on_device(name, [=](Stream& stream) {
        constexpr int64_t kSamples = 64;
        const Memory memory(stream, kSamples, kPatch, kImages);
        const auto pictures = device_images<uint8_t>(stream, radiograph());
        const auto masks = device_images<uint8_t>(stream, mask());
        return DeviceWork{memory.dst->size() * 10, [=, &stream] {
                              augment_patches(stream, pictures->const_view(), masks->const_view(),
                                              {memory.indices->data(), kSamples}, {memory.draws->data(), 1},
                                              {memory.dst->data(), kSamples, kPatch, kPatch},
                                              {memory.targets->data(), kSamples, kPatch, kPatch}, params, kNormalise,
                                              bytes_of(*memory.scratch));
                          }};
    });
}

[[maybe_unused]] const bool kRegistered = [] {
    add_pictures("augment_nothing", {});
    add_pictures("augment_everything", kEverything);
    add_patches("augment_patches_everything", kEverything);
    return true;
}();

}  // namespace
}  // namespace boneage::bench

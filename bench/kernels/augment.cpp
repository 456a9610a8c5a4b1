// Batches for training: 16 pictures of 224x224 for the age network, 8 patches of 256x256 for the segmenter. The times
// are those of the whole batch. Every call draws anew: the time is the mean over all draws.
#include "kernels/image/augment.h"

#include "bench/kernels/radiograph.h"

namespace boneage::bench {
namespace {

constexpr int64_t kSide = 224;
constexpr int64_t kSamples = 16;
constexpr int64_t kPatch = 256;
constexpr int64_t kPatches = 8;

constexpr AugmentParams kShape{.rotation_degrees = 20, .shift = 0.1F, .zoom = 0.2F, .shear = 0.1F, .flip = 0.5F};
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

// What a call reads and writes, kept from call to call.
struct Memory {
    Buffer<int32_t, Host> indices;
    Buffer<float, Host> dst, targets;
    AugmentDraws draws;
    HostScratch scratch;

    Memory(int64_t samples, int64_t side, int32_t pictures)
        : indices(samples), dst(samples * side * side), targets(samples * side * side) {
        for (int64_t i = 0; i < samples; ++i) {
            indices[i] = static_cast<int32_t>(i) % pictures;
        }
    }
    [[nodiscard]] Tensor<const int32_t, Host> table() const { return {indices.data(), indices.size()}; }
};

void add_pictures(const std::string& name, const AugmentParams& params) {
    static const cv::Mat picture = [] {
        cv::Mat resized;
        cv::resize(radiograph(), resized, {kSide, kSide}, 0, 0, cv::INTER_AREA);
        return resized;
    }();
    static Memory memory(kSamples, kSide, 1);
    measure(name, kSamples * kSide * kSide * 5, [=](Workers& workers) {
        memory.draws.first += kSamples;
        augment(workers, {picture.ptr<uint8_t>(), 1, kSide, kSide}, memory.table(), {&memory.draws, 1},
                {memory.dst.data(), kSamples, kSide, kSide}, params, kNormalise,
                memory.scratch.bytes(augment_scratch_bytes(kSamples)));
    });
}

void add_patches(const std::string& name, const AugmentParams& params) {
    static Memory memory(kPatches, kPatch, 1);
    measure(name, kPatches * kPatch * kPatch * 10, [=](Workers& workers) {
        memory.draws.first += kPatches;
        augment_patches(workers, one(view<uint8_t>(radiograph())), one(view<uint8_t>(mask())), memory.table(),
                        {&memory.draws, 1}, {memory.dst.data(), kPatches, kPatch, kPatch},
                        {memory.targets.data(), kPatches, kPatch, kPatch}, params, kNormalise,
                        memory.scratch.bytes(augment_scratch_bytes(kPatches)));
    });
}

[[maybe_unused]] const bool kRegistered = [] {
    add_pictures("augment_nothing", {});
    add_pictures("augment_flip", {.flip = 0.5F});
    add_pictures("augment_shape", kShape);
    add_pictures("augment_noise", {.noise = 0.05F});
    add_pictures("augment_everything", kEverything);
    add_patches("augment_patches_shape", kShape);
    add_patches("augment_patches_everything", kEverything);
    return true;
}();

}  // namespace
}  // namespace boneage::bench

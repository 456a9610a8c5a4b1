#include "kernels/image/augment.h"
#include "tests/support/augment_cases.h"
#include "tests/support/device_tensors.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::expect_same;
using testing::kEverything;
using testing::kImageNet;
using testing::OwnedTensor;
using testing::TwinBatch;

constexpr AugmentParams kCases[] = {
    {}, {.flip = 0.5F}, {.shift = 1, .zoom = 10}, {.noise = 1}, {.rotation_degrees = 180}, kEverything};

Buffer<std::byte, Device> scratch_for(int64_t samples) {
    return Buffer<std::byte, Device>(augment_scratch_bytes(samples));
}

// Fills both sides with the same random pictures.
std::vector<uint8_t> random_pictures(int64_t bytes) {
    std::vector<uint8_t> pixels(static_cast<size_t>(bytes));
    Rng rng(5);
    for (uint8_t& pixel : pixels) {
        pixel = static_cast<uint8_t>(rng.next_u32());
    }
    return pixels;
}

TEST(AugmentDevice, a_replayed_graph_equals_the_cpu_twin_and_draws_anew) {
    Stream stream;
    Workers workers(1);
    // Whole vectors, rows that no vector store may assume aligned, more than one block of columns, one pixel.
    for (const auto& size : std::vector<std::pair<int64_t, int64_t>>{{20, 24}, {9, 133}, {1, 1}}) {
        const int64_t height = size.first;
        const int64_t width = size.second;
        const auto host_pictures = random_pictures(3 * height * width);
        const auto pictures = testing::to_device(stream, host_pictures);
        for (const int64_t channels : {1, 2, 3}) {
            for (const AugmentParams& params : kCases) {
                std::vector<int32_t> host_indices{2, 0, 1, 1};
                const auto n = static_cast<int64_t>(host_indices.size());
                const auto indices = testing::to_device(stream, host_indices);
                AugmentDraws host_draws{0x123456789abcdef, 0xfffffffffe};
                const auto draws = testing::to_device(stream, std::vector<AugmentDraws>{host_draws});
                const auto scratch = scratch_for(n);
                HostScratch host_scratch;
                OwnedTensor<float> want({n, height, width, channels});
                DeviceTensor<float> dst(stream, want.shape(), {0, width % 4});
                const CapturedGraph step(stream, [&] {
                    augment(stream, {pictures.data(), 3, height, width}, {indices.data(), n}, {draws.data(), 1},
                            dst.tensor(), params, kImageNet, {scratch.data(), scratch.size()});
                });
                for (int round = 0; round < 2; ++round) {
                    step.launch(stream);
                    augment(workers, {host_pictures.data(), 3, height, width}, {host_indices.data(), n},
                            {&host_draws, 1}, want.tensor(), params, kImageNet,
                            host_scratch.bytes(augment_scratch_bytes(n)));
                    expect_same(dst.download(), want,
                                std::to_string(height) + "x" + std::to_string(width) + ", case " +
                                    std::to_string(&params - kCases) + ", round " + std::to_string(round));
                    host_indices = {0, 0, 2, 1};
                    host_draws = {99, 4};
                    copy_to_device(stream, indices.data(), host_indices.data(), n * 4);
                    copy_to_device(stream, draws.data(), &host_draws, sizeof(AugmentDraws));
                }
            }
        }
    }
}

TEST(AugmentDevice, patches_and_targets_equal_the_cpu_twin) {
    Stream stream;
    Workers workers(1);
    const testing::Sizes sizes{{60, 50}, {32, 32}, {7, 90}, {0, 0}, {20, 15}};
    const std::vector<int32_t> host_indices{0, 1, 2, 3, 4, 0, 1, 2};
    const auto n = static_cast<int64_t>(host_indices.size());
    const auto indices = testing::to_device(stream, host_indices);
    const AugmentDraws host_draws{3, 70};
    const auto draws = testing::to_device(stream, std::vector<AugmentDraws>{host_draws});
    const auto scratch = scratch_for(n);
    HostScratch host_scratch;
    for (const testing::RowLayout& rows : testing::kRowLayouts) {
        TwinBatch<uint8_t> pictures(stream, sizes, rows);
        TwinBatch<uint8_t> masks(stream, sizes, rows);
        pictures.fill_random(1);
        masks.fill_random(2);
        for (const int64_t patch : {32, 27}) {
            for (const int64_t channels : {1, 3}) {
                for (const AugmentParams& params : kCases) {
                    OwnedTensor<float> want({n, patch, patch, channels});
                    OwnedTensor<float> want_targets({n, patch, patch, 1});
                    DeviceTensor<float> dst(stream, want.shape());
                    DeviceTensor<float> targets(stream, want_targets.shape());
                    augment_patches(workers, pictures.const_host(), masks.const_host(), {host_indices.data(), n},
                                    {&host_draws, 1}, want.tensor(), want_targets.tensor(), params, kImageNet,
                                    host_scratch.bytes(augment_scratch_bytes(n)));
                    augment_patches(stream, pictures.const_device(), masks.const_device(), {indices.data(), n},
                                    {draws.data(), 1}, dst.tensor(), targets.tensor(), params, kImageNet,
                                    {scratch.data(), scratch.size()});
                    const std::string what =
                        "patch " + std::to_string(patch) + ", case " + std::to_string(&params - kCases);
                    expect_same(dst.download(), want, what);
                    expect_same(targets.download(), want_targets, what);
                }
            }
        }
    }
}

}  // namespace
}  // namespace boneage

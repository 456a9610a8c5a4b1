#include "kernels/image/patches.h"
#include "tests/support/device_tensors.h"
#include "tests/support/thread_orders.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::OwnedTensor;
using testing::TwinBatch;

constexpr NormaliseParams kParams{{0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}};

// A table of patches on both sides.
struct Table {
    Table(const Stream& stream, const testing::Sizes& sizes, int64_t patch) {
        for (const auto& [height, width] : sizes) {
            if (height > 0) {
                append_patches(places, static_cast<int64_t>(first.size()) - 1, height, width, patch, 0.5);
            }
            first.push_back(static_cast<int64_t>(places.size()));
        }
        device_places = testing::to_device(stream, places);
        device_first = testing::to_device(stream, first);
    }
    [[nodiscard]] int64_t count() const { return static_cast<int64_t>(places.size()); }
    [[nodiscard]] Tensor<const PatchPlace, Host> host() const { return {places.data(), count()}; }
    [[nodiscard]] Tensor<const PatchPlace, Device> device() const { return {device_places.data(), count()}; }
    [[nodiscard]] Tensor<const int64_t, Host> host_first() const {
        return {first.data(), static_cast<int64_t>(first.size())};
    }
    [[nodiscard]] Tensor<const int64_t, Device> device_first_view() const {
        return {device_first.data(), device_first.size()};
    }

    std::vector<PatchPlace> places;
    std::vector<int64_t> first{0};
    Buffer<PatchPlace, Device> device_places;
    Buffer<int64_t, Device> device_first;
};

// Larger and smaller than a patch in each direction, empty, and one with more patches than a warp has lanes.
const testing::Sizes kSizes{{40, 33}, {0, 0}, {9, 50}, {3, 5}, {16, 16}, {1, 1}, {130, 150}};

template <class P, class T>
void expect_gathered_as_on_the_cpu(int64_t patch, int64_t channels, const testing::RowLayout& rows,
                                   const testing::PixelLayout& layout) {
    Stream stream;
    Workers workers(1);
    const Table table(stream, kSizes, patch);
    TwinBatch<P> src(stream, kSizes, rows);
    src.fill_random(8);
    OwnedTensor<T> want({table.count(), patch, patch, channels});
    DeviceTensor<T> got(stream, want.shape(), layout);
    gather_patches<P, T>(workers, src.const_host(), table.host(), want.tensor(), kParams);
    gather_patches<P, T>(stream, src.const_device(), table.device(), got.tensor(), kParams);
    testing::expect_same(got.download(), want, std::to_string(channels) + " channels");
}

TEST(PatchesDeviceTest, gathers_what_the_cpu_twin_gathers) {
    for (const int64_t channels : {1, 2, 3}) {
        for (const testing::RowLayout& rows : testing::kRowLayouts) {
            expect_gathered_as_on_the_cpu<uint8_t, float>(16, channels, rows, {});
            expect_gathered_as_on_the_cpu<uint8_t, bfloat16>(16, channels, rows, {});
            expect_gathered_as_on_the_cpu<uint16_t, float>(17, channels, rows, {0, 1});
            expect_gathered_as_on_the_cpu<uint16_t, bfloat16>(40, channels, rows, {});
        }
    }
}

TEST(PatchesDeviceTest, gathers_a_part_of_the_table_alike) {
    Stream stream;
    constexpr int64_t kPatch = 16;
    const Table table(stream, kSizes, kPatch);
    TwinBatch<uint8_t> src(stream, kSizes, testing::kRowLayouts[0]);
    src.fill_random(8);
    DeviceTensor<float> whole(stream, {table.count(), kPatch, kPatch, 1});
    gather_patches<uint8_t, float>(stream, src.const_device(), table.device(), whole.tensor(), kParams);
    const OwnedTensor<float> want = whole.download();
    const int64_t begin = table.count() / 3;
    DeviceTensor<float> part(stream, {7, kPatch, kPatch, 1});
    gather_patches<uint8_t, float>(stream, src.const_device(), {table.device_places.data() + begin, 7}, part.tensor(),
                                   kParams);
    const OwnedTensor<float> got = part.download();
    for (int64_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(got[i], want[begin * kPatch * kPatch + i]) << "element " << i;
    }
}

void expect_blended_as_on_the_cpu(Stream& stream, const testing::Sizes& sizes, int64_t patch,
                                  const testing::RowLayout& rows) {
    Workers workers(1);
    const Table table(stream, sizes, patch);
    const auto values = testing::random_tensor<float>({table.count(), patch, patch, 1}, 4);
    const DeviceTensor<float> device_values(stream, values);
    const std::vector<float> window = gaussian_window(patch);
    const Buffer<float, Device> device_window = testing::to_device(stream, window);
    TwinBatch<float> dst(stream, sizes, rows);
    blend_patches(workers, values.tensor(), table.host(), table.host_first(), {window.data(), patch * patch},
                  dst.host());
    blend_patches(stream, device_values.const_tensor(), table.device(), table.device_first_view(),
                  {device_window.data(), patch * patch}, dst.device());
    dst.expect_twins_equal("patches of " + std::to_string(patch));
}

TEST(PatchesDeviceTest, blends_to_the_bits_of_the_cpu_twin_in_every_order_of_threads) {
    Stream stream;
    testing::in_every_thread_order([&] {
        for (const testing::RowLayout& rows : testing::kRowLayouts) {
            expect_blended_as_on_the_cpu(stream, kSizes, 16, rows);
            expect_blended_as_on_the_cpu(stream, kSizes, 41, rows);
        }
    });
}

TEST(PatchesDeviceTest, blends_images_of_awkward_sizes) {
    Stream stream;
    expect_blended_as_on_the_cpu(stream, testing::sizes_with_an_empty_one(), 24, testing::kRowLayouts[0]);
}

TEST(PatchesDeviceTest, a_pixel_without_a_patch_becomes_0) {
    Stream stream;
    Workers workers(1);
    const std::vector<PatchPlace> places{{0, 2, 200}, {0, 3, -2}};
    const std::vector<int64_t> first{0, 2, 2};
    const Buffer<PatchPlace, Device> device_places = testing::to_device(stream, places);
    const Buffer<int64_t, Device> device_first = testing::to_device(stream, first);
    const auto values = testing::random_tensor<float>({2, 4, 4, 1}, 4);
    const DeviceTensor<float> device_values(stream, values);
    const std::vector<float> window = gaussian_window(4);
    const Buffer<float, Device> device_window = testing::to_device(stream, window);
    TwinBatch<float> dst(stream, {{9, 300}, {40, 7}}, testing::kRowLayouts[0]);
    blend_patches(workers, values.tensor(), {places.data(), 2}, {first.data(), 3}, {window.data(), 16}, dst.host());
    blend_patches(stream, device_values.const_tensor(), {device_places.data(), 2}, {device_first.data(), 3},
                  {device_window.data(), 16}, dst.device());
    dst.expect_twins_equal("mostly uncovered");
    EXPECT_EQ(dst.host().images[0].at(0, 0), 0.0F);
    EXPECT_NE(dst.host().images[0].at(4, 201), 0.0F);
}

}  // namespace
}  // namespace boneage

#include "kernels/base/error.h"
#include "kernels/image/components.h"
#include "tests/support/masks.h"
#include "tests/support/thread_orders.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::PaddedImage;
using testing::painted;
using testing::TwinBatch;
using Masks = std::vector<PaddedImage<uint8_t>>;

// Every pixel on its own with this probability. Near the percolation threshold, .41 for 8 neighbours and .59 for 4,
// components are as large and as ragged as they get.
PaddedImage<uint8_t> noise(int64_t height, int64_t width, uint64_t seed, float density) {
    Rng rng(seed);
    return painted(height, width, [&](int64_t, int64_t) { return rng.uniform() < density; });
}

// Masks that exchange more than one tile's worth of roots, each of its own size.
Masks hard_masks() {
    Masks masks;
    masks.push_back(testing::spiral(97));
    masks.push_back(testing::spiral(290));
    masks.push_back(painted(70, 301, [](int64_t y, int64_t x) { return x % 2 == 0 || y == 69; }));  // a comb
    masks.push_back(painted(67, 301, [](int64_t y, int64_t x) { return y % 2 == 0 || x == 300 * (y / 2 % 2); }));
    masks.push_back(painted(64, 96, [](int64_t y, int64_t x) { return (y + x) % 2 == 0; }));  // chessboards
    masks.push_back(painted(37, 519, [](int64_t y, int64_t x) { return (y + x) % 2 == 0; }));
    masks.push_back(painted(80, 66, [](int64_t y, int64_t x) { return y % 2 == 0 && x % 2 == 0; }));  // equal sizes
    masks.push_back(painted(64, 64, [](int64_t, int64_t) { return true; }));
    masks.push_back(painted(33, 40, [](int64_t, int64_t) { return false; }));
    masks.push_back(noise(130, 531, 1, 0.407F));
    masks.push_back(noise(101, 299, 2, 0.593F));
    masks.push_back(noise(96, 64, 3, 0.41F));
    masks.push_back(noise(1, 200, 4, 0.8F));
    masks.push_back(noise(200, 1, 5, 0.8F));
    masks.push_back(PaddedImage<uint8_t>(0, 0));
    masks.push_back(testing::random_mask(150, 200, 6));
    // Rings: background that is not the border's, in every tile.
    masks.push_back(painted(100, 290, [](int64_t y, int64_t x) { return y % 11 % 10 == 0 || x % 9 % 8 == 0; }));
    // Diagonals that meet at the corners of words, and of tiles.
    masks.push_back(painted(96, 96, [](int64_t y, int64_t x) { return y == x || y == 95 - x; }));
    masks.push_back(painted(96, 600, [](int64_t y, int64_t x) { return y + 224 == x || 287 - y == x; }));
    masks.push_back(painted(96, 600, [](int64_t y, int64_t x) { return y + 192 == x || 319 - y == x; }));
    // Rows that fill words and tiles to their ends and touch the next row by a corner only.
    masks.push_back(painted(66, 520, [](int64_t y, int64_t x) { return x / 32 % 2 == y % 2; }));
    masks.push_back(painted(66, 520, [](int64_t y, int64_t x) { return x / 256 % 2 == y / 32 % 2; }));
    return masks;
}

testing::Sizes sizes_of(const Masks& masks) {
    testing::Sizes sizes;
    for (const PaddedImage<uint8_t>& mask : masks) {
        sizes.emplace_back(mask.view().height, mask.view().width);
    }
    return sizes;
}

class ComponentsDeviceTest : public ::testing::Test {
protected:
    // The device's scratch, filled with what an earlier call may have left there.
    Bytes<Device> scratch_for(const Batch<const uint8_t, Device>& batch) {
        const int64_t bytes = components_scratch_bytes(batch.max_height, batch.max_width, batch.count);
        memory_ = testing::to_device(stream_, std::vector<std::byte>(static_cast<size_t>(bytes), std::byte{0x15}));
        return {memory_.data(), bytes};
    }
    Bytes<Host> host_scratch_for(const Batch<const uint8_t, Host>& batch) {
        return host_scratch_.bytes(components_scratch_bytes(batch.max_height, batch.max_width, 1));
    }

    // All three functions on both sides. `in_place` overwrites the masks.
    void compare(const Masks& masks, const testing::RowLayout& layout, bool in_place) {
        const testing::Sizes sizes = sizes_of(masks);
        const auto mask_of = [&](int64_t, int64_t, size_t i) { return masks[i]; };
        TwinBatch<uint8_t> mask(stream_, sizes, layout);
        TwinBatch<uint8_t> other(stream_, sizes, layout);
        TwinBatch<int32_t> labels(stream_, sizes, layout);
        mask.fill(mask_of);
        label_components(stream_, mask.const_device(), labels.device(), scratch_for(mask.const_device()));
        label_components(workers_, mask.const_host(), labels.host(), host_scratch_for(mask.const_host()));
        labels.expect_twins_equal("labels");

        TwinBatch<uint8_t>& dst = in_place ? mask : other;
        fill_holes(stream_, mask.const_device(), dst.device(), scratch_for(mask.const_device()));
        fill_holes(workers_, mask.const_host(), dst.host(), host_scratch_for(mask.const_host()));
        dst.expect_twins_equal("filled");

        mask.fill(mask_of);
        const auto images = static_cast<int64_t>(masks.size());
        const auto found =
            testing::to_device(stream_, std::vector<ComponentStats>(masks.size(), {9, 9, 9, 9, 9, 9, 9}));
        std::vector<ComponentStats> want(masks.size());
        keep_largest(stream_, mask.const_device(), dst.device(), {found.data(), images},
                     scratch_for(mask.const_device()));
        keep_largest(workers_, mask.const_host(), dst.host(), {want.data(), images},
                     host_scratch_for(mask.const_host()));
        dst.expect_twins_equal("largest");
        expect_same(testing::to_host(stream_, found), want);
    }

    static void expect_same(const std::vector<ComponentStats>& got, const std::vector<ComponentStats>& want) {
        for (size_t i = 0; i < want.size(); ++i) {
            EXPECT_EQ(got[i].components, want[i].components) << "image " << i;
            EXPECT_EQ(got[i].foreground, want[i].foreground) << "image " << i;
            EXPECT_EQ(got[i].largest, want[i].largest) << "image " << i;
            EXPECT_EQ(got[i].top, want[i].top) << "image " << i;
            EXPECT_EQ(got[i].left, want[i].left) << "image " << i;
            EXPECT_EQ(got[i].bottom, want[i].bottom) << "image " << i;
            EXPECT_EQ(got[i].right, want[i].right) << "image " << i;
        }
    }

    Stream stream_;
    Workers workers_{1};
    HostScratch host_scratch_;
    Buffer<std::byte, Device> memory_;
};

TEST_F(ComponentsDeviceTest, equal_the_cpu_twins_on_a_batch_of_awkward_sizes_also_in_place) {
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        for (const float density : {0.2F, 0.5F, 0.8F}) {
            Masks masks;
            for (const auto& [height, width] : testing::sizes_with_an_empty_one()) {
                masks.push_back(testing::random_mask(height, width, masks.size(), density));
            }
            compare(masks, layout, density > 0.4F);
        }
    }
}

TEST_F(ComponentsDeviceTest, equal_the_cpu_twins_on_hard_masks_in_every_order_of_threads) {
    const Masks masks = hard_masks();
    testing::in_every_thread_order([&] { compare(masks, testing::kRowLayouts[0], false); });
}

TEST_F(ComponentsDeviceTest, equal_the_cpu_twins_when_threads_unite_the_same_components_at_the_same_time) {
    const Masks masks = hard_masks();
    testing::in_racing_thread_orders([&] { compare(masks, testing::kRowLayouts[1], true); });
}

// What a launch leaves in scratch and in the statistics must not reach the next one.
TEST_F(ComponentsDeviceTest, a_recorded_graph_reads_new_masks_at_every_launch) {
    const testing::Sizes sizes{{50, 70}, {33, 64}};
    TwinBatch<uint8_t> mask(stream_, sizes, testing::kRowLayouts[0]);
    TwinBatch<uint8_t> dst(stream_, sizes, testing::kRowLayouts[0]);
    const Bytes<Device> scratch = scratch_for(mask.const_device());
    const Buffer<ComponentStats, Device> found(2);
    const CapturedGraph graph(stream_, [&] {
        fill_holes(stream_, mask.const_device(), dst.device(), scratch);
        keep_largest(stream_, dst.const_device(), dst.device(), {found.data(), 2}, scratch);
    });
    for (const float density : {0.9F, 0.5F, 0.1F, -1.0F}) {
        mask.fill([&](int64_t h, int64_t w, size_t i) { return noise(h, w, i, density); });
        graph.launch(stream_);
        std::vector<ComponentStats> want(2);
        fill_holes(workers_, mask.const_host(), dst.host(), host_scratch_for(mask.const_host()));
        keep_largest(workers_, dst.const_host(), dst.host(), {want.data(), 2}, host_scratch_for(mask.const_host()));
        dst.expect_twins_equal("density " + std::to_string(density));
        expect_same(testing::to_host(stream_, found), want);
    }
}

TEST_F(ComponentsDeviceTest, images_without_pixels_have_empty_statistics) {
    compare({PaddedImage<uint8_t>(0, 0), PaddedImage<uint8_t>(0, 0)}, testing::kRowLayouts[0], false);
    EXPECT_NO_THROW(label_components(stream_, {}, {}, {}));
    EXPECT_NO_THROW(fill_holes(stream_, {}, {}, {}));
    EXPECT_NO_THROW(keep_largest(stream_, {}, {}, Tensor<ComponentStats, Device>(nullptr, 0), {}));
}

TEST_F(ComponentsDeviceTest, refuse_too_little_scratch) {
    TwinBatch<uint8_t> mask(stream_, {{40, 40}, {40, 40}, {40, 40}}, testing::kRowLayouts[0]);
    mask.fill_random(1);
    Bytes<Device> scratch = scratch_for(mask.const_device());
    --scratch.size;
    EXPECT_THROW(fill_holes(stream_, mask.const_device(), mask.device(), scratch), ContractError);
}

}  // namespace
}  // namespace boneage

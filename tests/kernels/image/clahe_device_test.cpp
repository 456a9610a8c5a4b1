#include "kernels/base/error.h"
#include "kernels/image/clahe.h"
#include "tests/support/thread_orders.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::TwinBatch;

template <class P>
class ClaheDeviceTest : public ::testing::Test {
protected:
    // The batch on both sides, the device's scratch filled with what an earlier call may have left there.
    void compare(TwinBatch<P>& src, TwinBatch<P>& dst, const ClaheParams& params) {
        const std::string what = "clip " + std::to_string(params.clip_limit) + ", tiles " +
                                 std::to_string(params.tiles_x) + "x" + std::to_string(params.tiles_y);
        const int64_t bytes = clahe_scratch_bytes<P>(params, src.count());
        const auto memory =
            testing::to_device(stream_, std::vector<std::byte>(static_cast<size_t>(bytes), std::byte{0x5b}));
        clahe<P>(stream_, src.const_device(), dst.device(), params, {memory.data(), bytes});
        clahe<P>(workers_, src.const_host(), dst.host(), params, host_scratch_.bytes(bytes));
        dst.expect_twins_equal(what);
    }

    Stream stream_;
    Workers workers_{1};
    HostScratch host_scratch_;
};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(ClaheDeviceTest, PixelTypes);
using ClaheOfLargeTilesTest = ClaheDeviceTest<uint16_t>;

// Settings for pixels whose tables are 256 times as large are fewer.
template <class P>
std::vector<ClaheParams> settings() {
    if constexpr (sizeof(P) == 1) {
        return {{2.0, 8, 8}, {0.0, 8, 8}, {40.0, 3, 5}, {1.0, 1, 1}, {0.5, 4, 1}, {3.7, 7, 2}};
    } else {
        return {{2.0, 3, 2}, {0.0, 1, 3}, {40.0, 1, 1}};
    }
}

TYPED_TEST(ClaheDeviceTest, equals_the_cpu_twin_on_a_batch_of_awkward_sizes_also_in_place) {
    const testing::Sizes sizes = testing::sizes_with_an_empty_one();
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<TypeParam> src(this->stream_, sizes, layout);
        TwinBatch<TypeParam> dst(this->stream_, sizes, layout);
        src.fill([](int64_t h, int64_t w, size_t i) {
            return i % 2 == 0 ? testing::random_image<TypeParam>(h, w, i) : testing::smooth_image<TypeParam>(h, w, i);
        });
        for (const ClaheParams& params : settings<TypeParam>()) {
            this->compare(src, dst, params);
        }
        this->compare(src, src, settings<TypeParam>().front());
    }
}

// Cells that are wide enough for vectors, which begin in one cell and end in the next.
TYPED_TEST(ClaheDeviceTest, equals_the_cpu_twin_on_images_of_wide_cells_also_in_place) {
    const testing::Sizes sizes{{40, 200}, {37, 333}, {19, 131}, {0, 0}, {24, 512}, {5, 2100}};
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<TypeParam> src(this->stream_, sizes, layout);
        TwinBatch<TypeParam> dst(this->stream_, sizes, layout);
        src.fill([](int64_t h, int64_t w, size_t i) { return testing::random_image<TypeParam>(h, w, i); });
        for (const ClaheParams& params : settings<TypeParam>()) {
            this->compare(src, dst, params);
        }
        this->compare(src, src, settings<TypeParam>().front());
    }
}

// Long runs of one value: every pixel of a warp meets at one counter, and all that is cut off comes from one bin.
TYPED_TEST(ClaheDeviceTest, equals_the_cpu_twin_on_flat_images_in_every_order_of_threads) {
    const testing::Sizes sizes{{64, 64}, {33, 70}, {48, 96}};
    testing::in_every_thread_order([&] {
        TwinBatch<TypeParam> src(this->stream_, sizes, testing::kRowLayouts[0]);
        TwinBatch<TypeParam> dst(this->stream_, sizes, testing::kRowLayouts[0]);
        constexpr TypeParam kTop = std::numeric_limits<TypeParam>::max();
        src.fill([](int64_t h, int64_t w, size_t i) {
            testing::PaddedImage<TypeParam> image =
                testing::random_image<TypeParam>(h, w, i, kTop - kTop / 4, kTop - kTop / 5);
            for (int64_t y = 0; y < h; ++y) {
                for (int64_t x = 0; x < w; ++x) {
                    if (i == 0 || (y + x) % 40 < 30) {
                        image.view().at(y, x) = static_cast<TypeParam>(i * kTop / 2);
                    }
                }
            }
            return image;
        });
        this->compare(src, dst, {2.0, 2, 2});
        this->compare(src, src, {0.5, 1, 2});
    });
}

// Tiles in which some values are more frequent than 16 bits count, both halves of a word among them, beside what 12-bit
// detectors and noise give. Some clip limits are too high for counters of 16 bits, or there is none.
TEST_F(ClaheOfLargeTilesTest, equals_the_cpu_twin_however_often_a_value_occurs) {
    const testing::Sizes sizes{{300, 301}, {260, 410}, {16, 40}, {281, 307}};
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<uint16_t> src(stream_, sizes, layout);
        TwinBatch<uint16_t> dst(stream_, sizes, layout);
        src.fill([](int64_t h, int64_t w, size_t i) {
            const uint16_t top = i == 1 ? 4095 : 65535;
            testing::PaddedImage<uint16_t> image = testing::random_image<uint16_t>(h, w, i, 0, top);
            for (int64_t p = 0; i != 3 && p < h * w * (i == 0 ? 97 : 40) / 100; ++p) {
                image.view().at(p / w, p % w) = static_cast<uint16_t>(i == 0 && p % 16 == 3 ? 4001 : 4000);
            }
            return image;
        });
        for (const double clip_limit : {2.0, 40.0, 3000.0, 30000.0, 44000.0, 0.0, 1e6}) {
            compare(src, dst, {clip_limit, 1, 1});
        }
        compare(src, src, {300.0, 2, 1});
    }
}

// The reads and the additions of one counter mix in as many ways as there are orders.
TEST_F(ClaheOfLargeTilesTest, equals_the_cpu_twin_in_every_order_of_threads) {
    const auto compare_flat = [&] {
        TwinBatch<uint16_t> src(stream_, {{256, 260}}, testing::kRowLayouts[0]);
        TwinBatch<uint16_t> dst(stream_, {{256, 260}}, testing::kRowLayouts[0]);
        src.fill([](int64_t h, int64_t w, size_t i) { return testing::random_image<uint16_t>(h, w, i, 6, 9); });
        compare(src, dst, {2.0, 1, 1});
        compare(src, dst, {300.0, 1, 1});
        compare(src, dst, {0.0, 1, 2});
    };
    testing::in_every_thread_order(compare_flat);
    testing::in_racing_thread_orders(compare_flat);
}

TYPED_TEST(ClaheDeviceTest, refuses_too_little_scratch_and_an_empty_batch_launches_nothing) {
    TwinBatch<TypeParam> image(this->stream_, {{8, 8}, {8, 8}}, testing::kRowLayouts[0]);
    image.fill_random(1);
    const ClaheParams params{2.0, 2, 2};
    const int64_t enough = clahe_scratch_bytes<TypeParam>(params, 2);
    const Buffer<std::byte, Device> memory(enough);
    EXPECT_THROW(
        clahe<TypeParam>(this->stream_, image.const_device(), image.device(), params, {memory.data(), enough - 1}),
        ContractError);
    EXPECT_THROW(
        clahe<TypeParam>(this->stream_, image.const_device(), image.device(), {2.0, 0, 8}, {memory.data(), enough}),
        ContractError);
    EXPECT_NO_THROW(clahe<TypeParam>(this->stream_, {}, {}, params, {}));
}

}  // namespace
}  // namespace boneage

#include "kernels/base/error.h"
#include "kernels/image/contrast.h"
#include "tests/support/thread_orders.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::TwinBatch;

std::string described(const ContrastStats& stats) {
    return std::to_string(stats.p1) + " to " + std::to_string(stats.p99) + ", spread " + std::to_string(stats.spread) +
           (stats.low != 0 ? ", low" : "");
}

// Runs both twins, the device's with dirty scratch, and compares every field.
template <class P>
void expect_twins_equal(Stream& stream, TwinBatch<P>& src, const std::string& what) {
    Workers workers(1);
    const ContrastParams params{0.5};
    HostScratch host_scratch;
    std::vector<ContrastStats> want(static_cast<size_t>(src.count()));
    contrast<P>(workers, src.const_host(), {want.data(), src.count()}, params,
                host_scratch.bytes(contrast_scratch_bytes<P>(src.count())));
    const Buffer<std::byte, Device> scratch = testing::to_device(
        stream, std::vector<std::byte>(static_cast<size_t>(contrast_scratch_bytes<P>(src.count())), std::byte{0x77}));
    const Buffer<ContrastStats, Device> stats(src.count());
    contrast<P>(stream, src.const_device(), {stats.data(), src.count()}, params, {scratch.data(), scratch.size()});
    const std::vector<ContrastStats> got = testing::to_host(stream, stats);
    for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_EQ(got[i].p1, want[i].p1) << what << ", image " << i;
        EXPECT_EQ(got[i].p99, want[i].p99) << what << ", image " << i;
        EXPECT_EQ(got[i].spread, want[i].spread) << what << ", image " << i;
        EXPECT_EQ(got[i].low, want[i].low) << what << ", image " << i << ": " << described(got[i]);
    }
}

template <class P>
class ContrastDeviceTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(ContrastDeviceTest, PixelTypes);

TYPED_TEST(ContrastDeviceTest, equals_the_cpu_twin_on_a_batch_of_awkward_sizes) {
    Stream stream;
    testing::in_every_thread_order([&] {
        for (const testing::RowLayout& layout : testing::kRowLayouts) {
            TwinBatch<TypeParam> src(stream, testing::awkward_sizes(), layout);
            src.fill_random(7);
            expect_twins_equal(stream, src, "noise");
            src.fill([](int64_t h, int64_t w, size_t i) { return testing::smooth_image<TypeParam>(h, w, i); });
            expect_twins_equal(stream, src, "smooth");
        }
    });
}

TYPED_TEST(ContrastDeviceTest, equals_the_cpu_twin_where_few_values_crowd) {
    // Constant images, two neighbouring values (of 16 bits: on both sides of a carry into the upper digit), and a rare
    // value beside one that almost every pixel has.
    constexpr TypeParam kMax = std::numeric_limits<TypeParam>::max();
    const std::vector<std::pair<TypeParam, TypeParam>> ranges{
        {0, 0}, {kMax, kMax}, {kMax / 2, kMax / 2 + 1}, {7, 9}, {0, kMax}};
    Stream stream;
    testing::Sizes sizes;
    for (size_t i = 0; i < ranges.size(); ++i) {
        sizes.emplace_back(71, 93);
    }
    for (const bool rare : {false, true}) {
        TwinBatch<TypeParam> src(stream, sizes, testing::kRowLayouts[0]);
        src.fill([&](int64_t h, int64_t w, size_t i) {
            const auto [low, high] = ranges[i];
            auto image = testing::random_image<TypeParam>(h, w, i, low, high);
            if (rare) {
                // 99 % of the pixels, give or take a few, have the upper value.
                Rng rng(i);
                for (int64_t p = 0; p < h * w; ++p) {
                    image.view().at(p / w, p % w) = rng.uniform() < 0.0105F ? low : high;
                }
            }
            return image;
        });
        expect_twins_equal(stream, src, rare ? "rare" : "ranges");
    }
}

TYPED_TEST(ContrastDeviceTest, percentiles_lie_between_pixels_of_different_digits) {
    // 101 rising pixels: position 1 and 99 exactly. 51: positions 0.5 and 49.5, between two pixels far apart.
    Stream stream;
    TwinBatch<TypeParam> src(stream, {{1, 101}, {1, 51}, {1, 2}, {1, 1}}, testing::kRowLayouts[0]);
    src.fill([](int64_t h, int64_t w, size_t) {
        testing::PaddedImage<TypeParam> image(h, w);
        for (int64_t x = 0; x < w; ++x) {
            image.view().at(0, x) = static_cast<TypeParam>(x * (std::numeric_limits<TypeParam>::max() / 101) + 3);
        }
        return image;
    });
    expect_twins_equal(stream, src, "ramp");
}

TYPED_TEST(ContrastDeviceTest, an_image_without_pixels_is_low_and_harms_no_other) {
    Stream stream;
    const TwinBatch<TypeParam> empty(stream, {{0, 0}, {40, 40}}, testing::kRowLayouts[0]);
    const Buffer<std::byte, Device> scratch(contrast_scratch_bytes<TypeParam>(2));
    const Buffer<ContrastStats, Device> stats(2);
    contrast<TypeParam>(stream, empty.const_device(), {stats.data(), 2}, {}, {scratch.data(), scratch.size()});
    const std::vector<ContrastStats> got = testing::to_host(stream, stats);
    EXPECT_EQ(got[0].p1, 0);
    EXPECT_EQ(got[0].p99, 0);
    EXPECT_EQ(got[0].low, 1);
    EXPECT_EQ(got[1].p1, 0xA5);  // what DeviceBatch fills memory with
    EXPECT_EQ(got[1].p99, 0xA5);
}

TYPED_TEST(ContrastDeviceTest, refuses_too_little_scratch) {
    Stream stream;
    const TwinBatch<TypeParam> src(stream, {{4, 4}, {4, 4}}, testing::kRowLayouts[0]);
    const Buffer<std::byte, Device> scratch(contrast_scratch_bytes<TypeParam>(2));
    const Buffer<ContrastStats, Device> stats(2);
    EXPECT_THROW(contrast<TypeParam>(stream, src.const_device(), {stats.data(), 2}, {},
                                     {scratch.data(), contrast_scratch_bytes<TypeParam>(2) - 1}),
                 ContractError);
}

}  // namespace
}  // namespace boneage

#include "kernels/image/polarity.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::TwinBatch;

template <class P>
class PolarityDeviceTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(PolarityDeviceTest, PixelTypes);

TYPED_TEST(PolarityDeviceTest, invert_equals_the_cpu_twin_and_obeys_the_flag_of_each_image) {
    Stream stream;
    Workers workers(1);
    const testing::Sizes sizes = testing::sizes_with_an_empty_one();
    std::vector<uint8_t> flags;
    for (size_t i = 0; i < sizes.size(); ++i) {
        flags.push_back(static_cast<uint8_t>(i % 3));
    }
    const Buffer<uint8_t, Device> device_flags = testing::to_device(stream, flags);
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<TypeParam> src(stream, sizes, layout);
        TwinBatch<TypeParam> dst(stream, sizes, layout);
        src.fill_random(1);
        invert<TypeParam>(stream, src.const_device(), dst.device(), {});
        invert<TypeParam>(workers, src.const_host(), dst.host(), {});
        dst.expect_twins_equal("all inverted");
        invert<TypeParam>(stream, src.const_device(), src.device(), {device_flags.data(), device_flags.size()});
        invert<TypeParam>(workers, src.const_host(), src.host(), {flags.data(), src.count()});
        src.expect_twins_equal("those flagged, in place");
    }
}

// An image of noise whose middle is lighter (+1), or darker (-1), than the rest by `step` on average.
template <class P>
testing::PaddedImage<P> noise_around_a_middle(int64_t height, int64_t width, size_t seed, int step) {
    testing::PaddedImage<P> image = testing::random_image<P>(height, width, seed, 20, 60);
    for (int64_t y = height / 4; y < height - height / 4; ++y) {
        for (int64_t x = width / 4; x < width - width / 4; ++x) {
            image.view().at(y, x) = static_cast<P>(image.view().at(y, x) + step);
        }
    }
    return image;
}

TYPED_TEST(PolarityDeviceTest, find_inverted_equals_the_cpu_twin_on_close_decisions) {
    Stream stream;
    Workers workers(1);
    testing::Sizes sizes = testing::awkward_sizes();
    sizes.insert(sizes.end(), {{40, 640}, {333, 70}, {20, 200}});  // bands of many vectors, and of a few pixels
    const Buffer<uint8_t, Device> device_inverted(static_cast<int64_t>(sizes.size()));
    const Buffer<std::byte, Device> scratch(find_inverted_scratch_bytes(static_cast<int64_t>(sizes.size())));
    HostScratch host_scratch;
    size_t flagged = 0;
    size_t decided = 0;
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<TypeParam> src(stream, sizes, layout);
        for (const int step : {-1, 0, 1}) {
            src.fill([&](int64_t h, int64_t w, size_t i) { return noise_around_a_middle<TypeParam>(h, w, i, step); });
            std::vector<uint8_t> want(sizes.size(), 9);
            find_inverted<TypeParam>(workers, src.const_host(), {want.data(), src.count()},
                                     host_scratch.bytes(find_inverted_scratch_bytes(src.count())));
            find_inverted<TypeParam>(stream, src.const_device(), {device_inverted.data(), src.count()},
                                     {scratch.data(), scratch.size()});
            const std::vector<uint8_t> got = testing::to_host(stream, device_inverted);
            EXPECT_EQ(got, want) << "step " << step;
            flagged += static_cast<size_t>(std::count(want.begin(), want.end(), 1));
            decided += want.size();
        }
    }
    EXPECT_GT(flagged, decided / 10);
    EXPECT_LT(flagged, decided - decided / 10);
}

TYPED_TEST(PolarityDeviceTest, sums_of_the_largest_values_stay_exact) {
    // One level in one pixel of the middle of an image of full white: the means differ in their last digits only.
    constexpr TypeParam kWhite = std::numeric_limits<TypeParam>::max();
    Stream stream;
    const testing::Sizes sizes{{300, 451}, {300, 451}, {64, 64}};
    TwinBatch<TypeParam> src(stream, sizes, testing::kRowLayouts[0]);
    src.fill([&](int64_t h, int64_t w, size_t i) {
        auto image = testing::random_image<TypeParam>(h, w, i, kWhite, kWhite);
        if (i != 1) {
            image.view().at(h / 2, w / 2) = kWhite - 1;
        }
        return image;
    });
    const Buffer<uint8_t, Device> inverted(3);
    const Buffer<std::byte, Device> scratch(find_inverted_scratch_bytes(3));
    find_inverted<TypeParam>(stream, src.const_device(), {inverted.data(), 3}, {scratch.data(), scratch.size()});
    EXPECT_EQ(testing::to_host(stream, inverted), (std::vector<uint8_t>{1, 0, 1}));
}

TYPED_TEST(PolarityDeviceTest, an_image_without_pixels_gets_no_answer) {
    Stream stream;
    const TwinBatch<TypeParam> src(stream, {{0, 0}, {5, 5}}, testing::kRowLayouts[0]);
    const Buffer<uint8_t, Device> inverted = testing::to_device(stream, std::vector<uint8_t>{77, 77});
    const Buffer<std::byte, Device> scratch(find_inverted_scratch_bytes(2));
    find_inverted<TypeParam>(stream, src.const_device(), {inverted.data(), 2}, {scratch.data(), scratch.size()});
    EXPECT_EQ(testing::to_host(stream, inverted), (std::vector<uint8_t>{77, 0}));
}

}  // namespace
}  // namespace boneage

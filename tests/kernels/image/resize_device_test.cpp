#include "kernels/image/resize.h"
#include "tests/support/thread_orders.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::Sizes;
using testing::TwinBatch;

// The sizes of a batch, image by image.
struct Batches {
    Sizes from, to;
    void add(std::pair<int64_t, int64_t> from_size, std::pair<int64_t, int64_t> to_size) {
        from.push_back(from_size);
        to.push_back(to_size);
    }
};

constexpr ResizeFilter kFilters[] = {ResizeFilter::area, ResizeFilter::linear};

template <class P>
testing::PaddedImage<P> noise(int64_t height, int64_t width, size_t seed) {
    if constexpr (std::is_integral_v<P>) {
        return testing::random_image<P>(height, width, seed);
    } else {
        testing::PaddedImage<P> image(height, width);
        Rng rng(seed);
        for (int64_t y = 0; y < height; ++y) {
            for (int64_t x = 0; x < width; ++x) {
                // Zeros of both signs among them: adding a tap that weighs nothing would change their sign.
                const float value = 2 * rng.uniform() - 1;
                image.view().at(y, x) = std::abs(value) < 0.3F ? std::copysign(0.0F, value) : value;
            }
        }
        return image;
    }
}

// The bits of what the device and the host made, where comparing values would take -0 for 0.
template <class P>
void expect_same_bits(TwinBatch<P>& dst, const std::string& what) {
    dst.expect_twins_equal(what);
    if constexpr (std::is_same_v<P, float>) {
        for (size_t i = 0; i < static_cast<size_t>(dst.count()); ++i) {
            const auto got = dst.download(i);
            const Image<float, Host>& want = dst.host().images[i];
            for (int64_t p = 0; p < want.pixels(); ++p) {
                ASSERT_EQ(std::signbit(got.view().at(p / want.width, p % want.width)),
                          std::signbit(want.at(p / want.width, p % want.width)))
                    << what << ", image " << i << ", pixel " << p;
            }
        }
    }
}

template <class P>
void expect_twins_equal(Stream& stream, const Batches& sizes, const testing::RowLayout& layout) {
    Workers workers(1);
    TwinBatch<P> src(stream, sizes.from, layout);
    src.fill([](int64_t h, int64_t w, size_t i) { return noise<P>(h, w, i); });
    for (const ResizeFilter filter : kFilters) {
        TwinBatch<P> dst(stream, sizes.to, layout);
        resize<P>(stream, src.const_device(), dst.device(), filter);
        resize<P>(workers, src.const_host(), dst.host(), filter);
        expect_same_bits(dst, filter == ResizeFilter::area ? "area" : "linear");
    }
}

template <class P>
class ResizeDeviceTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t, float>;
TYPED_TEST_SUITE(ResizeDeviceTest, PixelTypes);

// Whole and fractional scales of few and many taps, enlargements, and both at once.
Batches reductions_and_enlargements() {
    Batches sizes;
    for (const auto& to : Sizes{{64, 64}, {37, 150}, {131, 259}}) {
        for (const auto& from : testing::awkward_sizes()) {
            sizes.add(from, to);
        }
    }
    for (const auto& to : Sizes{{150, 451},
                                {299, 450},
                                {300, 450},
                                {154, 231},
                                {77, 116},
                                {60, 90},
                                {54, 82},
                                {42, 63},
                                {38, 58},
                                {24, 36},
                                {3, 5},
                                {1, 1}}) {
        sizes.add({300, 451}, to);
    }
    for (const auto& to : Sizes{{150, 260}, {100, 130}, {75, 65}, {60, 104}, {20, 26}, {300, 520}, {600, 1040}}) {
        sizes.add({300, 520}, to);
    }
    return sizes;
}

TYPED_TEST(ResizeDeviceTest, equals_the_cpu_twin_on_a_batch_of_every_path) {
    Stream stream;
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        expect_twins_equal<TypeParam>(stream, reductions_and_enlargements(), layout);
    }
}

TYPED_TEST(ResizeDeviceTest, equals_the_cpu_twin_on_random_sizes) {
    Batches sizes;
    Rng rng(23);
    const auto side = [&rng] { return int64_t{1} + rng.next_u32() % (1U << (1 + rng.next_u32() % 9)); };
    for (int i = 0; i < 60; ++i) {
        const int64_t height = side();
        const int64_t width = side();
        sizes.add({height, width}, {side(), side()});
    }
    Stream stream;
    expect_twins_equal<TypeParam>(stream, sizes, testing::kRowLayouts[0]);
}

TYPED_TEST(ResizeDeviceTest, sums_very_long_rows) {
    Batches sizes;
    sizes.add({3, 40000}, {1, 2});
    sizes.add({3, 40000}, {2, 3});
    sizes.add({1, 20000}, {1, 1});
    sizes.add({1, 65536}, {1, 150});
    sizes.add({20000, 1}, {10, 1});
    sizes.add({20000, 1}, {512, 1});
    Stream stream;
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        expect_twins_equal<TypeParam>(stream, sizes, layout);
    }
}

TYPED_TEST(ResizeDeviceTest, gives_the_same_bits_in_every_order_of_threads) {
    Batches sizes;
    sizes.add({130, 67}, {33, 17});     // shared rows
    sizes.add({120, 600}, {40, 150});   // whole scales
    sizes.add({140, 1300}, {35, 300});  // two tiles wide
    sizes.add({20, 31}, {45, 160});     // enlarged
    Stream stream;
    testing::in_every_thread_order([&] { expect_twins_equal<TypeParam>(stream, sizes, testing::kRowLayouts[0]); });
}

TYPED_TEST(ResizeDeviceTest, large_blocks_of_the_largest_value_stay_exact) {
    constexpr TypeParam kMax = std::is_integral_v<TypeParam> ? std::numeric_limits<TypeParam>::max() : TypeParam{1};
    Stream stream;
    TwinBatch<TypeParam> src(stream, {{512, 768}}, testing::kRowLayouts[0]);
    src.fill([&](int64_t h, int64_t w, size_t) {
        testing::PaddedImage<TypeParam> image(h, w);
        image.mat() = cv::Scalar(static_cast<double>(kMax));
        return image;
    });
    for (const auto& to : Sizes{{1, 1}, {2, 3}, {5, 7}}) {
        TwinBatch<TypeParam> dst(stream, {to}, testing::kRowLayouts[0]);
        resize<TypeParam>(stream, src.const_device(), dst.device(), ResizeFilter::area);
        const auto got = dst.download(0);
        for (int64_t p = 0; p < got.view().pixels(); ++p) {
            const double value = static_cast<double>(got.view().at(p / to.second, p % to.second));
            EXPECT_NEAR(value, static_cast<double>(kMax), std::is_integral_v<TypeParam> ? 0 : 1e-4);
        }
    }
}

TYPED_TEST(ResizeDeviceTest, leaves_images_without_pixels_alone) {
    Stream stream;
    TwinBatch<TypeParam> src(stream, {{0, 0}, {10, 12}, {0, 0}}, testing::kRowLayouts[0]);
    TwinBatch<TypeParam> dst(stream, {{5, 5}, {0, 0}, {0, 0}}, testing::kRowLayouts[0]);
    for (const ResizeFilter filter : kFilters) {
        resize<TypeParam>(stream, src.const_device(), dst.device(), filter);
    }
    dst.expect_twins_equal("nothing written");  // both sides still hold what they were filled with
    EXPECT_NO_THROW(resize<TypeParam>(stream, {}, {}, ResizeFilter::area));
}

}  // namespace
}  // namespace boneage

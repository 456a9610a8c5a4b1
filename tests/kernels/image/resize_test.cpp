#include "kernels/image/resize.h"

#include "kernels/base/error.h"
#include "tests/support/images.h"

#include <opencv2/imgproc.hpp>

namespace boneage {
namespace {

using testing::expect_equal;
using testing::PaddedImage;

// The build whose bytes are matched; other builds of OpenCV round differently here and there.
#if CV_VERSION_MAJOR == 4 && CV_VERSION_MINOR == 6 && defined(__x86_64__)
constexpr double kLevels = 0;
#else
constexpr double kLevels = 1;
#endif

struct Case {
    ImageSize from, to;
};

std::string name(const Case& c, ResizeFilter filter) {
    const auto text = [](const ImageSize& s) { return std::to_string(s.height) + "x" + std::to_string(s.width); };
    return (filter == ResizeFilter::area ? "area " : "linear ") + text(c.from) + " to " + text(c.to);
}

// Reductions and enlargements, whole and fractional, the two sides alike and not, and the thinnest images there are.
std::vector<Case> cases() {
    std::vector<Case> list{
        {{1, 1}, {1, 1}},          {{1, 1}, {7, 5}},         {{1, 37}, {1, 12}},       {{1, 37}, {1, 37}},
        {{41, 1}, {13, 1}},        {{41, 1}, {41, 9}},       {{20000, 1}, {512, 1}},   {{20000, 1}, {10, 1}},
        {{1, 20000}, {1, 512}},    {{1, 20000}, {3, 4999}},  {{20000, 1}, {512, 512}}, {{2, 3000}, {2, 3}},
        {{64, 64}, {32, 32}},      {{64, 96}, {32, 48}},     {{64, 96}, {32, 32}},     {{90, 60}, {30, 20}},
        {{128, 64}, {32, 16}},     {{300, 451}, {299, 450}}, {{300, 451}, {300, 450}}, {{300, 451}, {150, 451}},
        {{300, 451}, {128, 192}},  {{300, 451}, {17, 640}},  {{300, 451}, {640, 33}},  {{300, 451}, {512, 770}},
        {{255, 257}, {512, 512}},  {{31, 33}, {62, 66}},     {{375, 500}, {384, 512}}, {{512, 384}, {511, 385}},
        {{49, 49 * 3}, {1, 3}},    {{98, 147}, {2, 3}},      {{700, 1100}, {1, 1}},    {{33, 2200}, {1, 2}},
        {{750, 1000}, {384, 512}}, {{750, 1000}, {512, 512}}};
    for (const auto& [height, width] : testing::awkward_sizes()) {
        list.push_back({{height, width}, {64, 64}});
        list.push_back({{height, width}, fit_inside(height, width, 50)});
    }
    Rng rng(17);
    const auto side = [&rng] { return int64_t{1} + rng.next_u32() % (1U << (1 + rng.next_u32() % 9)); };
    for (int i = 0; i < 200; ++i) {
        list.push_back({{side(), side()}, {side(), side()}});
    }
    return list;
}

template <class P>
PaddedImage<P> resized(const PaddedImage<P>& src, ImageSize size, ResizeFilter filter, int threads = 1) {
    Workers workers(threads);
    PaddedImage<P> dst(size.height, size.width, 3);
    resize<P>(workers, one<const P>(src.view()), one(dst.view()), filter);
    dst.check_padding();
    return dst;
}

template <class P>
cv::Mat reference(PaddedImage<P>& src, ImageSize size, ResizeFilter filter) {
    cv::Mat dst;
    cv::resize(src.mat(), dst, {static_cast<int>(size.width), static_cast<int>(size.height)}, 0, 0,
               filter == ResizeFilter::area ? cv::INTER_AREA : cv::INTER_LINEAR);
    return dst;
}

constexpr ResizeFilter kFilters[] = {ResizeFilter::area, ResizeFilter::linear};

template <class P>
class ResizeTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(ResizeTest, PixelTypes);

TYPED_TEST(ResizeTest, equals_opencv_whatever_the_sizes) {
    for (const ResizeFilter filter : kFilters) {
        for (const Case& c : cases()) {
            auto src = testing::random_image<TypeParam>(c.from.height, c.from.width, 11);
            // OpenCV sums large 16-bit blocks in float32.
            const bool rounded =
                sizeof(TypeParam) == 2 && c.from.height * c.from.width > 256 * c.to.height * c.to.width;
            expect_equal<TypeParam>(resized(src, c.to, filter).view(), reference(src, c.to, filter), name(c, filter),
                                    rounded ? 1 : kLevels);
        }
    }
}

TYPED_TEST(ResizeTest, keeps_a_constant_image_constant) {
    for (const ResizeFilter filter : kFilters) {
        for (const Case& c : std::vector<Case>{{{41, 37}, {16, 13}}, {{41, 37}, {64, 80}}, {{40, 36}, {10, 12}}}) {
            PaddedImage<TypeParam> src(c.from.height, c.from.width);
            const int step = sizeof(TypeParam) == 1 ? 1 : 251;
            for (int value = 0; value <= std::numeric_limits<TypeParam>::max(); value += step) {
                src.mat() = cv::Scalar(value);
                const cv::Mat want(static_cast<int>(c.to.height), static_cast<int>(c.to.width), src.mat().type(),
                                   cv::Scalar(value));
                expect_equal<TypeParam>(resized(src, c.to, filter).view(), want, name(c, filter));
            }
        }
    }
}

TYPED_TEST(ResizeTest, gives_the_same_bytes_with_any_number_of_workers_and_in_any_batch) {
    const std::vector<Case> mixed{
        {{300, 451}, {128, 192}}, {{64, 64}, {32, 32}}, {{41, 1}, {512, 9}}, {{90, 60}, {30, 20}}};
    for (const ResizeFilter filter : kFilters) {
        std::vector<PaddedImage<TypeParam>> sources;
        std::vector<PaddedImage<TypeParam>> alone;
        for (const Case& c : mixed) {
            sources.push_back(testing::smooth_image<TypeParam>(c.from.height, c.from.width, 5));
            alone.push_back(resized(sources.back(), c.to, filter));
        }
        for (const int threads : {1, 2, 4}) {
            Workers workers(threads);
            std::vector<PaddedImage<TypeParam>> results;
            std::vector<Image<const TypeParam, Host>> src;
            std::vector<Image<TypeParam, Host>> dst;
            for (size_t i = 0; i < mixed.size(); ++i) {
                results.emplace_back(mixed[i].to.height, mixed[i].to.width);
            }
            for (size_t i = 0; i < mixed.size(); ++i) {
                src.push_back(sources[i].view());
                dst.push_back(results[i].view());
            }
            const int64_t count = static_cast<int64_t>(mixed.size());
            resize<TypeParam>(workers, {src.data(), count, 300, 451}, {dst.data(), count, 512, 192}, filter);
            for (size_t i = 0; i < mixed.size(); ++i) {
                expect_equal<TypeParam>(results[i].view(), alone[i].mat(), name(mixed[i], filter));
            }
        }
    }
}

TEST(ResizeFloatTest, agrees_with_opencv_to_float_rounding) {
    for (const ResizeFilter filter : kFilters) {
        for (const Case& c : cases()) {
            PaddedImage<float> src(c.from.height, c.from.width);
            Rng rng(3);
            for (int64_t y = 0; y < c.from.height; ++y) {
                for (int64_t x = 0; x < c.from.width; ++x) {
                    src.view().at(y, x) = rng.uniform();
                }
            }
            expect_equal<float>(resized(src, c.to, filter).view(), reference(src, c.to, filter), name(c, filter), 1e-5);
        }
    }
}

TEST(ResizeSizeTest, fit_inside_keeps_the_aspect_and_never_reaches_zero) {
    static_assert(fit_inside(1500, 2000, 512) == ImageSize{384, 512});
    static_assert(fit_inside(2000, 1500, 512) == ImageSize{512, 384});
    static_assert(fit_inside(100, 100, 512) == ImageSize{512, 512});
    static_assert(fit_inside(20000, 1, 512) == ImageSize{512, 1});
    static_assert(fit_inside(1, 20000, 512) == ImageSize{1, 512});
    static_assert(fit_inside(3, 4, 2) == ImageSize{2, 2}, "1.5 rounds up");
    static_assert(fit_inside(375, 500, 512) == ImageSize{384, 512}, "enlarges");
}

TEST(ResizeContractTest, refuses_an_empty_side) {
    Workers workers(1);
    PaddedImage<uint8_t> src(4, 4);
    PaddedImage<uint8_t> dst(0, 4);
    EXPECT_THROW(resize<uint8_t>(workers, one<const uint8_t>(src.view()), one(dst.view()), ResizeFilter::area),
                 ContractError);
}

}  // namespace
}  // namespace boneage

#include "kernels/image/clahe.h"

#include "kernels/base/error.h"
#include "kernels/image/clahe_math.h"
#include "tests/support/images.h"

#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace boneage {
namespace {

using testing::expect_equal;
using testing::PaddedImage;

template <class P>
class ClaheTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(ClaheTest, PixelTypes);

std::string text(const ClaheParams& p) {
    return "clip " + std::to_string(p.clip_limit) + ", tiles " + std::to_string(p.tiles_x) + "x" +
           std::to_string(p.tiles_y);
}

template <class P>
void compare_with_opencv(const cv::Mat& source, const ClaheParams& params, int threads) {
    Workers workers(threads);
    HostScratch scratch;
    const Image<const P, Host> src(source.ptr<P>(), source.rows, source.cols,
                                   static_cast<int64_t>(source.step / sizeof(P)));
    PaddedImage<P> dst(src.height, src.width, 3);
    clahe<P>(workers, one(src), one(dst.view()), params, scratch.bytes(clahe_scratch_bytes<P>(params, 1)));
    cv::Mat want;
    cv::createCLAHE(params.clip_limit, {static_cast<int>(params.tiles_x), static_cast<int>(params.tiles_y)})
        ->apply(source, want);
    expect_equal<P>(dst.view(), want,
                    text(params) + ", " + std::to_string(source.rows) + "x" + std::to_string(source.cols));
    dst.check_padding();
}

TYPED_TEST(ClaheTest, equals_opencv_on_awkward_sizes_clip_limits_and_tiles) {
    std::vector<ClaheParams> settings{{2.0, 8, 8}, {0.0, 8, 8}, {40.0, 3, 5}, {1.0, 1, 1}, {0.5, 4, 1}};
    if constexpr (sizeof(TypeParam) == 1) {
        settings.push_back({2.0, 16, 16});
        settings.push_back({3.7, 7, 2});
    }
    for (const auto& [height, width] : testing::awkward_sizes()) {
        auto noise = testing::random_image<TypeParam>(height, width, 11);
        auto smooth = testing::smooth_image<TypeParam>(height, width, 12);
        for (const ClaheParams& params : settings) {
            compare_with_opencv<TypeParam>(smooth.mat(), params, 1);
            compare_with_opencv<TypeParam>(noise.mat(), params, 2);
        }
    }
}

// As counts they need more than 31 bits, where OpenCV takes them for 1.
TYPED_TEST(ClaheTest, limits_beyond_any_count_clip_nothing) {
    auto picture = testing::smooth_image<TypeParam>(800, 700, 13);
    const auto equalised = [&](double clip_limit) {
        const ClaheParams params{clip_limit, 1, 1};
        Workers workers(1);
        HostScratch scratch;
        PaddedImage<TypeParam> dst(800, 700);
        clahe<TypeParam>(workers, one<const TypeParam>(picture.view()), one(dst.view()), params,
                         scratch.bytes(clahe_scratch_bytes<TypeParam>(params, 1)));
        return dst.mat().clone();
    };
    PaddedImage<TypeParam> got(800, 700);
    equalised(1e9).copyTo(got.mat());
    expect_equal<TypeParam>(got.view(), equalised(0.0), "clip limit 1e9");
}

TYPED_TEST(ClaheTest, gives_the_same_bytes_in_place_and_at_any_worker_count) {
    const ClaheParams params;
    auto image = testing::smooth_image<TypeParam>(301, 407, 3);
    PaddedImage<TypeParam> want(301, 407);
    HostScratch scratch;
    Workers one_worker(1);
    clahe<TypeParam>(one_worker, one<const TypeParam>(image.view()), one(want.view()), params,
                     scratch.bytes(clahe_scratch_bytes<TypeParam>(params, 1)));
    for (const int threads : {2, 4}) {
        Workers workers(threads);
        auto copy = testing::smooth_image<TypeParam>(301, 407, 3);
        clahe<TypeParam>(workers, one<const TypeParam>(copy.view()), one(copy.view()), params,
                         scratch.bytes(clahe_scratch_bytes<TypeParam>(params, 1)));
        expect_equal<TypeParam>(copy.view(), want.mat(), std::to_string(threads) + " threads, in place");
    }
}

TYPED_TEST(ClaheTest, refuses_too_little_scratch_and_no_tiles) {
    Workers workers(1);
    HostScratch scratch;
    PaddedImage<TypeParam> image(8, 8);
    const auto in = image.view();
    const int64_t enough = clahe_scratch_bytes<TypeParam>({}, 1);
    EXPECT_THROW(clahe<TypeParam>(workers, one<const TypeParam>(in), one(in), {}, scratch.bytes(enough - 1)),
                 ContractError);
    EXPECT_THROW(clahe<TypeParam>(workers, one<const TypeParam>(in), one(in), {2.0, 0, 8}, scratch.bytes(enough)),
                 ContractError);
}

template <int32_t bins>
void expect_spreads_as_one_after_another() {
    for (int32_t residual = 0; residual < bins; ++residual) {
        const ClaheSpread<bins> spread(3 * bins + residual);
        ASSERT_EQ(spread.share, 3);
        const int32_t step = residual > 0 ? clahe_residual_step(bins, residual) : 1;
        int32_t given = 0;
        for (int32_t bin = 0; bin < bins; ++bin) {
            given += bin % step == 0 && given < residual ? 1 : 0;
            if (spread.extras(bin) != given) {
                FAIL() << bins << " bins, remainder " << residual << ": bins 0 to " << bin << " get "
                       << spread.extras(bin) << " more, not " << given;
            }
        }
        // Neighbouring remainders mostly have one step.
        residual += residual > 1000 && residual < bins - 1000 ? 996 : 0;
    }
}

TEST(ClaheSpread, gives_every_bin_what_it_gets_one_after_another) {
    expect_spreads_as_one_after_another<256>();
    expect_spreads_as_one_after_another<65536>();
}

TEST(ClaheHalves, hold_every_count_of_a_small_tile_and_those_near_the_clip_of_a_large_one) {
    EXPECT_TRUE(clahe_counts_in_halves(254, 256, {0.0, 1, 1}));
    EXPECT_FALSE(clahe_counts_in_halves(255, 256, {0.0, 1, 1})) << "extended, a tile could have 65,792 pixels";
    EXPECT_FALSE(clahe_counts_in_halves(255, 256, {-1.0, 1, 1}));
    EXPECT_TRUE(clahe_counts_in_halves(8 * 254, 8 * 256, {1e9, 8, 8}));
    EXPECT_TRUE(clahe_counts_in_halves(4000, 3000, {2.0, 8, 8}));
    EXPECT_TRUE(clahe_counts_in_halves(4000, 3000, {40.0, 1, 1}));
    // The top of a counter less what threads may add too much.
    const ClaheParams highest{57343.0 * 65536.0 / (1001.0 * 1001.0), 1, 1};
    EXPECT_TRUE(clahe_counts_in_halves(1000, 1000, highest));
    EXPECT_FALSE(clahe_counts_in_halves(1000, 1001, highest));
    EXPECT_FALSE(clahe_counts_in_halves(1000, 1000, {1e300, 1, 1}));
}

TEST(ClaheOnRadiographs, equals_opencv_on_every_sample) {
    int compared = 0;
    for (const auto& entry : std::filesystem::directory_iterator(BONEAGE_TEST_DATA "/radiographs")) {
        if (entry.path().extension() == ".png") {
            const cv::Mat image = cv::imread(entry.path().string(), cv::IMREAD_GRAYSCALE);
            compare_with_opencv<uint8_t>(image, {2.0, 8, 8}, 2);
            cv::Mat wide;
            image.convertTo(wide, CV_16U, 257);
            compare_with_opencv<uint16_t>(wide, {2.0, 8, 8}, 2);
            ++compared;
        }
    }
    EXPECT_GE(compared, 6);
}

}  // namespace
}  // namespace boneage

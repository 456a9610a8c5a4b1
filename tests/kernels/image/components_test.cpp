#include "kernels/image/components.h"

#include "kernels/base/error.h"
#include "tests/support/masks.h"

#include <map>
#include <opencv2/imgproc.hpp>
#include <set>

namespace boneage {
namespace {

using testing::expect_equal;
using testing::PaddedImage;
using testing::painted;

std::vector<std::pair<std::string, PaddedImage<uint8_t>>> masks() {
    std::vector<std::pair<std::string, PaddedImage<uint8_t>>> all;
    uint64_t seed = 1;
    for (const auto& [height, width] : testing::awkward_sizes()) {
        const std::string size = std::to_string(height) + "x" + std::to_string(width);
        for (const float density : {0.1F, 0.4F, 0.6F, 0.9F}) {
            all.emplace_back("random " + size, testing::random_mask(height, width, seed++, density));
        }
        all.emplace_back("full " + size, painted(height, width, [](int64_t, int64_t) { return true; }));
        all.emplace_back("empty " + size, painted(height, width, [](int64_t, int64_t) { return false; }));
        all.emplace_back("chessboard " + size,
                         painted(height, width, [](int64_t y, int64_t x) { return (y + x) % 2 == 0; }));
        all.emplace_back("comb " + size, painted(height, width, [h = height](int64_t y, int64_t x) {
                             return x % 2 == 0 || y == h - 1;
                         }));
    }
    for (const int64_t size : {5, 16, 31, 100}) {
        all.emplace_back("spiral " + std::to_string(size), testing::spiral(size));
    }
    return all;
}

HostScratch scratch;
Bytes<Host> scratch_for(const Image<uint8_t, Host>& mask) {
    return scratch.bytes(components_scratch_bytes(mask.height, mask.width, 1));
}

TEST(LabelComponents, are_those_of_opencv_named_by_their_first_pixel) {
    for (auto& [name, mask] : masks()) {
        for (const int threads : {1, 2, 4}) {
            Workers workers(threads);
            const auto view = mask.view();
            PaddedImage<int32_t> labels(view.height, view.width, 2);
            label_components(workers, one<const uint8_t>(view), one(labels.view()), scratch_for(view));
            labels.check_padding();
            cv::Mat want;
            cv::connectedComponents(mask.mat(), want, 8, CV_32S);
            std::map<int32_t, int32_t> first_pixel{{0, 0}};  // OpenCV's label -> ours
            for (int64_t y = 0; y < view.height; ++y) {
                for (int64_t x = 0; x < view.width; ++x) {
                    const int32_t theirs = want.at<int32_t>(static_cast<int>(y), static_cast<int>(x));
                    const auto here = static_cast<int32_t>(y * view.width + x + 1);
                    const int32_t expected = first_pixel.try_emplace(theirs, here).first->second;
                    ASSERT_EQ(labels.view().at(y, x), expected) << name << " at " << y << ", " << x;
                }
            }
        }
    }
}

TEST(FillHoles, equals_drawing_opencvs_external_contours) {
    for (auto& [name, mask] : masks()) {
        std::vector<std::vector<cv::Point>> contours;
        cv::findContours(mask.mat().clone(), contours, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_NONE);
        cv::Mat want = cv::Mat::zeros(mask.mat().size(), CV_8U);
        cv::drawContours(want, contours, -1, 255, cv::FILLED);
        for (const int threads : {1, 2, 4}) {
            Workers workers(threads);
            const auto view = mask.view();
            PaddedImage<uint8_t> dst(view.height, view.width, 2);
            fill_holes(workers, one<const uint8_t>(view), one(dst.view()), scratch_for(view));
            expect_equal<uint8_t>(dst.view(), want, name);
            dst.check_padding();
            PaddedImage<uint8_t> in_place = mask;
            const auto both = in_place.view();
            fill_holes(workers, one<const uint8_t>(both), one(both), scratch_for(both));
            expect_equal<uint8_t>(both, want, name + " in place");
        }
    }
}

TEST(KeepLargest, keeps_the_most_pixels_and_the_first_of_equals) {
    for (auto& [name, mask] : masks()) {
        cv::Mat labels;
        cv::Mat statistics;
        cv::Mat centroids;
        const int count = cv::connectedComponentsWithStats(mask.mat(), labels, statistics, centroids, 8);
        // OpenCV's labels need not follow reading order: ties are decided by the first pixel met.
        int best = 0;
        std::set<int> seen;
        for (int y = 0; y < labels.rows; ++y) {
            for (int x = 0; x < labels.cols; ++x) {
                const int label = labels.at<int32_t>(y, x);
                if (label != 0 && seen.insert(label).second &&
                    (best == 0 || statistics.at<int32_t>(label, cv::CC_STAT_AREA) >
                                      statistics.at<int32_t>(best, cv::CC_STAT_AREA))) {
                    best = label;
                }
            }
        }
        const cv::Mat want = best == 0 ? cv::Mat(cv::Mat::zeros(labels.size(), CV_8U)) : cv::Mat(labels == best);
        for (const int threads : {1, 2, 4}) {
            Workers workers(threads);
            PaddedImage<uint8_t> copy = mask;
            const auto view = copy.view();
            ComponentStats stats;
            keep_largest(workers, one<const uint8_t>(view), one(view), {&stats, 1}, scratch_for(view));
            expect_equal<uint8_t>(view, want, name);
            EXPECT_EQ(stats.components, count - 1) << name;
            EXPECT_EQ(stats.foreground, cv::countNonZero(labels)) << name;
            EXPECT_EQ(stats.largest, cv::countNonZero(want)) << name;
            const cv::Rect box = cv::boundingRect(want);
            EXPECT_EQ(stats.top, box.y) << name;
            EXPECT_EQ(stats.left, box.x) << name;
            EXPECT_EQ(stats.bottom, box.y + box.height) << name;
            EXPECT_EQ(stats.right, box.x + box.width) << name;
        }
    }
}

TEST(Components, refuse_too_little_scratch_and_images_of_different_sizes) {
    Workers workers(1);
    PaddedImage<uint8_t> mask = testing::random_mask(8, 8, 1);
    PaddedImage<uint8_t> other(8, 9);
    const auto view = mask.view();
    EXPECT_THROW(
        fill_holes(workers, one<const uint8_t>(view), one(view), scratch.bytes(components_scratch_bytes(8, 8, 1) - 1)),
        ContractError);
    EXPECT_THROW(fill_holes(workers, one<const uint8_t>(view), one(other.view()), scratch_for(view)), ContractError);
}

}  // namespace
}  // namespace boneage

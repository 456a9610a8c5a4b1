// Every operation on 8-bit pictures against OpenCV, on each of the radiographs that come with the source.
#include "engine/io/image_file.h"
#include "engine/pipeline/apply.h"
#include "kernels/image/threshold.h"
#include "tests/support/naive_backend.h"

#include <gtest/gtest.h>
#include <opencv2/imgproc.hpp>

namespace boneage::pipeline {
namespace {

// A view of the picture's pixels, which must outlive it.
cv::Mat mat_of(const Picture& picture) {
    const auto view = std::get<HostImage<uint8_t>>(picture).view();
    return {static_cast<int>(view.height), static_cast<int>(view.width), CV_8UC1, const_cast<uint8_t*>(view.data),
            static_cast<size_t>(view.stride)};
}

class Samples : public ::testing::TestWithParam<const char*> {
protected:
    Samples() : applier_(make_applier(2, backend_)) {
        picture_ = io::decode_image(std::string(BONEAGE_TEST_DATA "/radiographs/") + GetParam() + ".png").pixels;
        src_ = mat_of(picture_);
        HostImage<uint8_t> mask;
        mask.reshape(src_.rows, src_.cols);
        Workers workers(1);
        threshold<uint8_t>(workers, one<const uint8_t>(std::get<HostImage<uint8_t>>(picture_).view()), one(mask.view()),
                           kLevel);
        mask_ = std::move(mask);
    }

    static void expect_equal(const Picture& got, const cv::Mat& want, const std::string& what, double levels = 0.0) {
        const cv::Mat pixels = mat_of(got);
        ASSERT_EQ(pixels.size(), want.size()) << what;
        ASSERT_EQ(want.type(), CV_8UC1) << what;
        EXPECT_LE(cv::norm(pixels, want, cv::NORM_INF), levels) << what;
    }

    static constexpr uint8_t kLevel = 110;

    testing::NaiveBackend backend_;
    std::unique_ptr<Applier> applier_;
    Picture picture_;
    Picture mask_;  // what is brighter than kLevel
    cv::Mat src_;   // the picture
};
INSTANTIATE_TEST_SUITE_P(All, Samples,
                         ::testing::Values("1381", "2050", "2982", "3736", "3766", "3830", "4099", "4332", "8579"),
                         [](const auto& sample) { return std::string(sample.param); });

TEST_P(Samples, sharpening_equals_opencv) {
    const cv::Mat laplacian4 = (cv::Mat_<float>(3, 3) << 0, -1, 0, -1, 5, -1, 0, -1, 0);
    const cv::Mat laplacian8 = (cv::Mat_<float>(3, 3) << -1, -1, -1, -1, 9, -1, -1, -1, -1);
    cv::Mat want;
    cv::filter2D(src_, want, -1, laplacian4, {-1, -1}, 0, cv::BORDER_REFLECT_101);
    expect_equal(applier_->sharpen(picture_, {SharpenKernel::laplacian4, 0}), want, "laplacian4");
    cv::filter2D(src_, want, -1, laplacian8, {-1, -1}, 0, cv::BORDER_REFLECT_101);
    expect_equal(applier_->sharpen(picture_, {SharpenKernel::laplacian8, 0}), want, "laplacian8");
    cv::Mat laplacian;
    cv::Laplacian(src_, laplacian, CV_32F, 3, 1, 0, cv::BORDER_REFLECT_101);
    cv::Mat wide;
    src_.convertTo(wide, CV_32F);
    cv::Mat(wide - laplacian * 0.25F).convertTo(want, CV_8U);
    expect_equal(applier_->sharpen(picture_, {SharpenKernel::unsharp, 0.25F}), want, "unsharp");
}

TEST_P(Samples, morphology_equals_opencv) {
    const std::tuple<const char*, ElementShape, int> shapes[]{{"rect", ElementShape::rect, cv::MORPH_RECT},
                                                              {"cross", ElementShape::cross, cv::MORPH_CROSS},
                                                              {"ellipse", ElementShape::ellipse, cv::MORPH_ELLIPSE}};
    const std::tuple<const char*, MorphologyOp, int> operations[]{{"dilate", MorphologyOp::dilate, cv::MORPH_DILATE},
                                                                  {"erode", MorphologyOp::erode, cv::MORPH_ERODE},
                                                                  {"open", MorphologyOp::open, cv::MORPH_OPEN},
                                                                  {"close", MorphologyOp::close, cv::MORPH_CLOSE}};
    for (const auto& [shape_name, shape, cv_shape] : shapes) {
        for (const auto& [name, op, cv_op] : operations) {
            cv::Mat want;
            cv::morphologyEx(src_, want, cv_op, cv::getStructuringElement(cv_shape, {15, 9}));
            MorphologyParams params;
            params.op = op;
            params.shape = shape;
            params.width = 15;
            params.height = 9;
            expect_equal(applier_->morphology(picture_, params), want, std::string(name) + " by " + shape_name);
        }
    }
}

TEST_P(Samples, masks_equal_opencv) {
    cv::Mat mask;
    cv::threshold(src_, mask, kLevel, 255, cv::THRESH_BINARY);
    expect_equal(mask_, mask, "threshold");

    std::vector<std::vector<cv::Point>> contours;
    cv::findContours(mask, contours, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_NONE);
    cv::Mat filled = cv::Mat::zeros(mask.size(), CV_8UC1);
    cv::drawContours(filled, contours, -1, cv::Scalar(255), cv::FILLED);
    expect_equal(applier_->fill(mask_), filled, "fill");

    cv::Mat labels;
    cv::Mat stats;
    cv::Mat centres;
    const int count = cv::connectedComponentsWithStats(mask, labels, stats, centres, 8);
    ASSERT_GT(count, 1) << "the mask is empty";
    int best = 1;
    for (int i = 2; i < count; ++i) {
        best = stats.at<int>(i, cv::CC_STAT_AREA) > stats.at<int>(best, cv::CC_STAT_AREA) ? i : best;
    }
    expect_equal(applier_->largest(mask_), labels == best, "largest");

    cv::Mat inside = cv::Mat::zeros(src_.size(), CV_8UC1);
    src_.copyTo(inside, mask);
    expect_equal(applier_->overlay(picture_, mask_, 0.0), inside, "overlay");
}

TEST_P(Samples, inversion_and_clahe_equal_opencv) {
    cv::Mat want;
    cv::bitwise_not(src_, want);
    expect_equal(applier_->invert(picture_), want, "invert");
    cv::createCLAHE(2.0, {8, 8})->apply(src_, want);
    expect_equal(applier_->clahe(picture_, {.clip_limit = 2.0, .tiles_x = 8, .tiles_y = 8}), want, "clahe");
}

TEST_P(Samples, resizing_is_within_one_level_of_opencv) {
    for (const ImageSize size : {ImageSize{288, 211}, ImageSize{512, 384}, ImageSize{1500, 1100}}) {
        const cv::Size wanted(static_cast<int>(size.width), static_cast<int>(size.height));
        cv::Mat want;
        cv::resize(src_, want, wanted, 0, 0, cv::INTER_AREA);
        expect_equal(applier_->resize(picture_, size, ResizeFilter::area), want, "area", 1.0);
        cv::resize(src_, want, wanted, 0, 0, cv::INTER_LINEAR);
        expect_equal(applier_->resize(picture_, size, ResizeFilter::linear), want, "linear", 1.0);
    }
}

}  // namespace
}  // namespace boneage::pipeline

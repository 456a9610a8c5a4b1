#include "tests/support/program.h"
#include "tests/support/refusal.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace boneage {
namespace {

using testing::Folder;
using testing::Ran;

const std::string kRadiograph = BONEAGE_TEST_DATA "/radiographs/4332.png";

cv::Mat read(const std::filesystem::path& path) {
    return cv::imread(path.string(), cv::IMREAD_UNCHANGED);
}

// A real radiograph with 8 bits, or stretched to 16.
cv::Mat radiograph(int type) {
    cv::Mat image = read(kRadiograph);
    if (type == CV_16UC1) {
        image.convertTo(image, CV_16UC1, 257.0, 11.0);
    }
    return image;
}

// Runs one stage on `src` and returns what it wrote.
cv::Mat apply(const std::string& stage, const cv::Mat& src, const std::vector<std::string>& options = {}) {
    const Folder folder;
    const std::string in = (folder / "in.png").string();
    const std::string out = (folder / "out.png").string();
    cv::imwrite(in, src);
    std::vector<std::string> arguments{"apply", stage, in, out};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const Ran ran = testing::run_program(arguments);
    EXPECT_EQ(ran.code, 0) << stage << ": " << ran.err;
    return read(out);
}

void expect_equal(const cv::Mat& got, const cv::Mat& want, const std::string& what) {
    ASSERT_FALSE(got.empty()) << what;
    ASSERT_EQ(got.type(), want.type()) << what;
    ASSERT_EQ(got.size(), want.size()) << what;
    EXPECT_EQ(cv::norm(got, want, cv::NORM_INF), 0.0) << what;
}

class Apply : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Depths, Apply, ::testing::Values(CV_8UC1, CV_16UC1),
                         [](const auto& depth) { return depth.param == CV_8UC1 ? "8bit" : "16bit"; });

TEST_P(Apply, pictures_equal_opencv) {
    const cv::Mat src = radiograph(GetParam());
    cv::Mat want;
    cv::resize(src, want, {200, 333}, 0, 0, cv::INTER_AREA);
    expect_equal(apply("resize", src, {"--size", "200x333", "--filter", "area"}), want, "area");
    cv::resize(src, want, {700, 333}, 0, 0, cv::INTER_LINEAR);
    expect_equal(apply("resize", src, {"--size", "700x333", "--filter", "linear"}), want, "linear");
    cv::bitwise_not(src, want);
    expect_equal(apply("invert", src), want, "invert");
    cv::createCLAHE(3.0, {8, 4})->apply(src, want);
    expect_equal(apply("clahe", src, {"--clip-limit", "3", "--tiles", "8x4"}), want, "clahe");
    const cv::Mat kernel = (cv::Mat_<float>(3, 3) << -1, -1, -1, -1, 9, -1, -1, -1, -1);
    cv::filter2D(src, want, -1, kernel, {-1, -1}, 0, cv::BORDER_REFLECT_101);
    expect_equal(apply("sharpen", src, {"--kernel", "laplacian8"}), want, "sharpen");
}

TEST_P(Apply, morphology_equals_opencv) {
    const cv::Mat src = radiograph(GetParam());
    const cv::Mat element = cv::getStructuringElement(cv::MORPH_ELLIPSE, {9, 5});
    const std::vector<std::string> options{"--element", "ellipse", "--size", "9x5", "--iterations", "2"};
    const std::pair<const char*, int> all[]{
        {"dilate", cv::MORPH_DILATE}, {"erode", cv::MORPH_ERODE}, {"open", cv::MORPH_OPEN}, {"close", cv::MORPH_CLOSE}};
    for (const auto& [name, op] : all) {
        cv::Mat want;
        cv::morphologyEx(src, want, op, element, {-1, -1}, 2);
        expect_equal(apply(name, src, options), want, name);
    }
}

TEST_P(Apply, masks_equal_opencv) {
    const cv::Mat src = radiograph(GetParam());
    const double most = GetParam() == CV_8UC1 ? 255.0 : 65535.0;
    cv::Mat wide;
    cv::threshold(src, wide, 0.3 * most, most, cv::THRESH_BINARY);
    cv::Mat mask;
    wide.convertTo(mask, CV_8UC1, 255.0 / most);

    std::vector<std::vector<cv::Point>> contours;
    cv::findContours(mask, contours, cv::RETR_EXTERNAL, cv::CHAIN_APPROX_NONE);
    cv::Mat filled = cv::Mat::zeros(mask.size(), CV_8UC1);
    cv::drawContours(filled, contours, -1, cv::Scalar(255), cv::FILLED);
    filled.convertTo(filled, src.type(), most / 255.0);
    expect_equal(apply("fill", wide), filled, "fill");

    cv::Mat labels;
    cv::Mat stats;
    cv::Mat centres;
    const int count = cv::connectedComponentsWithStats(mask, labels, stats, centres, 8);
    int best = 1;
    for (int i = 2; i < count; ++i) {
        best = stats.at<int>(i, cv::CC_STAT_AREA) > stats.at<int>(best, cv::CC_STAT_AREA) ? i : best;
    }
    cv::Mat largest = labels == best;
    largest.convertTo(largest, src.type(), most / 255.0);
    expect_equal(apply("largest", wide), largest, "largest");

    const Folder folder;
    cv::imwrite((folder / "mask.png").string(), mask);
    cv::Mat want = cv::Mat::zeros(src.size(), src.type());
    src.copyTo(want, mask);
    expect_equal(apply("overlay", src, {"--mask", (folder / "mask.png").string()}), want, "overlay");
}

TEST_P(Apply, segment_gives_a_mask_of_the_same_size_and_depth) {
    const cv::Mat src = radiograph(GetParam());
    const cv::Mat mask = apply("segment", src, {"--segmenter", BONEAGE_TEST_MODELS "/unet.safetensors"});
    ASSERT_EQ(mask.size(), src.size());
    ASSERT_EQ(mask.type(), src.type());
    const double most = GetParam() == CV_8UC1 ? 255.0 : 65535.0;
    EXPECT_EQ(cv::countNonZero(mask == 0) + cv::countNonZero(mask == most), static_cast<int>(mask.total()));
    // That segmenter takes for hand what is bright.
    EXPECT_GT(cv::mean(src, mask > 0)[0], cv::mean(src, mask == 0)[0]);
}

TEST(ApplyContrast, prints_json) {
    const Ran ran = testing::run_program({"apply", "contrast", kRadiograph});
    ASSERT_EQ(ran.code, 0) << ran.err;
    const auto json = nlohmann::json::parse(ran.out);
    EXPECT_NEAR(json["spread"].get<double>(), (json["p99"].get<double>() - json["p1"].get<double>()) / 255.0, 1e-12);
    EXPECT_EQ(json["low_contrast"], false);
    EXPECT_EQ(nlohmann::json::parse(testing::run_program({"apply", "contrast", kRadiograph, "--threshold", "0.9"}).out)
                  .at("low_contrast"),
              true);
}

TEST(ApplyErrors, say_what_is_wrong_in_the_exit_code) {
    const Folder folder;
    const std::string out = (folder / "out.png").string();
    EXPECT_EQ(testing::run_program({"apply"}).code, 2);
    EXPECT_EQ(testing::run_program({"apply", "shine", kRadiograph, out}).code, 2);
    EXPECT_EQ(testing::run_program({"apply", "resize", kRadiograph, out}).code, 2);
    EXPECT_EQ(testing::run_program({"apply", "resize", kRadiograph, out, "--size", "0x4"}).code, 2);
    EXPECT_EQ(testing::run_program({"apply", "resize", kRadiograph, out, "--size", "4x"}).code, 2);
    EXPECT_EQ(testing::run_program({"apply", "clahe", kRadiograph, out, "--clip-limit", "-1"}).code, 2);
    EXPECT_EQ(testing::run_program({"apply", "overlay", kRadiograph, out, "--mask",
                                    std::string(BONEAGE_TEST_DATA) + "/radiographs/2050.png"})
                  .code,
              2);
    EXPECT_EQ(testing::run_program({"apply", "invert", (folder / "none.png").string(), out}).code, 1);
    EXPECT_EQ(testing::run_program({"apply", "invert", kRadiograph, (folder / "none/out.png").string()}).code, 3);
    EXPECT_FALSE(std::filesystem::exists(out));
}

TEST(ApplyErrors, a_mask_of_another_size_is_named_with_both_sizes) {
    const Folder folder;
    const std::string mask = (folder / "mask.png").string();
    cv::imwrite(mask, cv::Mat(20, 30, CV_8UC1, cv::Scalar(255)));
    const Ran ran =
        testing::run_program({"apply", "overlay", kRadiograph, (folder / "out.png").string(), "--mask", mask});
    EXPECT_EQ(testing::not_refused(ran, 2), "");
    EXPECT_NE(ran.err.find("--mask " + mask + " is 30x20 pixels (width x height), but " + kRadiograph + " is 622x1037"),
              std::string::npos)
        << ran.err;
}

TEST(ApplyErrors, a_png_gets_no_other_name) {
    const Folder folder;
    const std::string out = (folder / "out.jpg").string();
    const Ran ran = testing::run_program({"apply", "invert", kRadiograph, out});
    EXPECT_EQ(testing::not_refused(ran, 2), "");
    EXPECT_NE(ran.err.find("let it end in .png"), std::string::npos) << ran.err;
    EXPECT_FALSE(std::filesystem::exists(out));
    EXPECT_EQ(testing::run_program({"apply", "invert", kRadiograph, "/dev/null"}).code, 0);
}

TEST(ApplyErrors, a_picture_may_be_replaced_by_what_is_made_of_it) {
    const Folder folder;
    const std::string path = (folder / "a.png").string();
    const cv::Mat src = radiograph(CV_8UC1);
    cv::imwrite(path, src);
    EXPECT_EQ(testing::run_program({"apply", "invert", path, path}).code, 0);
    expect_equal(read(path), 255 - src, "in place");
}

}  // namespace
}  // namespace boneage

// Runs of `boneage score` with the small models of the tests, and what its table says.
#pragma once

#include "tests/support/program.h"

#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <sstream>

namespace boneage::testing {

inline const std::string kRadiographs = BONEAGE_TEST_DATA "/radiographs";
inline const std::string kHeader =
    "source,status,reason,bone_age_months,sex,age_if_male,age_if_female,contrast,mask_fraction,width,height,elapsed_ms";
inline constexpr size_t kSource = 0, kStatus = 1, kReason = 2, kAge = 3, kSex = 4, kMale = 5, kFemale = 6,
                        kContrast = 7, kMaskFraction = 8, kWidth = 9, kHeight = 10, kElapsed = 11;

using Row = std::vector<std::string>;

inline std::vector<std::string> score_arguments(const std::vector<std::string>& more) {
    std::vector<std::string> all{"score", "--weights", BONEAGE_TEST_MODELS "/resnet34.safetensors", "--segmenter",
                                 BONEAGE_TEST_MODELS "/unet.safetensors"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

inline Ran score(const std::vector<std::string>& more, Rights rights = Rights::of_the_tests) {
    return run_program(score_arguments(more), rights);
}

// The rows below the header; every line must be whole.
inline std::vector<Row> rows_of(const std::string& text) {
    std::vector<Row> rows;
    std::istringstream lines(text);
    std::string line;
    EXPECT_TRUE(text.empty() || text.back() == '\n') << "half a row: " << text;
    std::getline(lines, line);
    EXPECT_EQ(line, kHeader);
    while (std::getline(lines, line)) {
        Row row;
        std::istringstream fields(line + ",");
        for (std::string field; std::getline(fields, field, ',');) {
            row.push_back(field);
        }
        EXPECT_EQ(row.size(), 12U) << line;
        row.resize(12);
        rows.push_back(row);
    }
    return rows;
}

inline Row only_row(const Ran& ran) {
    const auto rows = rows_of(ran.out);
    EXPECT_EQ(rows.size(), 1U);
    return rows.empty() ? Row(12) : rows[0];
}

// A bright ellipse on a dark ground.
inline cv::Mat hand(int height, int width) {
    cv::Mat image(height, width, CV_8UC1, cv::Scalar(5));
    cv::ellipse(image, {width / 2, height / 2}, {width / 3, height / 3}, 20, 0, 360, cv::Scalar(170), cv::FILLED);
    return image;
}

inline std::string save(const std::filesystem::path& path, const cv::Mat& image) {
    std::filesystem::create_directories(path.parent_path());
    EXPECT_TRUE(cv::imwrite(path.string(), image));
    return path.string();
}

}  // namespace boneage::testing

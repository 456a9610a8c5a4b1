// The shipped models on the shipped radiographs: in other arithmetic, and squashed as collections for machine learning
// have them.
#include "tests/support/program.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <map>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <sstream>

namespace boneage::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kRadiographs = fs::path(BONEAGE_TEST_DATA) / "radiographs";
constexpr const char* kShipped = BONEAGE_TEST_WEIGHTS;

// Ages by id.
std::map<std::string, double> ages(const Folder& folder, const std::string& images,
                                   const std::vector<std::string>& more) {
    const std::string table = (folder / "scores.csv").string();
    std::vector<std::string> command{"score",       images,
                                     "--weights",   std::string(kShipped) + "/resnet34.safetensors",
                                     "--segmenter", std::string(kShipped) + "/unet.safetensors",
                                     "--device",    "cpu",
                                     "--sex-csv",   (kRadiographs / "labels.csv").string(),
                                     "-o",          table};
    command.insert(command.end(), more.begin(), more.end());
    const Ran ran = run_program(command);
    EXPECT_EQ(ran.code, 0) << ran.err;
    std::map<std::string, double> found;
    std::istringstream lines(text_of(table));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string source;
        std::string status;
        std::string reason;
        std::string age;
        std::getline(fields, source, ',');
        std::getline(fields, status, ',');
        std::getline(fields, reason, ',');
        std::getline(fields, age, ',');
        EXPECT_EQ(status, "ok") << line;
        found[fs::path(source).stem().string()] = std::atof(age.c_str());
    }
    return found;
}

TEST(ShippedModels, full_size_and_299_pixels_of_the_same_hand_score_within_3_months_in_the_median) {
    const Folder folder;
    fs::create_directories(folder / "squashed");
    std::string sizes = "id,orig_width,orig_height\n";
    for (const auto& entry : fs::directory_iterator(kRadiographs)) {
        if (entry.path().extension() == ".png") {
            const cv::Mat whole = cv::imread(entry.path().string(), cv::IMREAD_GRAYSCALE);
            cv::Mat squashed;
            cv::resize(whole, squashed, {299, 299}, 0, 0, cv::INTER_AREA);
            const std::string id = entry.path().stem().string();
            ASSERT_TRUE(
                cv::imwrite((folder / ("squashed/" + id + ".jpg")).string(), squashed, {cv::IMWRITE_JPEG_QUALITY, 90}));
            sizes += id + "," + std::to_string(whole.cols) + "," + std::to_string(whole.rows) + "\n";
        }
    }
    const auto whole = ages(folder, kRadiographs.string(), {});
    const auto squashed =
        ages(folder, (folder / "squashed").string(), {"--sizes", folder.write("sizes.csv", sizes).string()});
    ASSERT_EQ(whole.size(), 9U);
    ASSERT_EQ(squashed.size(), whole.size());
    std::vector<double> apart;
    for (const auto& [id, age] : whole) {
        ASSERT_TRUE(squashed.contains(id)) << id;
        apart.push_back(std::abs(squashed.at(id) - age));
    }
    std::ranges::sort(apart);
    EXPECT_LT(apart[apart.size() / 2], 3.0);
    EXPECT_GT(apart.back(), 0.0) << "the same files were scored";
}

TEST(ShippedModels, in_sixteen_bits_ages_stay_within_a_quarter_of_a_month) {
    const Folder folder;
    const auto whole = ages(folder, kRadiographs.string(), {});
    ASSERT_EQ(whole.size(), 9U);
    for (const char* precision : {"bf16", "f16"}) {
        const auto rounded = ages(folder, kRadiographs.string(), {"--precision", precision});
        ASSERT_EQ(rounded.size(), whole.size());
        double most = 0;
        for (const auto& [id, age] : whole) {
            ASSERT_TRUE(rounded.contains(id)) << id;
            EXPECT_NEAR(rounded.at(id), age, 0.25) << id << " in " << precision;
            most = std::max(most, std::abs(rounded.at(id) - age));
        }
        EXPECT_GT(most, 0.0) << precision << " was not used";
    }
}

}  // namespace
}  // namespace boneage::testing

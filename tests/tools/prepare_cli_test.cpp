// boneage prepare.
#include "engine/train/age_cache.h"
#include "engine/train/mask_cache.h"
#include "tests/support/program.h"
#include "tests/support/refusal.h"

#include <algorithm>
#include <chrono>
#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>

namespace boneage::testing {
namespace {

namespace fs = std::filesystem;

const std::string kRadiographs = BONEAGE_TEST_DATA "/radiographs";
const std::string kLabels = kRadiographs + "/labels.csv";
const std::string kSegmenter = BONEAGE_TEST_MODELS "/unet.safetensors";

class PrepareCliTest : public ::testing::Test {
protected:
    [[nodiscard]] std::string out() const { return (folder_ / "cache").string(); }
    Ran prepare(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), "prepare");
        arguments.insert(arguments.end(), {"-o", out()});
        return run_program(arguments);
    }
    [[nodiscard]] train::AgeCache ages() const { return train::AgeCache(out() + "/ages.safetensors"); }

    Folder folder_;
};

TEST_F(PrepareCliTest, real_radiographs_become_a_cache) {
    const Ran ran = prepare({kRadiographs, "--labels", kLabels, "--segmenter", kSegmenter});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find("9 of 9 radiographs prepared"), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("WARNING: the segmenter is untrained"), std::string::npos) << ran.err;
    const train::AgeCache cache = ages();
    EXPECT_EQ(cache.count(), 9);
    EXPECT_EQ(cache.recipe().input.width, 64) << "the segmenter's recipe";
    EXPECT_EQ(cache.recipe().canvas.long_side, 128);
    const cv::Mat sheet = cv::imread(out() + "/contact_sheet.png");
    EXPECT_EQ(sheet.rows, 4 + 2 * 164);
    EXPECT_EQ(sheet.cols, 4 + 6 * 324);
    EXPECT_EQ(text_of(out() + "/excluded.csv"), "id,source,reason,message\n");
}

// What the network sees of it when scoring, as `--stages` saves it.
TEST_F(PrepareCliTest, a_cached_picture_is_the_input_that_scoring_saves) {
    ASSERT_EQ(prepare({kRadiographs, "--labels", kLabels, "--segmenter", kSegmenter}).code, 0);
    const std::string stages = (folder_ / "stages").string();
    ASSERT_EQ(
        run_program({"score", kRadiographs, "--weights", BONEAGE_TEST_MODELS "/resnet34.safetensors", "--segmenter",
                     kSegmenter, "--device", "cpu", "--stages", stages, "-o", (folder_ / "scores.csv").string()})
            .code,
        0);
    const train::AgeCache cache = ages();
    for (int64_t i = 0; i < cache.count(); ++i) {
        const std::string path = stages + "/" + cache.ids()[static_cast<size_t>(i)] + "/10-input.png";
        const cv::Mat want = cv::imread(path, cv::IMREAD_GRAYSCALE);
        ASSERT_EQ(want.total(), 64U * 64U) << path;
        EXPECT_TRUE(std::equal(want.data, want.data + want.total(), cache.pictures().at(i))) << path;
    }
}

TEST_F(PrepareCliTest, squashed_and_whole_radiographs_give_nearly_the_same_pictures) {
    std::string labels = "id,boneage_months,orig_width,orig_height\n";
    fs::create_directories(folder_ / "squashed");
    for (const auto& entry : fs::directory_iterator(kRadiographs)) {
        if (entry.path().extension() == ".png") {
            const cv::Mat whole = cv::imread(entry.path().string(), cv::IMREAD_GRAYSCALE);
            cv::Mat squashed;
            cv::resize(whole, squashed, {299, 299}, 0, 0, cv::INTER_AREA);
            ASSERT_TRUE(cv::imwrite((folder_.path() / "squashed" / entry.path().filename()).string(), squashed));
            labels += entry.path().stem().string() + ",100," + std::to_string(whole.cols) + "," +
                      std::to_string(whole.rows) + "\n";
        }
    }
    const std::vector<std::string> settings{
        "--labels", folder_.write("sizes.csv", labels), "--canvas", "160", "--input", "64x96", "--restore-aspect"};
    std::vector<std::string> arguments{kRadiographs};
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    ASSERT_EQ(prepare(arguments).code, 0);
    fs::rename(out(), folder_ / "whole");
    arguments[0] = (folder_ / "squashed").string();
    ASSERT_EQ(prepare(arguments).code, 0);
    const train::AgeCache whole((folder_ / "whole/ages.safetensors").string());
    const train::AgeCache squashed = ages();
    ASSERT_EQ(whole.ids(), squashed.ids());
    ASSERT_EQ(whole.pictures().shape, (std::array<int64_t, 4>{9, 96, 64, 1}));
    double sum = 0.0;
    for (int64_t i = 0; i < whole.pictures().size(); ++i) {
        sum += std::abs(whole.pictures().data[i] - squashed.pictures().data[i]);
    }
    // With the aspect as it is in the squashed files it is 20 levels.
    EXPECT_LT(sum / static_cast<double>(whole.pictures().size()), 3.0);
}

TEST_F(PrepareCliTest, an_unreadable_file_is_told_and_the_rest_goes_on) {
    fs::copy(kRadiographs, folder_ / "images");
    folder_.write("images/3766.png", "no picture");
    const Ran ran = prepare({(folder_ / "images").string(), "--labels", kLabels});
    EXPECT_EQ(ran.code, 1) << ran.err;
    EXPECT_EQ(ages().count(), 8);
    EXPECT_NE(ran.err.find("3766.png is not a PNG, JPEG or BMP image"), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("1 left out: not_an_image"), std::string::npos) << ran.err;
    EXPECT_NE(text_of(out() + "/excluded.csv").find("3766,"), std::string::npos);
}

TEST_F(PrepareCliTest, masks_become_a_cache) {
    const cv::Mat image = cv::imread(kRadiographs + "/3766.png", cv::IMREAD_GRAYSCALE);
    const cv::Mat mask = image > 60;
    fs::create_directories(folder_ / "masks");
    ASSERT_TRUE(cv::imwrite((folder_ / "masks/3766.png").string(), mask));
    const Ran ran = prepare({kRadiographs, "--masks", (folder_ / "masks").string()});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_NE(ran.err.find("8 left out: no_mask"), std::string::npos) << ran.err;
    const train::MaskCache cache(out() + "/masks.safetensors");
    EXPECT_EQ(cache.ids(), (std::vector<std::string>{"3766"}));
    EXPECT_EQ(std::max(cache.mask(0).height, cache.mask(0).width), cache.recipe().segment.long_side);
}

TEST_F(PrepareCliTest, what_cannot_be_is_refused_in_one_sentence) {
    EXPECT_EQ(not_refused(prepare({kRadiographs}), 2), "");
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--labels", "/nowhere.csv", "--segmenter", kSegmenter}), 2), "");
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--labels", kLabels, "--input", "64x"}), 2), "");
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--labels", kLabels, "--input", "5000x64"}), 2), "");
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--labels", kLabels, "--canvas", "7"}), 2), "");
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--labels", kLabels, "--restore-aspect"}), 2), "");
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--labels", kLabels, "--label", "hand"}), 2), "");
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--labels", kLabels, "--recipe", kLabels}), 2), "");
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--labels", kLabels, "--segmenter",
                                   BONEAGE_TEST_MODELS "/resnet34.safetensors"}),
                          2),
              "");
    // The segmenter was made for another canvas.
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--labels", kLabels, "--segmenter", kSegmenter, "--canvas", "99"}), 2),
              "");
    EXPECT_EQ(not_refused(prepare({kRadiographs, "--masks", kRadiographs, "--segmenter", kSegmenter}), 2), "");
    EXPECT_FALSE(fs::exists(out()));
    const std::string file = folder_.write("cache", "a file where the folder should be");
    const Ran ran = prepare({kRadiographs, "--labels", kLabels});
    EXPECT_EQ(ran.code, 3);
    EXPECT_NE(ran.err.find(file), std::string::npos) << ran.err;
}

TEST_F(PrepareCliTest, nothing_to_prepare_is_named_and_an_older_cache_keeps_its_list) {
    const std::string nowhere = (folder_ / "nowhere").string();
    const Ran first = prepare({nowhere, "--labels", kLabels});
    EXPECT_EQ(not_refused(first, 2), "");
    EXPECT_NE(first.err.find("no radiograph is left to train on: " + nowhere), std::string::npos) << first.err;
    EXPECT_NE(first.err.find(", the first of 10 left out; " + out() + "/excluded.csv lists them all"),
              std::string::npos)
        << first.err;
    folder_.write("cache/excluded.csv", "the older cache's");
    EXPECT_EQ(not_refused(prepare({nowhere, "--labels", kLabels}), 2), "");
    EXPECT_EQ(text_of(out() + "/excluded.csv"), "the older cache's");
}

TEST_F(PrepareCliTest, interrupted_it_leaves_the_folder_as_it_was) {
    std::string labels = "id,boneage_months\n";
    fs::create_directories(folder_ / "images");
    for (int i = 0; i < 400; ++i) {
        const std::string id = std::to_string(i);
        fs::create_symlink(kRadiographs + "/3766.png", folder_ / ("images/" + id + ".png"));
        labels += id + ",100\n";
    }
    const std::string table = folder_.write("labels.csv", labels);
    folder_.write("cache/ages.safetensors", "old");
    Program program({"prepare", (folder_ / "images").string(), "--labels", table, "--segmenter", kSegmenter, "-o",
                     out(), "--workers", "2"});
    // Until some pictures have been written beside the old cache.
    const auto written = [&] {
        uintmax_t most = 0;
        for (const auto& entry : fs::directory_iterator(out())) {
            most = std::max(most, entry.file_size());
        }
        return most;
    };
    for (int i = 0; i < 6000 && written() < 30'000; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    program.send(SIGINT);
    const Ran ran = program.wait();
    EXPECT_EQ(ran.code, 3) << ran.err;
    EXPECT_NE(ran.err.find("stopped before all radiographs"), std::string::npos) << ran.err;
    EXPECT_EQ(std::distance(fs::directory_iterator(out()), {}), 1);
    EXPECT_EQ(text_of(out() + "/ages.safetensors"), "old");
}

}  // namespace
}  // namespace boneage::testing

#include "tests/support/score_runs.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <sstream>
#include <sys/stat.h>
#include <thread>

namespace boneage::testing {
namespace {

TEST(Score, real_radiographs_get_ages_in_order) {
    const Folder folder;
    const std::string out = (folder / "scores.csv").string();
    const Ran ran = score({kRadiographs, "--sex-csv", kRadiographs + "/labels.csv", "-o", out});
    EXPECT_EQ(ran.code, 0) << ran.err;
    const auto rows = rows_of(text_of(out));
    ASSERT_EQ(rows.size(), 9U);
    EXPECT_EQ(ran.out, "");
    for (size_t i = 0; i < rows.size(); ++i) {
        const Row& row = rows[i];
        EXPECT_TRUE(i == 0 || rows[i - 1][kSource] < row[kSource]);
        EXPECT_EQ(row[kStatus], "ok") << row[kReason];
        EXPECT_TRUE(row[kSex] == "M" || row[kSex] == "F");
        EXPECT_EQ(row[kAge], row[row[kSex] == "M" ? kMale : kFemale]);
        EXPECT_GT(std::stod(row[kElapsed]), 0.0);
    }
    EXPECT_EQ(rows[0][kWidth], "1514");
    EXPECT_EQ(rows[0][kHeight], "2044");
    EXPECT_NE(ran.err.find("untrained: the ages mean nothing"), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("9 radiographs in "), std::string::npos) << ran.err;
}

TEST(Score, inputs_keep_their_order_and_an_unknown_sex_gives_the_mean) {
    const Ran ran = score({kRadiographs + "/8579.png", kRadiographs + "/2050.png", kRadiographs + "/8579.png"});
    EXPECT_EQ(ran.code, 0) << ran.err;
    const auto rows = rows_of(ran.out);
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0][kSource], kRadiographs + "/8579.png");
    EXPECT_EQ(rows[1][kSource], kRadiographs + "/2050.png");
    EXPECT_EQ(rows[2][kAge], rows[0][kAge]);
    for (const Row& row : rows) {
        EXPECT_EQ(row[kSex], "unknown");
        EXPECT_NEAR(std::stod(row[kAge]), 0.5 * (std::stod(row[kMale]) + std::stod(row[kFemale])), 1.1e-4);
    }
}

TEST(Score, gives_the_same_rows_with_any_number_of_workers_and_any_batch) {
    const Folder folder;
    for (int i = 0; i < 7; ++i) {
        save(folder / ("in/" + std::to_string(i) + ".png"), hand(60 + 31 * i, 90 + 17 * i));
    }
    folder.write("in/3b.png", "not an image");
    const auto table = [&](const std::vector<std::string>& options) {
        std::vector<std::string> arguments{(folder / "in").string()};
        arguments.insert(arguments.end(), options.begin(), options.end());
        const Ran ran = score(arguments);
        EXPECT_EQ(ran.code, 1) << ran.err;
        auto rows = rows_of(ran.out);
        for (Row& row : rows) {
            row[kElapsed].clear();
        }
        return rows;
    };
    const auto reference = table({"--workers", "1", "--batch", "1"});
    ASSERT_EQ(reference.size(), 8U);
    EXPECT_EQ(reference[4][kStatus], "error");
    EXPECT_EQ(reference[5][kStatus], "ok");
    EXPECT_EQ(table({"--workers", "1", "--batch", "3"}), reference);
    EXPECT_EQ(table({"--workers", "2", "--batch", "1"}), reference);
    EXPECT_EQ(table({"--workers", "4", "--batch", "16"}), reference);
    EXPECT_EQ(table({}), reference);
}

TEST(Score, mirror_images_move_the_ages_and_nothing_else) {
    const Folder folder;
    const std::string image = save(folder / "a.png", hand(90, 70));
    const Row plain = only_row(score({image}));
    const Row mirrored = only_row(score({image, "--mirror"}));
    EXPECT_NE(mirrored[kAge], plain[kAge]);
    EXPECT_NE(mirrored[kMale], plain[kMale]);
    EXPECT_NEAR(std::stod(mirrored[kAge]), 0.5 * (std::stod(mirrored[kMale]) + std::stod(mirrored[kFemale])), 1.1e-4);
    EXPECT_EQ(mirrored[kContrast], plain[kContrast]);
    EXPECT_EQ(mirrored[kMaskFraction], plain[kMaskFraction]);
    EXPECT_EQ(only_row(score({image, "--mirror", "--batch", "3", "--workers", "2"}))[kAge], mirrored[kAge]);
}

TEST(Score, both_ways_to_convolve_give_the_age) {
    const Folder folder;
    const std::string image = save(folder / "a.png", hand(90, 70));
    const double age = std::stod(only_row(score({image}))[kAge]);
    const double direct = std::stod(only_row(score({image, "--convolutions", "direct"}))[kAge]);
    EXPECT_NEAR(direct, age, 1e-3 * std::max(1.0, std::abs(age)));
    const Ran ran = score({image, "--device", "cuda", "--convolutions", "direct"});
    EXPECT_EQ(ran.code, 2) << ran.err;
    EXPECT_NE(ran.err.find("--convolutions says how processors compute"), std::string::npos) << ran.err;
}

TEST(Score, a_bad_image_gives_its_row_and_the_others_go_on) {
    const Folder folder;
    const std::string good = save(folder / "a.png", hand(100, 80));
    const std::string whole = text_of(good);
    folder.write("b-truncated.png", whole.substr(0, whole.size() / 2));
    folder.write("c-text.png", "These are no pixels.\n");
    folder.write("d-empty.png", "");
    save(folder / "e-one-pixel.png", cv::Mat(1, 1, CV_8UC1, cv::Scalar(200)));
    save(folder / "f-line.png", hand(1, 20000));
    save(folder / "g-flat.png", cv::Mat(50, 50, CV_8UC1, cv::Scalar(77)));
    save(folder / "h.png", hand(70, 70));
    std::filesystem::create_directory_symlink("loop", folder / "loop");  // cannot be followed, not even by root
    const std::string missing = (folder / "missing.png").string();
    const Ran ran = score({folder.path().string(), missing, (folder / "loop").string(), good});
    EXPECT_EQ(ran.code, 1) << ran.err;
    const auto rows = rows_of(ran.out);
    ASSERT_EQ(rows.size(), 11U);
    std::map<std::string, Row> by_name;
    for (const Row& row : rows) {
        by_name[std::filesystem::path(row[kSource]).filename().string()] = row;
        EXPECT_EQ(row[kAge].empty(), row[kStatus] != "ok");
        EXPECT_EQ(row[kReason].empty(), row[kStatus] == "ok");
    }
    EXPECT_EQ(rows.back()[kStatus], "ok") << "whatever came before";
    EXPECT_EQ(by_name["b-truncated.png"][kReason], "truncated");
    EXPECT_EQ(by_name["c-text.png"][kReason], "not_an_image");
    EXPECT_EQ(by_name["d-empty.png"][kReason], "empty");
    EXPECT_EQ(by_name["e-one-pixel.png"][kReason], "low_contrast");
    EXPECT_EQ(by_name["f-line.png"][kWidth], "20000");
    EXPECT_NE(by_name["f-line.png"][kStatus], "error");
    EXPECT_EQ(by_name["g-flat.png"][kStatus], "rejected");
    EXPECT_EQ(by_name["h.png"][kStatus], "ok");
    EXPECT_EQ(by_name["missing.png"][kReason], "unreadable");
    EXPECT_EQ(by_name["loop"][kReason], "unreadable");
    EXPECT_NE(ran.err.find("missing.png"), std::string::npos);
}

TEST(Score, a_folder_that_may_not_be_read_gives_a_row) {
    const Folder folder;
    save(folder / "closed/a.png", hand(50, 50));
    ::chmod((folder / "closed").c_str(), 0);
    const Ran ran = score({(folder / "closed").string()}, Rights::bound_by_modes);
    ::chmod((folder / "closed").c_str(), 0700);
    EXPECT_EQ(ran.code, 1) << ran.err;
    const auto rows = rows_of(ran.out);
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0][kReason], "unreadable");
}

TEST(Score, an_empty_folder_gives_a_row_that_says_so) {
    const Folder folder;
    const Ran ran = score({folder.path().string()});
    EXPECT_EQ(ran.code, 1) << ran.err;
    const auto rows = rows_of(ran.out);
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0][kReason], "empty");
}

TEST(Score, rejected_images_alone_are_no_failure) {
    const Folder folder;
    const Ran ran = score({save(folder / "flat.png", cv::Mat(50, 50, CV_8UC1, cv::Scalar(77)))});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(only_row(ran)[kReason], "low_contrast");
}

TEST(Score, saves_every_stage_and_keeps_folders_apart) {
    const Folder folder;
    const std::string first = save(folder / "x/hand.png", hand(90, 70));
    const std::string second = save(folder / "y/hand.png", hand(70, 90));
    const Ran ran = score({first, second, "--stages", (folder / "stages").string()});
    EXPECT_EQ(ran.code, 0) << ran.err;
    for (const std::string name : {"hand", "hand-2"}) {
        for (const std::string stage :
             {"00-contrast", "01-polarity", "02-canvas", "03-segment", "04-fill", "05-largest", "06-dilate",
              "07-overlay", "08-clahe", "09-sharpen", "10-input"}) {
            const auto path = folder / ("stages/" + name + "/" + stage + ".png");
            EXPECT_FALSE(cv::imread(path.string(), cv::IMREAD_UNCHANGED).empty()) << path;
        }
    }
    const cv::Mat seen = cv::imread((folder / "stages/hand/00-contrast.png").string(), cv::IMREAD_UNCHANGED);
    EXPECT_EQ(cv::norm(seen, hand(90, 70), cv::NORM_INF), 0.0);
}

TEST(Score, what_cannot_be_written_ends_the_run) {
    const Folder folder;
    const std::string image = save(folder / "a.png", hand(50, 50));
    Ran ran = score({image, "-o", (folder / "missing/scores.csv").string()});
    EXPECT_EQ(ran.code, 3) << ran.err;
    EXPECT_NE(ran.err.find("missing/scores.csv cannot be written"), std::string::npos) << ran.err;
    ran = score({image, "-o", "/dev/full"});
    EXPECT_EQ(ran.code, 3) << ran.err;
    folder.write("taken", "a file");
    ran = score({image, "--stages", (folder / "taken").string()});
    EXPECT_EQ(ran.code, 3) << ran.err;
    EXPECT_NE(ran.err.find("taken"), std::string::npos) << ran.err;
}

TEST(Score, sexes_that_are_none_are_named_with_their_line) {
    const Folder folder;
    const std::string image = save(folder / "7.png", hand(60, 60));
    const auto with_table = [&](const std::string& text) {
        return score({image, "--sex-csv", folder.write("sexes.csv", text).string()});
    };
    Ran ran = with_table("id,sex\n9,F\n7, male \n");
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(only_row(ran)[kSex], "M");
    ran = with_table("sex,age,id\nf,12,7\n");
    EXPECT_EQ(only_row(ran)[kSex], "F");
    ran = with_table("id,sex\n9,M\n7,boy\n");
    EXPECT_EQ(ran.code, 2);
    EXPECT_NE(ran.err.find('3'), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("\"boy\" is neither"), std::string::npos) << ran.err;
    EXPECT_EQ(with_table("id,gender\n7,M\n").code, 2);
    EXPECT_EQ(with_table("id,sex\n7,M\n7,F\n").code, 2);
    EXPECT_EQ(with_table("").code, 2);
    EXPECT_EQ(score({image, "--sex-csv", (folder / "none.csv").string()}).code, 2);
}

TEST(Score, squashed_images_get_the_shape_of_their_originals) {
    const Folder folder;
    const std::string squashed = save(folder / "7.png", hand(60, 60));
    const std::string other = save(folder / "8.png", hand(60, 60));
    const std::string stages = (folder / "stages").string();
    const auto with_table = [&](const std::string& text) {
        return score({squashed, other, "--stages", stages, "--sizes", folder.write("sizes.csv", text).string()});
    };
    const auto canvas = [&](const std::string& id) {
        return cv::imread(stages + "/" + id + "/02-canvas.png", cv::IMREAD_UNCHANGED).size();
    };
    Ran ran = with_table("id,orig_height,orig_width\n7,2000,1500\n9,100,300\n8,,\n");
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(canvas("7").height * 3, canvas("7").width * 4);
    EXPECT_EQ(canvas("8").height, canvas("8").width);
    EXPECT_EQ(rows_of(ran.out).at(0)[kWidth], "60");
    for (const std::string size : {"0,100", "1500,-3", "1500,100001", "1500,x", "1500,", "1e3,50"}) {
        ran = with_table("id,orig_width,orig_height\n8,10,20\n7," + size + "\n");
        EXPECT_EQ(ran.code, 2) << size;
        EXPECT_NE(ran.err.find("sizes.csv, line 3"), std::string::npos) << ran.err;
    }
    EXPECT_EQ(with_table("id,orig_width,orig_height\n7,10,20\n7,10,21\n").code, 2);
    EXPECT_EQ(with_table("id,width,height\n7,10,20\n").code, 2);
    EXPECT_EQ(with_table("").code, 2);
}

TEST(Score, usage_errors_are_two) {
    const Folder folder;
    const std::string image = save(folder / "a.png", hand(50, 50));
    EXPECT_EQ(run_program({"score"}).code, 2);
    EXPECT_EQ(score({image, "--batch", "0"}).code, 2);
    EXPECT_EQ(score({image, "--workers", "many"}).code, 2);
    EXPECT_EQ(score({image, "--precision", "int4"}).code, 2);
    EXPECT_EQ(score({image, "--device", "tpu"}).code, 2);
    const Ran tuned = score({image, "--device", "cpu", "--autotune"});
    EXPECT_EQ(tuned.code, 2);
    EXPECT_NE(tuned.err.find("--autotune measures what is fastest on a GPU"), std::string::npos) << tuned.err;
    EXPECT_EQ(score({image, "--segmenter", (folder / "none.safetensors").string()}).code, 2);
    const Ran swapped = run_program({"score", image, "--weights", BONEAGE_TEST_MODELS "/unet.safetensors"});
    EXPECT_EQ(swapped.code, 2);
    EXPECT_NE(swapped.err.find("holds a unet"), std::string::npos) << swapped.err;
}

TEST(Score, every_precision_gives_nearly_the_same_age_and_says_what_computes_it) {
    const Folder folder;
    const std::string image = save(folder / "a.png", hand(90, 70));
    const auto score = [&](const std::vector<std::string>& more) {
        std::vector<std::string> all{"score",       image,
                                     "--weights",   BONEAGE_TEST_MODELS "/wide_resnet34.safetensors",
                                     "--segmenter", BONEAGE_TEST_MODELS "/unet.safetensors"};
        all.insert(all.end(), more.begin(), more.end());
        return run_program(all);
    };
    const double exact = std::stod(only_row(score({}))[kAge]);
    // The model is untrained: what bfloat16 rounds off, 34 layers multiply; how far depends on the order of sums.
    for (const auto& [precision, said, most] :
         {std::tuple{"tf32", "computing in float32", 0.0}, {"bf16", "oneDNN", 2.0}, {"f16", "f16 emulated", 0.25}}) {
        const Ran ran = score({"--device", "cpu", "--precision", precision});
        EXPECT_EQ(ran.code, 0) << ran.err;
        EXPECT_NEAR(std::stod(only_row(ran)[kAge]), exact, most) << precision;
        EXPECT_NE(ran.err.find(said), std::string::npos) << ran.err;
    }
}

TEST(Score, without_a_segmenter_says_so) {
    const Folder folder;
    const Ran ran = run_program({"score", save(folder / "a.png", hand(50, 50)), "--weights",
                                 BONEAGE_TEST_MODELS "/resnet34.safetensors", "--segmenter", "none"});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_NE(ran.err.find("no segmenter: the whole image counts as hand"), std::string::npos) << ran.err;
}

// Many inputs by naming one file often: the program does not know.
std::vector<std::string> many(const std::string& path, size_t count) {
    return {count, path};
}

size_t lines_in(const std::filesystem::path& path) {
    const std::string text = text_of(path);
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// Waits until the table has some rows.
void wait_for_rows(const std::filesystem::path& path, size_t rows) {
    for (int i = 0; i < 6000 && lines_in(path) < rows + 1; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ASSERT_GE(lines_in(path), rows + 1);
}

TEST(Score, killed_it_leaves_whole_rows) {
    const Folder folder;
    const auto out = folder / "scores.csv";
    auto arguments = many(kRadiographs + "/3766.png", 500);
    arguments.insert(arguments.end(), {"-o", out.string()});
    Program program(score_arguments(arguments));
    wait_for_rows(out, 3);
    program.send(SIGKILL);
    EXPECT_EQ(program.wait().signal, SIGKILL);
    const auto rows = rows_of(text_of(out));
    EXPECT_GE(rows.size(), 3U);
    EXPECT_LT(rows.size(), 500U);
    for (const Row& row : rows) {
        EXPECT_EQ(row[kAge], rows[0][kAge]);
    }
}

TEST(Score, interrupted_it_finishes_the_images_at_hand) {
    const Folder folder;
    const auto out = folder / "scores.csv";
    auto arguments = many(kRadiographs + "/3766.png", 500);
    arguments.insert(arguments.end(), {"-o", out.string(), "--workers", "2"});
    Program program(score_arguments(arguments));
    wait_for_rows(out, 3);
    program.send(SIGINT);
    const Ran ran = program.wait();
    EXPECT_EQ(ran.code, 3);
    const auto rows = rows_of(text_of(out));
    EXPECT_LT(rows.size(), 500U);
    EXPECT_NE(ran.err.find("stopped after " + std::to_string(rows.size()) + " of 500"), std::string::npos) << ran.err;
}

TEST(Score, memory_does_not_grow_with_the_number_of_images) {
    // AddressSanitizer otherwise keeps what is freed for a while.
    ::setenv("ASAN_OPTIONS", "quarantine_size_mb=0", 1);
    const auto peak = [](size_t count) {
        auto arguments = many(kRadiographs + "/2982.png", count);
        arguments.insert(arguments.end(), {"--workers", "2"});
        const Ran ran = score(arguments);
        EXPECT_EQ(ran.code, 0) << ran.err;
        return ran.peak_kib;
    };
    const int64_t few = peak(4);
    const int64_t more = peak(64);
    // One decoded image is 1.5 MB: keeping even every fourth would show.
    EXPECT_LT(more, few + 12 * 1024) << few << " KiB for 4 images, " << more << " KiB for 64";
}

}  // namespace
}  // namespace boneage::testing

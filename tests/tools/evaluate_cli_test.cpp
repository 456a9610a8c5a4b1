#include "tests/support/program.h"
#include "tests/support/refusal.h"

#include <cmath>
#include <cstdlib>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <set>
#include <sstream>

namespace boneage {
namespace {

using nlohmann::json;
using testing::Folder;
using testing::not_refused;
using testing::Ran;
using testing::text_of;

const std::string kLabels = BONEAGE_TEST_DATA "/radiographs/labels.csv";
const std::string kHeader = "source,status,reason,bone_age_months,sex\n";

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// Ages for the sample radiographs whose errors are 1, -2, 3 and so on, without the last one.
std::string sample_scores() {
    std::istringstream lines(text_of(kLabels));
    std::string table = kHeader;
    std::string line;
    std::getline(lines, line);
    for (int i = 1; std::getline(lines, line) && i <= 8; ++i) {
        const size_t comma = line.find(',');
        const double age = std::stod(line.substr(comma + 1)) + (i % 2 == 1 ? i : -i);
        table += "x/" + line.substr(0, comma) + ".png,ok,," + std::to_string(age) + "," + line.back() + "\n";
    }
    return table;
}

struct Files {
    Folder folder;
    std::string scores = folder.write("scores.csv", sample_scores()).string();
    std::string out = (folder / "report").string();

    [[nodiscard]] Ran run(std::vector<std::string> more) const {
        std::vector<std::string> all{"evaluate", "--predictions", scores, "--labels", kLabels, "-o", out};
        all.insert(all.end(), more.begin(), more.end());
        return testing::run_program(all);
    }
    [[nodiscard]] std::string page() const { return text_of(out + "/index.html"); }
    [[nodiscard]] json report() const { return json::parse(text_of(out + "/report.json")); }
};

TEST(Evaluate, writes_the_numbers_the_table_and_the_page) {
    const Files files;
    const Ran ran = files.run({});
    ASSERT_EQ(ran.code, 0) << ran.err;
    const json report = files.report();
    EXPECT_EQ(report["overall"]["n"], 8);
    EXPECT_DOUBLE_EQ(report["overall"]["mae_months"], 4.5);
    EXPECT_DOUBLE_EQ(report["overall"]["bias_months"], -0.5);
    EXPECT_NEAR(report["overall"]["rmse_months"], std::sqrt(204.0 / 8.0), 1e-12);
    EXPECT_DOUBLE_EQ(report["overall"]["within_6_months"], 0.75);
    EXPECT_EQ(report["coverage"]["labels"], 9);
    EXPECT_EQ(report["coverage"]["not_scored"]["no prediction"], 1);
    EXPECT_EQ(report["worst"][0]["error_months"], -8.0);
    EXPECT_EQ(report["worst"].size(), 8U);
    int64_t in_sexes = 0;
    int64_t in_cells = 0;
    for (const json& group : report["groups"]) {
        in_sexes += group["sex"] != "all" && group["band"] == "all" ? group["n"].get<int64_t>() : 0;
        in_cells += group["sex"] != "all" && group["band"] != "all" ? group["n"].get<int64_t>() : 0;
    }
    EXPECT_EQ(in_sexes, 8);
    EXPECT_EQ(in_cells, 8);
    EXPECT_TRUE(text_of(files.out + "/metrics.csv").starts_with("sex,band,n,mae_months,mae_low,mae_high,"));
    EXPECT_TRUE(has(text_of(files.out + "/metrics.csv"), "\nall,all,8,4.5000,"));
    EXPECT_TRUE(has(ran.out, "all      all           8    4.50")) << ran.out;
    EXPECT_TRUE(has(ran.out, "8 of 9 labelled radiographs have an age"));
}

TEST(Evaluate, the_page_stands_alone) {
    const Files files;
    ASSERT_EQ(files.run({}).code, 0);
    const std::string page = files.page();
    EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
    EXPECT_TRUE(has(page, "Research use only."));
    for (const char* outside : {"<script", "<link", "src=\"http", "@import", "url(http", "<?xml"}) {
        EXPECT_FALSE(has(page, outside)) << outside;
    }
    std::set<std::string> ids;
    for (size_t at = page.find(" id="); at != std::string::npos; at = page.find(" id=", at + 1)) {
        const std::string id = page.substr(at + 5, page.find_first_of("'\"", at + 5) - at - 5);
        EXPECT_TRUE(ids.insert(id).second) << id << " stands twice";
    }
    EXPECT_GE(ids.size(), 3U);
    int drawings = 0;
    for (size_t at = page.find("<svg"); at != std::string::npos; at = page.find("<svg", at + 1)) {
        ++drawings;
    }
    EXPECT_EQ(drawings, 3);
    EXPECT_TRUE(has(page, "published, other test set [1]"));
    for (const char* plot : {"Predicted against labelled age", "Bland-Altman", "Error by age"}) {
        EXPECT_TRUE(has(page, plot)) << plot;
    }
}

TEST(Evaluate, the_same_seed_gives_the_same_bytes) {
    const Files first;
    const Files second;
    ASSERT_EQ(first.run({"--seed", "5"}).code, 0);
    const auto evaluate_first_again = [&](const std::string& out, const std::string& seed) {
        return testing::run_program(
            {"evaluate", "--predictions", first.scores, "--labels", kLabels, "-o", out, "--seed", seed});
    };
    ASSERT_EQ(evaluate_first_again(second.out, "5").code, 0);
    for (const char* name : {"/report.json", "/metrics.csv", "/index.html"}) {
        EXPECT_EQ(text_of(first.out + name), text_of(second.out + name)) << name;
    }
    ASSERT_EQ(evaluate_first_again(second.out, "6").code, 0);
    EXPECT_NE(first.report()["overall"]["mae_interval_months"], second.report()["overall"]["mae_interval_months"]);
    EXPECT_EQ(first.report()["overall"]["mae_months"], second.report()["overall"]["mae_months"]);
}

TEST(Evaluate, rejected_failed_and_missing_rows_are_counted_and_never_measured) {
    const Files files;
    const std::string scores = files.folder
                                   .write("some.csv", kHeader +
                                                          "3766.png,ok,,30,M\n4332.png,rejected,low_contrast,,M\n"
                                                          "8579.png,error,truncated,,F\n1.png,ok,,500,F\n")
                                   .string();
    const Ran ran =
        testing::run_program({"evaluate", "--predictions", scores, "--labels", kLabels, "-o", files.out, "--no-plots"});
    ASSERT_EQ(ran.code, 0) << ran.err;
    const json report = files.report();
    EXPECT_EQ(report["overall"]["n"], 1);
    EXPECT_EQ(report["overall"]["mae_months"], 2.0);
    EXPECT_TRUE(report["overall"]["mae_interval_months"].is_null());
    EXPECT_TRUE(report["overall"]["sd_months"].is_null());
    EXPECT_EQ(report["coverage"]["not_scored"]["rejected: low_contrast"], 1);
    EXPECT_EQ(report["coverage"]["not_scored"]["error: truncated"], 1);
    EXPECT_EQ(report["coverage"]["not_scored"]["no prediction"], 6);
    EXPECT_EQ(report["coverage"]["predictions_without_label"], 1);
    EXPECT_FALSE(has(files.page(), "<svg")) << "--no-plots";
    EXPECT_TRUE(has(ran.err, "predictions without a label here, not used: 1")) << ran.err;
}

TEST(Evaluate, plots_of_a_single_radiograph_are_drawn) {
    const Files files;
    const std::string scores = files.folder.write("one.csv", kHeader + "3766.png,ok,,-30.5,M\n").string();
    const Ran ran = testing::run_program({"evaluate", "--predictions", scores, "--labels", kLabels, "-o", files.out});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_TRUE(has(files.page(), "<svg"));
}

TEST(Evaluate, compares_with_other_predictions_in_pairs) {
    const Files files;
    const std::string other =
        files.folder.write("other.csv", "id,bone_age_months\n3766,29\n4332,45\n8579,\nunknown,5\n").string();
    const Ran ran = files.run({"--compare", "an <other> model=" + other, "--no-plots"});
    ASSERT_EQ(ran.code, 0) << ran.err;
    const json comparison = files.report()["comparisons"][0];
    EXPECT_EQ(comparison["name"], "an <other> model");
    EXPECT_EQ(comparison["in_common"], 2);
    EXPECT_DOUBLE_EQ(comparison["this"]["mae_months"], 1.5);
    EXPECT_DOUBLE_EQ(comparison["other"]["mae_months"], 0.5);
    EXPECT_DOUBLE_EQ(comparison["mae_difference_months"], -1.0);
    EXPECT_EQ(comparison["other_closer"], 1);
    EXPECT_TRUE(has(files.page(), "an &lt;other&gt; model"));
    EXPECT_FALSE(has(files.page(), "<other>"));
}

TEST(Evaluate, shows_the_curves_of_the_training) {
    const Files files;
    const std::string log =
        files.folder
            .write("train.jsonl",
                   "{\"epoch\":1,\"train_loss\":20,\"val_mae_months\":15,\"learning_rate\":0.001}\n"
                   "{\"epoch\":2,\"train_loss\":12,\"val_mae_months\":11,\"learning_rate\":0.0001}\n{\"ep")
            .string();
    const Ran ran = files.run({"--log", log});
    ASSERT_EQ(ran.code, 0) << ran.err;
    for (const char* title : {"Training loss", "Validation error", "Learning rate", "the line is cut short"}) {
        EXPECT_TRUE(has(files.page(), title)) << title;
    }
}

TEST(Evaluate, refuses_the_log_of_a_segmenter) {
    const Files files;
    const std::string log =
        files.folder.write("train.jsonl", "{\"epoch\":1,\"train_loss\":0.4,\"val_dice\":0.9}\n").string();
    const Ran ran = files.run({"--log", log});
    EXPECT_EQ(ran.code, 2) << ran.err;
    EXPECT_TRUE(has(ran.err, log + " is the log of a segmenter; give the one that `boneage train` writes")) << ran.err;
}

TEST(Evaluate, shows_the_stages_of_the_worst_cases) {
    const Files files;
    std::filesystem::create_directories(files.folder / "stages/4099");
    ASSERT_TRUE(cv::imwrite((files.folder / "stages/4099/08-clahe.png").string(), cv::Mat(600, 400, CV_8U, 77.0)));
    const Ran ran = files.run({"--stages", (files.folder / "stages").string(), "--worst", "2", "--no-plots"});
    ASSERT_EQ(ran.code, 0) << ran.err;
    const std::string page = files.page();
    const size_t picture = page.find(R"(alt="clahe of 4099" width="88" height="132" src="data:image/png;base64,)");
    EXPECT_NE(picture, std::string::npos) << "the worst one's picture, made small";
    EXPECT_TRUE(has(page, "has no pictures of stages")) << "the second worst has none";
    EXPECT_EQ(files.report()["worst"].size(), 2U);
}

TEST(Evaluate, only_the_split_that_was_asked_for_counts) {
    const Files files;
    const std::string labels =
        files.folder.write("labels.csv", "id,boneage,male,split\n3766,28,True,val\n4332,45,True,train\n").string();
    const auto run = [&](const std::string& split) {
        return testing::run_program({"evaluate", "--predictions", files.scores, "--labels", labels, "-o", files.out,
                                     "--split", split, "--no-plots"});
    };
    ASSERT_EQ(run("val").code, 0);
    EXPECT_EQ(files.report()["overall"]["n"], 1);
    EXPECT_EQ(files.report()["split"], "val");
    const Ran other = run("test");
    EXPECT_EQ(not_refused(other, 2), "");
    EXPECT_TRUE(has(other.err, "its splits are train, val"));
}

TEST(Evaluate, tables_that_cannot_be_used_are_refused_with_file_and_line) {
    const Files files;
    const auto refused = [&](const std::string& scores, const std::string& labels) {
        const std::string s = files.folder.write("s.csv", scores).string();
        const std::string l = files.folder.write("l.csv", labels).string();
        const Ran ran =
            testing::run_program({"evaluate", "--predictions", s, "--labels", l, "-o", files.out, "--no-plots"});
        EXPECT_EQ(not_refused(ran, 2), "");
        EXPECT_FALSE(std::filesystem::exists(files.out)) << "nothing is left behind";
        return ran.err;
    };
    const std::string labels = "id,boneage\n1,100\n";
    const std::string scores = kHeader + "1.png,ok,,90,M\n";
    EXPECT_TRUE(has(refused(scores, "id,boneage\n1,100\n1,101\n"), "l.csv, line 3: id \"1\" has other values"));
    EXPECT_TRUE(has(refused(scores, "id,boneage\n1,NaN\n"), "l.csv has no row with an id and an age"));
    EXPECT_TRUE(has(refused(scores, std::string("\0\1\2\xFF,\n", 5)), "l.csv, line 1: there is no column \"id\""));
    EXPECT_TRUE(has(refused(kHeader + "1.png,ok,,nan,M\n", labels), "s.csv, line 2: the age \"nan\""));
    EXPECT_TRUE(has(refused(kHeader + "2.png,ok,,90,M\n", labels), "s.csv has none of the radiographs in"));
    EXPECT_TRUE(has(refused(kHeader + "1.png,error,truncated,,M\n", labels), "s.csv has no age for any of the"));
}

TEST(Evaluate, options_that_make_no_sense_are_refused) {
    const Files files;
    const auto refused = [&](const std::vector<std::string>& more, int code = 2) {
        const Ran ran = files.run(more);
        EXPECT_EQ(not_refused(ran, code), "") << more.front();
        return ran.err;
    };
    EXPECT_TRUE(has(refused({"--compare", "other.csv"}), "is not NAME=FILE"));
    EXPECT_TRUE(has(refused({"--compare", "a=" + files.scores, "--compare", "a=" + files.scores}), "twice"));
    EXPECT_TRUE(has(refused({"--compare", "a=/none.csv"}), "/none.csv cannot be read"));
    EXPECT_TRUE(has(refused({"--stages", files.scores}), "is no folder"));
    EXPECT_TRUE(has(refused({"--log", files.scores}), "scores.csv, line 1: this is no JSON object"));
    EXPECT_TRUE(has(refused({"--bootstrap", "-1"}), "--bootstrap"));
    files.folder.write("report", "a file");
    EXPECT_TRUE(has(refused({"--no-plots"}, 3), "report cannot be made"));
}

TEST(Evaluate, without_gnuplot_it_says_what_to_do_before_it_starts) {
    const Files files;
    const char* const before = std::getenv("PATH");
    ASSERT_NE(before, nullptr);
    const std::string path = before;
    ::setenv("PATH", files.folder.path().c_str(), 1);
    const Ran refused = files.run({});
    const Ran plain = files.run({"--no-plots"});
    ::setenv("PATH", path.c_str(), 1);
    EXPECT_EQ(not_refused(refused, 2), "");
    EXPECT_TRUE(has(refused.err, "apt-get install gnuplot-nox")) << refused.err;
    EXPECT_TRUE(has(refused.err, "--no-plots"));
    EXPECT_EQ(plain.code, 0) << plain.err;
}

}  // namespace
}  // namespace boneage

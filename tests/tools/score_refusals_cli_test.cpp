// What boneage score refuses before it has written anything, and what it leaves as it was when it fails.
#include "tests/support/refusal.h"
#include "tests/support/score_runs.h"

#include <sys/stat.h>

namespace boneage::testing {
namespace {

namespace fs = std::filesystem;

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(ScoreRefusals, the_table_never_takes_the_place_of_what_is_read) {
    const Folder folder;
    const std::string image = save(folder / "h.png", hand(60, 60));
    const std::string other_name = (folder / "h.csv").string();
    fs::create_hard_link(image, other_name);
    const std::string sexes = folder.write("sexes.csv", "id,sex\nh,F\n").string();
    const std::string sizes = folder.write("sizes.csv", "id,orig_width,orig_height\nh,60,60\n").string();
    const std::string weights = (folder / "weights").string();
    const std::string segmenter = (folder / "segmenter").string();
    fs::copy_file(BONEAGE_TEST_MODELS "/resnet34.safetensors", weights);
    fs::copy_file(BONEAGE_TEST_MODELS "/unet.safetensors", segmenter);
    const std::pair<std::string, std::string> all[]{{"the input", other_name},
                                                    {"--sex-csv", sexes},
                                                    {"--sizes", sizes},
                                                    {"--weights", weights},
                                                    {"--segmenter", segmenter}};
    for (const auto& [role, path] : all) {
        const std::string before = read_text(path);
        const std::string by_link = (folder / "link").string();
        fs::create_symlink(path, by_link);
        for (const std::string& out : {path, by_link}) {
            const Ran ran = run_program({"score", image, "--sex-csv", sexes, "--sizes", sizes, "--weights", weights,
                                         "--segmenter", segmenter, "-o", out});
            EXPECT_EQ(not_refused(ran, 2), "") << role;
            EXPECT_TRUE(has(ran.err, "-o " + out + " is the same file as " + role + " ")) << ran.err;
            EXPECT_EQ(read_text(path), before) << role;
        }
        fs::remove(by_link);
    }
}

TEST(ScoreRefusals, the_table_never_gets_the_name_of_a_picture) {
    const Folder folder;
    const std::string first = save(folder / "a.png", hand(60, 60));
    const std::string second = save(folder / "b.png", hand(60, 60));
    const std::string before = read_text(first);
    const Ran ran = score({"-o", first, second});
    EXPECT_EQ(not_refused(ran, 2), "");
    EXPECT_TRUE(has(ran.err, "the name of a picture")) << ran.err;
    EXPECT_EQ(read_text(first), before);
    EXPECT_EQ(score({first, "-o", (folder / "new.JPG").string()}).code, 2);
}

TEST(ScoreRefusals, a_run_that_fails_before_its_first_row_leaves_the_former_table) {
    const Folder folder;
    const std::string image = save(folder / "a.png", hand(60, 60));
    const std::string table = folder.write("old.csv", "the table of yesterday\n").string();
    const std::string file = folder.write("taken", "a file").string();
    const std::string two_answers = (folder / "two.safetensors").string();
    ASSERT_EQ(run_program({"init", "resnet34", "--base-width", "2", "--outputs", "2", "-o", two_answers}).code, 0);
    for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{
             {"--stages", file}, {"--stages", file + "/below"}, {"--weights", two_answers, "--segmenter", "none"}}) {
        std::vector<std::string> arguments{image, "-o", table};
        arguments.insert(arguments.end(), more.begin(), more.end());
        std::vector<std::string> command{"score"};
        command.insert(command.end(), arguments.begin(), arguments.end());
        const Ran ran = more[0] == "--weights" ? run_program(command) : score(arguments);
        EXPECT_GE(ran.code, 2) << ran.err;
        EXPECT_EQ(read_text(table), "the table of yesterday\n") << more[0] << " " << more[1];
    }
    EXPECT_EQ(score({image, "-o", table}).code, 0);
    EXPECT_EQ(rows_of(read_text(table)).size(), 1U);
}

TEST(ScoreRefusals, modes_that_forbid_writing_end_the_run_and_nothing_is_lost) {
    const Folder folder;
    const std::string image = save(folder / "in/a.png", hand(60, 60));
    const std::string file = folder.write("kept.csv", "kept").string();
    const std::string closed = (folder / "closed").string();
    folder.write("closed/kept.csv", "kept");
    fs::create_directory(closed + "/stages");
    ::chmod(file.c_str(), 0444);
    ::chmod((closed + "/kept.csv").c_str(), 0444);
    ::chmod((closed + "/stages").c_str(), 0555);
    ::chmod(closed.c_str(), 0555);
    const auto refused = [&](const std::vector<std::string>& arguments, const std::string& names) {
        const Ran ran = run_program(arguments, Rights::bound_by_modes);
        EXPECT_EQ(ran.code, 3) << ran.err;
        EXPECT_TRUE(has(ran.err, names)) << ran.err;
        EXPECT_TRUE(has(ran.err, "Permission denied")) << ran.err;
    };
    for (const std::string& out : {file, closed + "/kept.csv", closed + "/new.csv"}) {
        refused(score_arguments({image, "-o", out}), out);
        refused({"init", "unet", "--depth", "1", "--base-width", "2", "-o", out}, out);
    }
    refused(score_arguments({image, "--stages", closed + "/stages"}), closed + "/stages");
    refused(score_arguments({image, "--stages", closed + "/new"}), closed + "/new");
    refused({"apply", "invert", image, closed + "/new.png"}, closed + "/new.png");
    ::chmod(closed.c_str(), 0755);
    ::chmod((closed + "/stages").c_str(), 0755);
    EXPECT_EQ(read_text(file), "kept");
    EXPECT_EQ(read_text(closed + "/kept.csv"), "kept");
    EXPECT_FALSE(fs::exists(closed + "/new.csv"));
}

TEST(ScoreRefusals, stage_pictures_stay_out_of_the_folders_that_are_scored) {
    const Folder folder;
    save(folder / "din/a.png", hand(60, 60));
    const std::string din = (folder / "din").string();
    fs::create_directory_symlink(din, folder / "link");
    for (const std::string& stages : {din, din + "/", din + "/stages", din + "/../din/new/deep", din + "/../link/x"}) {
        const Ran ran = score({din, "--stages", stages});
        EXPECT_EQ(not_refused(ran, 2), "") << stages;
        EXPECT_TRUE(has(ran.err, "lies in the input folder " + din)) << ran.err;
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(din), fs::directory_iterator()), 1);
    EXPECT_EQ(score({din, "--stages", din + "-stages"}).code, 0) << "the same name goes on";
    EXPECT_EQ(score({din + "/a.png", "--stages", din + "/stages"}).code, 0) << "no folder is searched";
}

TEST(ScoreRefusals, a_folder_that_is_missing_is_named) {
    const Folder folder;
    const std::string missing = (folder / "missing").string();
    const std::string image = save(folder / "a.png", hand(60, 60));
    for (const std::vector<std::string>& arguments :
         {score_arguments({image, "-o", missing + "/scores.csv"}),
          std::vector<std::string>{"init", "unet", "--depth", "1", "-o", missing + "/m.safetensors"},
          std::vector<std::string>{"apply", "invert", image, missing + "/out.png"}}) {
        const Ran ran = run_program(arguments);
        EXPECT_EQ(ran.code, 3) << ran.err;
        EXPECT_TRUE(has(ran.err, "the folder " + missing + " does not exist; make it first")) << ran.err;
    }
}

TEST(ScoreRefusals, an_empty_name_is_no_input) {
    const Ran ran = score({""});
    EXPECT_EQ(not_refused(ran, 2), "");
    EXPECT_TRUE(has(ran.err, "an INPUT is empty")) << ran.err;
}

TEST(ScoreCounts, an_empty_folder_is_no_radiograph) {
    const Folder folder;
    fs::create_directory(folder / "empty");
    const Ran none = score({(folder / "empty").string()});
    EXPECT_EQ(none.code, 1);
    EXPECT_TRUE(has(none.err, "\n0 radiographs in ")) << none.err;
    const Ran one = score({save(folder / "a.png", hand(60, 60)), (folder / "empty").string()});
    EXPECT_TRUE(has(one.err, "\n1 radiograph in ")) << one.err;
}

TEST(ScoreCounts, for_how_many_radiographs_a_table_knows_something_is_said) {
    const Folder folder;
    save(folder / "in/1.png", hand(60, 60));
    save(folder / "in/2.png", hand(60, 60));
    const std::string in = (folder / "in").string();
    const std::string sizes = folder.write("sizes.csv", "id,orig_width,orig_height\n1,60,60\n2,60,60\n").string();
    Ran ran = score({in, "--sex-csv", folder.write("sexes.csv", "id,sex\n1.png,F\n2,\n").string()});
    EXPECT_TRUE(has(ran.err, "sex known for 0 of 2 radiographs; the table's ids are file names without")) << ran.err;
    ran = score({in, "--sizes", sizes, "--sex-csv", folder.write("sexes.csv", "id,sex\n1,F\n").string()});
    EXPECT_TRUE(has(ran.err, "sex known for 1 of 2 radiographs;")) << ran.err;
    EXPECT_TRUE(has(ran.err, "original size known for 2 of 2 radiographs\n")) << ran.err;
}

TEST(ScoreBatch, is_never_planned_larger_than_the_inputs) {
    ::setenv("ASAN_OPTIONS", "quarantine_size_mb=0", 1);
    const Folder folder;
    const std::string image = save(folder / "a.png", hand(90, 70));
    const Ran one = score({image, "--batch", "1", "--workers", "1"});
    const Ran many = score({image, "--batch", "1024", "--workers", "1"});
    EXPECT_EQ(only_row(many)[kAge], only_row(one)[kAge]);
    EXPECT_LT(many.peak_kib, one.peak_kib + 8 * 1024);
}

}  // namespace
}  // namespace boneage::testing

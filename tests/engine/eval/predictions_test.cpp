#include "engine/eval/predictions.h"

#include "engine/eval/cases.h"
#include "kernels/base/error.h"
#include "tests/support/folder.h"

#include <gtest/gtest.h>

namespace boneage::eval {
namespace {

using boneage::testing::error_of;
using boneage::testing::Folder;
using pipeline::Sex;
using pipeline::Status;

const std::string kHeader = "source,status,reason,bone_age_months,sex\n";

PredictionTable read(const std::string& text) {
    const Folder folder;
    return read_predictions(folder.write("scores.csv", text));
}

std::string error(const std::string& text) {
    return error_of<UsageError>([&] { read(text); });
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(predictions, an_id_is_the_name_of_the_sources_file) {
    const PredictionTable table = read(kHeader + "a/b.c/1377.png,ok,,100.5,M\n\"odd, name.tar.gz\",ok,,3,unknown\n");
    ASSERT_EQ(table.rows.size(), 2U);
    EXPECT_EQ(table.rows[0].id, "1377");
    EXPECT_EQ(table.rows[0].bone_age_months, 100.5);
    EXPECT_EQ(table.rows[0].sex, Sex::male);
    EXPECT_EQ(table.rows[1].id, "odd, name.tar");
    EXPECT_EQ(table.rows[1].sex, Sex::unknown);
}

TEST(predictions, rows_without_an_age_keep_their_reason) {
    const PredictionTable table = read(kHeader + "1.png,rejected,low_contrast,,M\n2.png,error,truncated,55,F\n");
    EXPECT_EQ(table.rows[0].status, Status::rejected);
    EXPECT_EQ(table.rows[0].reason, "low_contrast");
    EXPECT_FALSE(table.rows[0].bone_age_months);
    EXPECT_FALSE(table.rows[1].bone_age_months) << "an age beside an error is none";
}

TEST(predictions, of_other_programs_need_only_an_id_and_an_age) {
    const PredictionTable table = read("id,bone_age_months\n1377,-3.25\n1378,\n");
    EXPECT_EQ(table.rows[0].bone_age_months, -3.25);
    EXPECT_FALSE(table.rows[0].sex);
    EXPECT_EQ(table.rows[1].status, Status::error);
    EXPECT_EQ(table.rows[1].reason, "no_age");
}

TEST(predictions, repeated_rows_are_told_and_contradicting_ones_are_errors) {
    const PredictionTable table = read(kHeader + "1.png,ok,,100,M\n1.png,ok,,100,M\n");
    EXPECT_EQ(table.rows.size(), 1U);
    ASSERT_EQ(table.exclusions.size(), 1U);
    EXPECT_TRUE(has(table.exclusions[0], "scores.csv, line 3: id \"1\" was already on line 2"));
    EXPECT_TRUE(has(error(kHeader + "a/1.png,ok,,100,M\nb/1.png,ok,,101,M\n"),
                    "line 3: id \"1\" has another age or status than on line 2"));
    EXPECT_TRUE(has(error(kHeader + "a/1.png,ok,,100,M\nb/1.png,rejected,no_hand,,M\n"), "line 3: id \"1\""));
}

TEST(predictions, what_cannot_be_understood_is_an_error_that_names_the_line) {
    for (const char* age : {"", "nan", "inf", "1e999", "12 months", "0x10"}) {
        EXPECT_TRUE(has(error(kHeader + "1.png,ok,," + age + ",M\n"), "line 2: the age ")) << age;
    }
    EXPECT_TRUE(has(error(kHeader + "1.png,fine,,5,M\n"), "line 2: status \"fine\""));
    EXPECT_TRUE(has(error(kHeader + "1.png,ok,,5,X\n"), "line 2: sex \"X\""));
    EXPECT_TRUE(has(error(kHeader + ",ok,,5,M\n"), "line 2: the row does not say"));
    EXPECT_TRUE(has(error(kHeader), "has no predictions below its header"));
    EXPECT_TRUE(has(error(""), "the table is empty"));
    EXPECT_TRUE(has(error("source,age\n1.png,5\n"), "no column \"bone_age_months\""));
}

TEST(cases, every_row_of_both_tables_is_counted) {
    LabelTable labels;
    labels.rows = {{"a", 100.0, Sex::male, "", 0, 0},   {"b", 50.0, Sex::female, "", 0, 0},
                   {"c", 60.0, Sex::female, "", 0, 0},  {"d", 70.0, Sex::male, "", 0, 0},
                   {"e", 80.0, Sex::unknown, "", 0, 0}, {"f", 90.0, Sex::male, "", 0, 0}};
    labels.exclusions = {"one"};
    const PredictionTable predictions = read(kHeader +
                                             "x/f.png,ok,,91,unknown\nx/e.png,ok,,81,M\nx/d.png,error,truncated,,M\n"
                                             "x/b.png,rejected,low_contrast,,F\nx/a.png,ok,,90,F\nx/z.png,ok,,1,M\n");
    const Cases cases = match(labels, predictions);
    ASSERT_EQ(cases.rows.size(), 3U);
    EXPECT_EQ(cases.rows[0].id, "a") << "in the labels' order";
    EXPECT_EQ(cases.rows[0].error_months(), -10.0);
    EXPECT_EQ(cases.rows[0].source, "x/a.png");
    EXPECT_EQ(cases.rows[0].sex, Sex::male) << "as labelled, not as told to the model";
    const Coverage& coverage = cases.coverage;
    EXPECT_EQ(coverage.labels, 6);
    EXPECT_EQ(coverage.scored, 3);
    const std::map<std::string, int64_t> fates{
        {"error: truncated", 1}, {"no prediction", 1}, {"rejected: low_contrast", 1}};
    EXPECT_EQ(coverage.not_scored, fates);
    EXPECT_EQ(coverage.label_exclusions, 1);
    EXPECT_EQ(coverage.predictions, 6);
    EXPECT_EQ(coverage.without_label, 1);
    EXPECT_EQ(coverage.told_other_sex, 1) << "a, and not e whose sex nobody knows";
    EXPECT_EQ(coverage.told_no_sex, 1);
}

}  // namespace
}  // namespace boneage::eval

#include "engine/eval/labels.h"

#include "kernels/base/error.h"
#include "tests/support/folder.h"

#include <gtest/gtest.h>

namespace boneage::eval {
namespace {

using boneage::testing::error_of;
using boneage::testing::Folder;
using pipeline::Sex;

LabelTable read(const std::string& text, const std::optional<std::string>& split = std::nullopt) {
    const Folder folder;
    return read_labels(folder.write("labels.csv", text), split);
}

std::string error(const std::string& text, const std::optional<std::string>& split = std::nullopt) {
    return error_of<UsageError>([&] { read(text, split); });
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(labels, of_this_projects_data_are_read) {
    const LabelTable table = read("id,boneage_months,sex,split,orig_width,orig_height\n1377,180,F,train,1514,2044\n");
    ASSERT_EQ(table.rows.size(), 1U);
    const Label& label = table.rows[0];
    EXPECT_EQ(label.id, "1377");
    EXPECT_EQ(label.age_months, 180.0);
    EXPECT_EQ(label.sex, Sex::female);
    EXPECT_EQ(label.split, "train");
    EXPECT_EQ(label.original_width, 1514);
    EXPECT_EQ(label.original_height, 2044);
    EXPECT_TRUE(table.exclusions.empty());
}

TEST(labels, of_the_challenge_are_read) {
    const LabelTable table = read("\xef\xbb\xbfid,boneage,male\r\n1,120,True\r\n2,60.5,False\r\n3,7,\r\n");
    ASSERT_EQ(table.rows.size(), 3U);
    EXPECT_EQ(table.rows[0].sex, Sex::male);
    EXPECT_EQ(table.rows[1].sex, Sex::female);
    EXPECT_EQ(table.rows[1].age_months, 60.5);
    EXPECT_EQ(table.rows[2].sex, Sex::unknown);
    EXPECT_EQ(table.rows[2].split, "");
    EXPECT_EQ(table.rows[2].original_width, 0);
}

TEST(labels, sex_may_be_missing) {
    EXPECT_EQ(read("id,bone_age_months\n1,120\n").rows[0].sex, Sex::unknown);
}

TEST(labels, the_edges_of_the_range_belong_to_it) {
    EXPECT_EQ(read("id,boneage\n1,0\n2,240\n").rows.size(), 2U);
    EXPECT_EQ(read("id,boneage\n1,-0.01\n2,240\n3,240.01\n").exclusions.size(), 2U);
}

TEST(labels, rows_that_cannot_be_used_are_told_one_by_one) {
    const LabelTable table = read(
        "id,boneage_months,sex\n1,100,M\n2,,M\n3,NaN,F\n4,-1,F\n5,400,F\n6,inf,F\n7,1e999,F\n,100,F\n1,100,M\n8,NA,"
        "M\n");
    ASSERT_EQ(table.rows.size(), 1U);
    ASSERT_EQ(table.exclusions.size(), 9U);
    const std::vector<std::string> wanted{"line 3: id \"2\" has no age",
                                          "line 4: id \"3\" has no age",
                                          "line 5: id \"4\" has an age of -1 months, outside of 0 to 240",
                                          "line 6: id \"5\" has an age of 400 months",
                                          "line 7: id \"6\" has an age of inf months",
                                          "line 8: id \"7\" has an age of inf months",
                                          "line 9: the row has no id",
                                          "line 10: id \"1\" was already on line 2",
                                          "line 11: id \"8\" has no age"};
    for (size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_TRUE(has(table.exclusions[i], wanted[i])) << table.exclusions[i];
        EXPECT_TRUE(has(table.exclusions[i], "labels.csv, ")) << table.exclusions[i];
    }
}

TEST(labels, an_id_with_two_ages_is_an_error_that_names_both_lines) {
    EXPECT_TRUE(has(error("id,boneage,male\n1,100,True\n2,5,True\n1,101,True\n"),
                    "line 4: id \"1\" has other values than on line 2"));
    EXPECT_TRUE(has(error("id,boneage,male\n1,100,True\n1,100,False\n"), "line 3: id \"1\" has other values"));
    EXPECT_TRUE(has(error("id,boneage,male\n1,,True\n1,100,True\n"), "line 3: id \"1\" has other values"));
}

TEST(labels, an_id_in_two_splits_is_an_error_even_where_one_split_is_asked_for) {
    const std::string table = "id,boneage,split\n1,100,train\n2,50,val\n1,100,val\n";
    EXPECT_TRUE(has(error(table, "val"), "line 4: id \"1\" has other values than on line 2"));
}

TEST(labels, a_split_gives_only_its_rows_and_its_exclusions) {
    const std::string text = "id,boneage,split\n1,100,train\n2,999,train\n3,50,val\n4,,val\n";
    const LabelTable table = read(text, "val");
    ASSERT_EQ(table.rows.size(), 1U);
    EXPECT_EQ(table.rows[0].id, "3");
    ASSERT_EQ(table.exclusions.size(), 1U);
    EXPECT_TRUE(has(table.exclusions[0], "id \"4\""));
    EXPECT_TRUE(has(error(text, "test"), "has no rows of split \"test\"; its splits are train, val"));
    EXPECT_TRUE(has(error("id,boneage\n1,100\n", "val"), "there is no column \"split\""));
}

TEST(labels, what_cannot_be_understood_is_an_error_that_names_the_line) {
    EXPECT_TRUE(has(error("id,boneage\n1,100\n2,ten\n"), "line 3: the age \"ten\" is not a number of months"));
    EXPECT_TRUE(has(error("id,boneage\n1,100 months\n"), "line 2: the age"));
    EXPECT_TRUE(has(error("id,boneage,sex\n1,100,X\n"), "line 2: sex \"X\" is neither"));
    EXPECT_TRUE(has(error("id,boneage,male\n1,100,yes\n"), "line 2: male \"yes\" is neither True nor False"));
    EXPECT_TRUE(has(error("id,boneage,orig_width\n1,100,-4\n"), "line 2: the original size \"-4\""));
    EXPECT_TRUE(has(error("id,boneage,orig_width\n1,100,9e9\n"), "line 2: the original size \"9e9\""));
    EXPECT_TRUE(has(error("id,age\n1,100\n"), "there is no column \"boneage_months\" among id, age"));
    EXPECT_TRUE(has(error("name,boneage\n1,100\n"), "there is no column \"id\""));
}

TEST(labels, a_table_without_a_row_to_use_is_an_error) {
    EXPECT_TRUE(has(error(""), "the table is empty"));
    EXPECT_TRUE(has(error("id,boneage\n"), "has no row with an id and an age"));
    EXPECT_TRUE(has(error("id,boneage\n1,\n"), "the first one left out: "));
}

}  // namespace
}  // namespace boneage::eval

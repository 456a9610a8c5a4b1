#include "engine/io/csv.h"

#include "kernels/base/error.h"
#include "tests/support/folder.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace boneage::io {
namespace {

using boneage::testing::error_of;
using boneage::testing::Folder;
using Rows = std::vector<std::vector<std::string>>;

Rows read_all(const std::string& text) {
    CsvReader reader(text, "table.csv");
    Rows rows;
    while (reader.next()) {
        rows.emplace_back(reader.fields().begin(), reader.fields().end());
    }
    return rows;
}

TEST(csv, reads_rows_whatever_ends_them) {
    const Rows want{{"id", "sex"}, {"1377", "F"}, {"1378", ""}};
    EXPECT_EQ(read_all("id,sex\n1377,F\n1378,\n"), want);
    EXPECT_EQ(read_all("id,sex\r\n1377,F\r\n1378,\r\n"), want);
    EXPECT_EQ(read_all("id,sex\n1377,F\n1378,"), want);
    EXPECT_EQ(read_all("\xef\xbb\xbfid,sex\n\n1377,F\r\n\r\n1378,\n\n"), want);
    EXPECT_EQ(read_all(""), Rows{});
    EXPECT_EQ(read_all("\xef\xbb\xbf"), Rows{});
}

TEST(csv, reads_quoted_fields) {
    const Rows want{{"a,b", "say \"hello\"", "two\nlines", "", "plain"}};
    EXPECT_EQ(read_all("\"a,b\",\"say \"\"hello\"\"\",\"two\nlines\",\"\",plain\n"), want);
    EXPECT_EQ(read_all("\"a,b\",\"say \"\"hello\"\"\",\"two\nlines\",\"\",plain"), want);
}

TEST(csv, errors_name_file_and_line) {
    const auto error = [](const std::string& text) { return error_of<UsageError>([&] { read_all(text); }); };
    EXPECT_EQ(error("a,b\n1,2\n3\n"), "table.csv, line 3: it has 1 fields where the first row has 2");
    EXPECT_EQ(error("a,b\n\"1\n2\",2\n\n3,4,5\n"), "table.csv, line 5: it has 3 fields where the first row has 2");
    EXPECT_EQ(error("a\n\"1\n2\n"), "table.csv, line 2: a quote is opened and never closed");
    EXPECT_NE(error("a\n\"1\"2\n").find("line 2: something follows a closing quote"), std::string::npos);
    EXPECT_NE(error("a\n1\"2\"\n").find("line 2: a quote stands within a field"), std::string::npos);
    EXPECT_NE(error("a\rb\n").find("line 1: a carriage return stands alone"), std::string::npos);
}

TEST(csv, finds_columns_by_name) {
    CsvReader reader("ID, Sex \n1377,F\n", "sex.csv");
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.require("sex"), 1U);
    EXPECT_EQ(reader.find("age"), std::nullopt);
    EXPECT_EQ(error_of<UsageError>([&] { reader.require("age"); }),
              "sex.csv, line 1: there is no column \"age\" among ID, Sex");
}

TEST(csv, a_missing_file_or_a_folder_is_a_sentence) {
    const Folder folder;
    const std::string missing = folder / "none.csv";
    EXPECT_EQ(error_of<UsageError>([&] { CsvReader reader{std::filesystem::path(missing)}; }),
              missing + " cannot be read: No such file or directory");
    EXPECT_EQ(error_of<UsageError>([&] { CsvReader reader{folder.path()}; }),
              folder.path().string() + " cannot be read: Is a directory");
}

TEST(csv, what_is_written_reads_back) {
    const Folder folder;
    const std::filesystem::path path = folder / "scores.csv";
    const Rows rows{{"source", "reason"}, {"a,b.png", "\"quoted\""}, {"two\r\nlines", ""}, {"", " blanks "}};
    CsvWriter writer(path);
    for (const auto& row : rows) {
        writer.row({row[0], row[1]});
    }
    writer.flush();
    CsvReader flushed(path);
    EXPECT_TRUE(flushed.next());
    writer.close();
    CsvReader reader(path);
    Rows got;
    while (reader.next()) {
        got.emplace_back(reader.fields().begin(), reader.fields().end());
    }
    EXPECT_EQ(got, rows);
}

TEST(csv, a_row_of_one_empty_field_survives) {
    const Folder folder;
    const std::filesystem::path path = folder / "one.csv";
    CsvWriter writer(path);
    writer.row({"note"});
    writer.row({""});
    writer.close();
    CsvReader reader(path);
    EXPECT_TRUE(reader.next());
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.fields()[0], "");
}

TEST(csv, the_former_table_stays_until_the_first_row) {
    const Folder folder;
    const std::filesystem::path path = folder.write("scores.csv", "of yesterday\n");
    CsvWriter(path).close();
    EXPECT_EQ(testing::read_text(path), "of yesterday\n");
    CsvWriter writer(path);
    writer.row({"new"});
    writer.flush();
    EXPECT_EQ(testing::read_text(path), "new\n");
}

TEST(csv, a_full_disk_is_an_error) {
    EXPECT_EQ(error_of<Error>([] {
                  CsvWriter writer("/dev/full");
                  writer.row({"lost"});
                  writer.flush();
              }),
              "/dev/full cannot be written: No space left on device");
    EXPECT_EQ(error_of<Error>([] {
                  CsvWriter writer("/dev/full");
                  writer.row({"lost"});
                  writer.close();
              }),
              "/dev/full cannot be written: No space left on device");
}

}  // namespace
}  // namespace boneage::io

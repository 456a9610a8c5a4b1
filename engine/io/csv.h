// Tables as comma-separated values (RFC 4180).
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace boneage::io {

// Reads a table row by row. Rows end in LF, CRLF or the file; fields in double quotes may hold commas, quotes (doubled)
// and line breaks; a byte order mark and wholly empty lines are skipped. Every row must have as many fields as
// the first. Throws UsageError whose sentence names the file and the line.
class CsvReader {
public:
    // Reads the whole file into memory; rows are taken from there without further allocation.
    explicit CsvReader(const std::filesystem::path& path);
    // `name` is what errors call the text.
    CsvReader(std::string text, std::string name);
    CsvReader(const CsvReader&) = delete;
    CsvReader& operator=(const CsvReader&) = delete;

    // Moves to the next row; false after the last.
    bool next();
    // The current row, valid until the next call of next().
    [[nodiscard]] std::span<const std::string_view> fields() const { return fields_; }
    // The line, from 1, on which the current row begins.
    [[nodiscard]] int64_t line() const { return row_line_; }

    // Where `column` stands in the current row, which is to be the header; letters' case and blanks around them do not
    // matter.
    [[nodiscard]] std::optional<size_t> find(std::string_view column) const;
    // The same; throws UsageError that lists the columns there are.
    size_t require(std::string_view column) const;
    // Throws UsageError about the current row: file and line, then `what`.
    [[noreturn]] void fail(const std::string& what) const;

private:
    std::string_view plain_field();
    std::string_view quoted_field();

    std::string text_;
    std::string name_;
    size_t position_ = 0;
    int64_t line_ = 1;
    int64_t row_line_ = 0;
    std::vector<std::string_view> fields_;
    size_t columns_ = 0;
};

// Writes a table row by row, rows ending in LF, fields quoted where they must be. Throws Error naming the file and the
// reason.
class CsvWriter {
public:
    // Replaces what was there, with the first row: a run that fails before it leaves the former table.
    explicit CsvWriter(std::filesystem::path path);
    // Writes to a stream that somebody else closes, after this writer is gone; `name` is what errors call it.
    CsvWriter(std::FILE* stream, std::string name);

    void row(std::span<const std::string_view> fields);
    void row(std::initializer_list<std::string_view> fields) { row(std::span(fields.begin(), fields.size())); }
    // Hands all rows so far to the system: they survive the end of this program, however it ends.
    void flush();
    // Flushes and closes, and reports what the destructor would have to keep to itself. Nothing may follow.
    void close();

private:
    struct Close {
        bool owned;
        void operator()(std::FILE* file) const {
            if (owned) {
                std::fclose(file);
            }
        }
    };
    void drop_former();
    [[noreturn]] void fail() const;

    std::filesystem::path path_;
    std::unique_ptr<std::FILE, Close> file_;
    bool holds_former_ = false;  // whether the file may still hold what was there
    std::string line_;
};

}  // namespace boneage::io

#include "engine/io/csv.h"

#include "engine/io/file.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace boneage::io {
namespace {

// A pipe is as good as a file here.
std::string read_text(const std::filesystem::path& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
    std::string text;
    size_t size = 0;
    while (file) {
        text.resize(std::max<size_t>(2 * size, size_t{1} << 16));
        const size_t got = std::fread(text.data() + size, 1, text.size() - size, file.get());
        size += got;
        if (got == 0) {
            break;
        }
    }
    if (!file || std::ferror(file.get()) != 0) {
        throw UsageError(path.string() + " cannot be read: " + std::strerror(errno));
    }
    text.resize(size);
    return text;
}

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

bool same_letters(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

CsvReader::CsvReader(const std::filesystem::path& path) : CsvReader(read_text(path), path.string()) {}

CsvReader::CsvReader(std::string text, std::string name) : text_(std::move(text)), name_(std::move(name)) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text_.starts_with(kByteOrderMark)) {
        position_ = kByteOrderMark.size();
    }
}

bool CsvReader::next() {
    fields_.clear();
    while (position_ < text_.size() && (text_[position_] == '\n' || text_[position_] == '\r')) {
        line_ += text_[position_++] == '\n' ? 1 : 0;
    }
    if (position_ >= text_.size()) {
        return false;
    }
    row_line_ = line_;
    while (true) {
        fields_.push_back(position_ < text_.size() && text_[position_] == '"' ? quoted_field() : plain_field());
        if (position_ >= text_.size()) {
            break;
        }
        const char separator = text_[position_++];
        if (separator == ',') {
            continue;
        }
        if (separator == '\r' && (position_ >= text_.size() || text_[position_] != '\n')) {
            fail("a carriage return stands alone; end the lines with LF or CRLF");
        }
        position_ += separator == '\r' ? 1 : 0;
        ++line_;
        break;
    }
    if (columns_ == 0) {
        columns_ = fields_.size();
    } else if (fields_.size() != columns_) {
        fail("it has " + std::to_string(fields_.size()) + " fields where the first row has " +
             std::to_string(columns_));
    }
    return true;
}

std::string_view CsvReader::plain_field() {
    const size_t begin = position_;
    position_ = std::min(text_.find_first_of(",\r\n\"", begin), text_.size());
    if (position_ < text_.size() && text_[position_] == '"') {
        fail("a quote stands within a field; put the whole field in quotes and double those inside");
    }
    return std::string_view(text_).substr(begin, position_ - begin);
}

// Doubled quotes are made single in place, so that the field is one piece of the text.
std::string_view CsvReader::quoted_field() {
    const size_t begin = ++position_;
    size_t end = begin;
    while (true) {
        const size_t quote = text_.find('"', position_);
        if (quote == std::string::npos) {
            fail("a quote is opened and never closed");
        }
        line_ += std::count(text_.begin() + static_cast<std::ptrdiff_t>(position_),
                            text_.begin() + static_cast<std::ptrdiff_t>(quote), '\n');
        std::memmove(text_.data() + end, text_.data() + position_, quote - position_);
        end += quote - position_;
        position_ = quote + 1;
        if (position_ >= text_.size() || text_[position_] != '"') {
            break;
        }
        text_[end++] = '"';
        ++position_;
    }
    if (position_ < text_.size() && std::string_view(",\r\n").find(text_[position_]) == std::string_view::npos) {
        fail("something follows a closing quote; double the quotes inside a field");
    }
    return std::string_view(text_).substr(begin, end - begin);
}

std::optional<size_t> CsvReader::find(std::string_view column) const {
    for (size_t i = 0; i < fields_.size(); ++i) {
        if (same_letters(trimmed(fields_[i]), column)) {
            return i;
        }
    }
    return std::nullopt;
}

size_t CsvReader::require(std::string_view column) const {
    if (const auto found = find(column)) {
        return *found;
    }
    std::string there;
    for (const std::string_view field : fields_) {
        there += (there.empty() ? "" : ", ") + std::string(trimmed(field));
    }
    fail("there is no column \"" + std::string(column) + "\" among " + (there.empty() ? "no columns" : there));
}

void CsvReader::fail(const std::string& what) const {
    throw UsageError(name_ + ", line " + std::to_string(std::max<int64_t>(row_line_, 1)) + ": " + what);
}

CsvWriter::CsvWriter(std::filesystem::path path)
    : path_(std::move(path)), file_(std::fopen(path_.c_str(), "abe"), Close{true}), holds_former_(true) {
    if (!file_) {
        fail();
    }
}

CsvWriter::CsvWriter(std::FILE* stream, std::string name) : path_(std::move(name)), file_(stream, Close{false}) {}

void CsvWriter::drop_former() {
    holds_former_ = false;
    struct stat status {};
    const int file = ::fileno(file_.get());
    if (::fstat(file, &status) != 0 || (S_ISREG(status.st_mode) && ::ftruncate(file, 0) != 0)) {
        fail();
    }
}

void CsvWriter::row(std::span<const std::string_view> fields) {
    if (holds_former_) {
        drop_former();
    }
    line_.clear();
    for (size_t i = 0; i < fields.size(); ++i) {
        if (i > 0) {
            line_ += ',';
        }
        const std::string_view field = fields[i];
        // A row of one empty field would read as an empty line.
        if (field.find_first_of(",\r\n\"") == std::string_view::npos && !(field.empty() && fields.size() == 1)) {
            line_ += field;
            continue;
        }
        line_ += '"';
        for (const char c : field) {
            line_.append(c == '"' ? 2 : 1, c);
        }
        line_ += '"';
    }
    line_ += '\n';
    if (std::fwrite(line_.data(), 1, line_.size(), file_.get()) != line_.size()) {
        fail();
    }
}

void CsvWriter::flush() {
    if (std::fflush(file_.get()) != 0) {
        fail();
    }
}

void CsvWriter::close() {
    const bool owned = file_.get_deleter().owned;
    std::FILE* file = file_.release();
    if ((owned ? std::fclose(file) : std::fflush(file)) != 0) {
        fail();
    }
}

void CsvWriter::fail() const {
    throw Error(path_.string() + " cannot be written: " + why_not_written(path_, errno));
}

}  // namespace boneage::io

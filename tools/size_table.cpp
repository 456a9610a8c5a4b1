#include "tools/size_table.h"

#include "engine/io/csv.h"

#include <charconv>
#include <string_view>

namespace boneage::tools {
namespace {

constexpr int64_t kLargest = 100'000;

int64_t pixels_of(const io::CsvReader& reader, std::string_view text) {
    int64_t pixels = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), pixels);
    if (problem != std::errc() || end != text.data() + text.size() || pixels < 1 || pixels > kLargest) {
        reader.fail("size \"" + std::string(text) + "\" is no number of pixels from 1 to 100000");
    }
    return pixels;
}

}  // namespace

SizeTable read_size_table(const std::filesystem::path& path) {
    io::CsvReader reader(path);
    SizeTable table;
    if (!reader.next()) {
        reader.fail("the table is empty; its first line must name the columns id, orig_width and orig_height");
    }
    const size_t id_column = reader.require("id");
    const size_t width_column = reader.require("orig_width");
    const size_t height_column = reader.require("orig_height");
    while (reader.next()) {
        const std::string_view width = reader.fields()[width_column];
        const std::string_view height = reader.fields()[height_column];
        if (width.empty() && height.empty()) {
            continue;
        }
        const std::string id(reader.fields()[id_column]);
        const ImageSize size{pixels_of(reader, height), pixels_of(reader, width)};
        const auto [entry, added] = table.emplace(id, size);
        if (!added && entry->second != size) {
            reader.fail("id \"" + id + "\" has another size than on an earlier line");
        }
    }
    return table;
}

}  // namespace boneage::tools

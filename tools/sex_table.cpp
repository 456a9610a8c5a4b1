#include "tools/sex_table.h"

#include "engine/io/csv.h"

#include <algorithm>
#include <cctype>
#include <optional>

namespace boneage::tools {
namespace {

std::string lower_trimmed(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && blank(text.back())) {
        text.remove_suffix(1);
    }
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
}

std::optional<pipeline::Sex> sex_of(const std::string& text) {
    if (text == "m" || text == "male") {
        return pipeline::Sex::male;
    }
    if (text == "f" || text == "female") {
        return pipeline::Sex::female;
    }
    if (text.empty() || text == "unknown") {
        return pipeline::Sex::unknown;
    }
    return std::nullopt;
}

}  // namespace

SexTable read_sex_table(const std::filesystem::path& path) {
    io::CsvReader reader(path);
    SexTable table;
    if (!reader.next()) {
        reader.fail("the table is empty; its first line must name the columns id and sex");
    }
    const size_t id_column = reader.require("id");
    const size_t sex_column = reader.require("sex");
    while (reader.next()) {
        const std::string id(reader.fields()[id_column]);
        const std::string_view text = reader.fields()[sex_column];
        const auto sex = sex_of(lower_trimmed(text));
        if (!sex) {
            reader.fail("sex \"" + std::string(text) + "\" is neither M, F, male, female nor unknown");
        }
        const auto [entry, added] = table.emplace(id, *sex);
        if (!added && entry->second != *sex) {
            reader.fail("id \"" + id + "\" has another sex than on an earlier line");
        }
    }
    return table;
}

}  // namespace boneage::tools

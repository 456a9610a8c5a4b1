#include "tools/sex_table.h"

#include "engine/io/csv.h"
#include "engine/pipeline/sex.h"

namespace boneage::tools {

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
        const auto sex = pipeline::sex_from_text(text);
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

// Tables of radiographs that a user has, one row an id: a file's name without folder and extension.
#pragma once

#include "engine/io/csv.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace boneage::tools {

// What the columns `names` of a CSV table say of every id in its column `id`; others are ignored. value_of(reader,
// fields of those columns) gives a T, or nothing where the row has none. Throws UsageError naming file and line where a
// column is missing or an id comes back with another value, `what` the values are called.
template <class T, class ValueOf>
std::unordered_map<std::string, T> read_id_table(const std::filesystem::path& path,
                                                 const std::vector<std::string>& names, const std::string& what,
                                                 const ValueOf& value_of) {
    io::CsvReader reader(path);
    if (!reader.next()) {
        std::string columns = "id";
        for (size_t i = 0; i < names.size(); ++i) {
            columns += i + 1 == names.size() ? " and " : ", ";
            columns += names[i];
        }
        reader.fail("the table is empty; its first line must name the columns " + columns);
    }
    const size_t id_column = reader.require("id");
    std::vector<size_t> columns;
    for (const std::string& name : names) {
        columns.push_back(reader.require(name));
    }
    std::unordered_map<std::string, T> table;
    std::vector<std::string_view> fields(columns.size());
    while (reader.next()) {
        for (size_t i = 0; i < columns.size(); ++i) {
            fields[i] = reader.fields()[columns[i]];
        }
        const std::optional<T> value = value_of(reader, fields);
        if (!value) {
            continue;
        }
        const std::string id(reader.fields()[id_column]);
        const auto [entry, added] = table.emplace(id, *value);
        if (!added && entry->second != *value) {
            reader.fail("id \"" + id + "\" has another " + what + " than on an earlier line");
        }
    }
    return table;
}

}  // namespace boneage::tools

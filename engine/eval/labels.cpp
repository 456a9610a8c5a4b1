#include "engine/eval/labels.h"

#include "engine/io/csv.h"
#include "engine/pipeline/sex.h"
#include "kernels/base/error.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <string_view>
#include <unordered_map>

namespace boneage::eval {
namespace {

// Larger sides are a mistake in the table; this is far beyond any radiograph.
constexpr int64_t kMaxSide = 1'000'000;

struct Columns {
    size_t id = 0;
    size_t age = 0;
    std::optional<size_t> sex, male, split, width, height;
};

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

std::optional<size_t> find_any(const io::CsvReader& reader, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
        if (const auto found = reader.find(name)) {
            return found;
        }
    }
    return std::nullopt;
}

Columns find_columns(const io::CsvReader& reader, bool split_is_asked_for) {
    Columns columns;
    columns.id = reader.require("id");
    const auto age = find_any(reader, {"boneage_months", "bone_age_months", "boneage"});
    columns.age = age ? *age : reader.require("boneage_months");
    columns.sex = reader.find("sex");
    columns.male = reader.find("male");
    columns.split = split_is_asked_for ? reader.require("split") : reader.find("split");
    columns.width = find_any(reader, {"orig_width", "original_width"});
    columns.height = find_any(reader, {"orig_height", "original_height"});
    return columns;
}

// NaN where there is no age; infinity, of the right sign, where the number is too large for a double.
double age_of(const io::CsvReader& reader, std::string_view text) {
    for (const std::string_view missing : {"", "NA", "N/A", "n/a", "na", "null", "None"}) {
        if (text == missing) {
            return std::numeric_limits<double>::quiet_NaN();
        }
    }
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end != text.data() + text.size() || error == std::errc::invalid_argument) {
        reader.fail("the age \"" + std::string(text) + "\" is not a number of months");
    }
    return error == std::errc::result_out_of_range ? std::numeric_limits<double>::infinity() : value;
}

pipeline::Sex sex_of(const io::CsvReader& reader, const Columns& columns) {
    if (columns.sex) {
        const std::string_view text = reader.fields()[*columns.sex];
        const auto sex = pipeline::sex_from_text(text);
        if (!sex) {
            reader.fail("sex \"" + std::string(text) + "\" is neither M, F, male, female nor unknown");
        }
        return *sex;
    }
    if (!columns.male) {
        return pipeline::Sex::unknown;
    }
    const std::string_view text = trimmed(reader.fields()[*columns.male]);
    if (text.empty()) {
        return pipeline::Sex::unknown;
    }
    for (const std::string_view yes : {"True", "TRUE", "true", "1"}) {
        if (text == yes) {
            return pipeline::Sex::male;
        }
    }
    for (const std::string_view no : {"False", "FALSE", "false", "0"}) {
        if (text == no) {
            return pipeline::Sex::female;
        }
    }
    reader.fail("male \"" + std::string(text) + "\" is neither True nor False");
}

int64_t side_of(const io::CsvReader& reader, const std::optional<size_t>& column) {
    const std::string_view text = column ? trimmed(reader.fields()[*column]) : "";
    if (text.empty()) {
        return 0;
    }
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > kMaxSide) {
        reader.fail("the original size \"" + std::string(text) + "\" is not a number of pixels");
    }
    return value;
}

std::string number(double value) {
    std::array<char, 32> text{};
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
    return {text.data(), error == std::errc() ? end : text.data()};
}

// Why a row cannot be used; empty when it can.
std::string flaw_of(const Label& label) {
    if (label.id.empty()) {
        return "the row has no id";
    }
    if (std::isnan(label.age_months)) {
        return "id \"" + label.id + "\" has no age";
    }
    if (label.age_months < kMinAgeMonths || label.age_months > kMaxAgeMonths) {
        return "id \"" + label.id + "\" has an age of " + number(label.age_months) + " months, outside of " +
               number(kMinAgeMonths) + " to " + number(kMaxAgeMonths);
    }
    return "";
}

bool same(const Label& a, const Label& b) {
    const bool same_age = a.age_months == b.age_months || (std::isnan(a.age_months) && std::isnan(b.age_months));
    return same_age && a.sex == b.sex && a.split == b.split && a.original_width == b.original_width &&
           a.original_height == b.original_height;
}

std::string joined(const std::set<std::string>& words) {
    std::string all;
    for (const std::string& word : words) {
        all += (all.empty() ? "" : ", ") + word;
    }
    return all;
}

}  // namespace

LabelTable read_labels(const std::filesystem::path& path, const std::optional<std::string>& split) {
    io::CsvReader reader(path);
    if (!reader.next()) {
        reader.fail("the table is empty; its first line must name the columns id and boneage_months");
    }
    const Columns columns = find_columns(reader, split.has_value());
    struct Seen {
        Label label;
        int64_t line;
    };
    std::unordered_map<std::string, Seen> seen;
    std::set<std::string> splits;
    LabelTable table;
    while (reader.next()) {
        Label label;
        label.id = trimmed(reader.fields()[columns.id]);
        label.age_months = age_of(reader, trimmed(reader.fields()[columns.age]));
        label.sex = sex_of(reader, columns);
        label.split = columns.split ? trimmed(reader.fields()[*columns.split]) : "";
        label.original_width = side_of(reader, columns.width);
        label.original_height = side_of(reader, columns.height);
        splits.insert(label.split);

        std::string flaw = flaw_of(label);
        if (!label.id.empty()) {
            // An id in two splits would be trained on and measured with, so repeats are looked for in all of them.
            const auto [first, is_new] = seen.try_emplace(label.id, Seen{label, reader.line()});
            if (!is_new && !same(first->second.label, label)) {
                reader.fail("id \"" + label.id + "\" has other values than on line " +
                            std::to_string(first->second.line));
            }
            if (!is_new && flaw.empty()) {
                flaw = "id \"" + label.id + "\" was already on line " + std::to_string(first->second.line);
            }
        }
        if (split && label.split != *split) {
            continue;
        }
        if (flaw.empty()) {
            table.rows.push_back(std::move(label));
        } else {
            table.exclusions.push_back(path.string() + ", line " + std::to_string(reader.line()) + ": " + flaw);
        }
    }
    if (split && !splits.empty() && !splits.contains(*split)) {
        throw UsageError(path.string() + " has no rows of split \"" + *split + "\"; its splits are " + joined(splits));
    }
    if (table.rows.empty()) {
        throw UsageError(path.string() + " has no row with an id and an age that can be used" +
                         (table.exclusions.empty() ? "" : "; the first one left out: " + table.exclusions.front()));
    }
    return table;
}

}  // namespace boneage::eval

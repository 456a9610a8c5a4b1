#include "engine/eval/predictions.h"

#include "engine/io/csv.h"
#include "engine/pipeline/sex.h"
#include "kernels/base/error.h"

#include <charconv>
#include <cmath>
#include <string_view>
#include <unordered_map>

namespace boneage::eval {
namespace {

using pipeline::Status;

struct Columns {
    size_t source = 0;
    bool is_id = false;  // an id as it is, not a file's path
    size_t age = 0;
    std::optional<size_t> status, reason, sex;
};

Columns find_columns(const io::CsvReader& reader) {
    Columns columns;
    const auto source = reader.find("source");
    const auto id = reader.find("id");
    columns.is_id = !source && id;
    columns.source = source ? *source : (id ? *id : reader.require("source"));
    columns.age = reader.require("bone_age_months");
    columns.status = reader.find("status");
    columns.reason = reader.find("reason");
    columns.sex = reader.find("sex");
    return columns;
}

Status status_of(const io::CsvReader& reader, std::string_view text) {
    if (text == "ok") {
        return Status::ok;
    }
    if (text == "rejected") {
        return Status::rejected;
    }
    if (text == "error") {
        return Status::error;
    }
    reader.fail("status \"" + std::string(text) + "\" is neither ok, rejected nor error");
}

double age_of(const io::CsvReader& reader, std::string_view text) {
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
        reader.fail("the age \"" + std::string(text) + "\" is not a number of months");
    }
    return value;
}

Prediction prediction_of(const io::CsvReader& reader, const Columns& columns) {
    const auto fields = reader.fields();
    Prediction row;
    row.source = fields[columns.source];
    row.id = columns.is_id ? row.source : std::filesystem::path(row.source).stem().string();
    if (row.id.empty()) {
        reader.fail("the row does not say which radiograph it is about");
    }
    const std::string_view age = fields[columns.age];
    row.reason = columns.reason ? fields[*columns.reason] : "";
    if (columns.status) {
        row.status = status_of(reader, fields[*columns.status]);
    } else if (age.empty()) {
        row.status = Status::error;
        row.reason = row.reason.empty() ? "no_age" : row.reason;
    }
    if (row.status == Status::ok) {
        row.bone_age_months = age_of(reader, age);
    }
    if (columns.sex) {
        row.sex = pipeline::sex_from_text(fields[*columns.sex]);
        if (!row.sex) {
            reader.fail("sex \"" + std::string(fields[*columns.sex]) + "\" is neither M, F, male, female nor unknown");
        }
    }
    return row;
}

}  // namespace

PredictionTable read_predictions(const std::filesystem::path& path) {
    io::CsvReader reader(path);
    if (!reader.next()) {
        reader.fail("the table is empty; its first line must name the columns source and bone_age_months");
    }
    const Columns columns = find_columns(reader);
    PredictionTable table;
    struct Seen {
        size_t row;
        int64_t line;
    };
    std::unordered_map<std::string, Seen> seen;
    while (reader.next()) {
        Prediction row = prediction_of(reader, columns);
        const auto [first, is_new] = seen.try_emplace(row.id, Seen{table.rows.size(), reader.line()});
        if (is_new) {
            table.rows.push_back(std::move(row));
            continue;
        }
        const Prediction& before = table.rows[first->second.row];
        const std::string earlier = "line " + std::to_string(first->second.line);
        if (before.status != row.status || before.bone_age_months != row.bone_age_months) {
            reader.fail("id \"" + row.id + "\" has another age or status than on " + earlier +
                        "; files of the same name in two folders cannot be told apart");
        }
        table.exclusions.push_back(path.string() + ", line " + std::to_string(reader.line()) + ": id \"" + row.id +
                                   "\" was already on " + earlier);
    }
    if (table.rows.empty()) {
        throw UsageError(path.string() + " has no predictions below its header");
    }
    return table;
}

}  // namespace boneage::eval

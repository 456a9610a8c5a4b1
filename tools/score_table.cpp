#include "tools/score_table.h"

#include "engine/pipeline/sex.h"

#include <cstdio>
#include <utility>

namespace boneage::tools {
namespace {

using pipeline::Status;

const char* text(Status status) {
    switch (status) {
        case Status::ok:
            return "ok";
        case Status::rejected:
            return "rejected";
        case Status::error:
            return "error";
    }
    return "";
}

std::string number(double value, int decimals) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return text;
}

std::string number(const std::optional<double>& value) {
    return value ? number(*value, 4) : "";
}

std::string size(int64_t value) {
    return value > 0 ? std::to_string(value) : "";
}

}  // namespace

ScoreTable::ScoreTable(io::CsvWriter writer) : writer_(std::move(writer)) {}

void ScoreTable::begin() {
    if (!begun_) {
        writer_.row({"source", "status", "reason", "bone_age_months", "sex", "age_if_male", "age_if_female", "contrast",
                     "mask_fraction", "width", "height", "elapsed_ms"});
        begun_ = true;
    }
}

void ScoreTable::write(const session::Row& row) {
    begin();
    const pipeline::Result& r = row.result;
    writer_.row({row.source, text(r.status), r.reason, number(r.bone_age_months), pipeline::text(row.sex),
                 number(r.age_if_male), number(r.age_if_female), number(r.contrast), number(r.mask_fraction),
                 size(r.width), size(r.height), number(r.elapsed_ms, 1)});
    writer_.flush();
}

void ScoreTable::close() {
    begin();
    writer_.close();
}

void ScoreCounts::add(const pipeline::Result& result) {
    errors_ += result.status == Status::error ? 1 : 0;
    ++counts_[{result.status, result.reason}];
}

std::string ScoreCounts::text() const {
    std::string lines;
    for (const auto& [key, count] : counts_) {
        char line[128];
        std::snprintf(line, sizeof line, "%8zu  %-8s  %s\n", count, tools::text(key.first), key.second.c_str());
        lines += line;
    }
    return lines;
}

}  // namespace boneage::tools

// The ages that radiographs were given: the table that `boneage score` writes, or another program's.
#pragma once

#include "engine/pipeline/result.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace boneage::eval {

struct Prediction {
    std::string id;      // the source's file name without folder and extension
    std::string source;  // as the table has it
    pipeline::Status status = pipeline::Status::ok;
    std::string reason;                     // why there is no age
    std::optional<pipeline::Sex> sex;       // that the age was given for; none where the table does not say
    std::optional<double> bone_age_months;  // finite; there exactly with Status::ok
};

struct PredictionTable {
    std::vector<Prediction> rows;         // in the table's order, each id once
    std::vector<std::string> exclusions;  // a sentence for each row left out
};

// Reads the columns
//   source, or id          required
//   bone_age_months        required
//   status, reason, sex    optional; without a status a row is ok when it has an age and an error (no_age) otherwise
// of a CSV table; others are ignored. Left out and told in `exclusions`: a row that repeats an earlier one of the same
// id. Throws UsageError naming file and line where a value cannot be understood (an ok row without a finite age, too)
// or an id comes back with another age or status, and naming the file when there are no rows.
PredictionTable read_predictions(const std::filesystem::path& path);

}  // namespace boneage::eval

// The ages that radiographs are known to have: a labels table as people have it.
#pragma once

#include "engine/pipeline/result.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace boneage::eval {

// An age outside of this range is a mistake in the table: the atlas that radiographs are read by ends at 19 years.
inline constexpr double kMinAgeMonths = 0.0;
inline constexpr double kMaxAgeMonths = 240.0;

struct Label {
    std::string id;           // the name of the radiograph's file without folder and extension
    double age_months = 0.0;  // finite and within the range above
    pipeline::Sex sex = pipeline::Sex::unknown;
    std::string split;           // empty where the table has no such column
    int64_t original_width = 0;  // of the radiograph as it was taken, in pixels; 0 where the table does not say
    int64_t original_height = 0;
};

struct LabelTable {
    std::vector<Label> rows;              // in the table's order, each id once
    std::vector<std::string> exclusions;  // a sentence for each row left out: file, line, id and why
};

// Reads the columns
//   id                                      required
//   boneage_months, bone_age_months, boneage  one of them is required
//   sex (as sex_from_text) or male (True, False)   optional; sex is taken where both are there
//   split                                   optional
//   orig_width, orig_height (or original_width, original_height)   optional
// of a CSV table; others are ignored. With `split` only rows of that split are given, and only their exclusions.
//
// Left out and told in `exclusions`: a row without an id or an age (empty, NA, n/a, NaN), with an age outside of the
// range, or that says again what an earlier row said. Throws UsageError naming file and line where a value cannot be
// understood or an id comes back with other values, and naming the file when no row is left or the split is not there.
LabelTable read_labels(const std::filesystem::path& path, const std::optional<std::string>& split = std::nullopt);

}  // namespace boneage::eval

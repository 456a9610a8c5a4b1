// An evaluation's numbers for other programs.
#pragma once

#include "engine/eval/evaluation.h"

#include <string>

namespace boneage::eval {

// Everything, as one JSON object: what does not exist (an interval of one case) is null.
std::string json_text(const Evaluation& evaluation);

// The metrics of every group, a row each:
//   sex (all, F, M, unknown), band (all, "24-48"), n, mae_months, mae_low, mae_high, rmse_months, bias_months,
//   sd_months, p90_months, within_6, within_12, within_24
std::string csv_text(const Evaluation& evaluation);

// What groups are called in tables.
std::string sex_name(const Group& group);
std::string band_name(const Evaluation& evaluation, const Group& group);

}  // namespace boneage::eval

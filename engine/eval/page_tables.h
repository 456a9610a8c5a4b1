// The tables of the report's page, each a section with its heading.
#pragma once

#include "engine/eval/evaluation.h"

#include <string>

namespace boneage::eval {

std::string coverage_section(const Evaluation& evaluation);    // what became of every row
std::string groups_section(const Evaluation& evaluation);      // sex x age band
std::string categories_section(const Evaluation& evaluation);  // labelled against predicted band
std::string comparison_section(const Evaluation& evaluation);  // other predictions, and published figures

}  // namespace boneage::eval

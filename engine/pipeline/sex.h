// How the sex of a child is spelt in tables.
#pragma once

#include "engine/pipeline/result.h"

#include <optional>
#include <string_view>

namespace boneage::pipeline {

// M, F, male and female in any case, blanks around them ignored; unknown or nothing is Sex::unknown. None when the text
// is none of these.
std::optional<Sex> sex_from_text(std::string_view text);
// M, F or unknown.
const char* text(Sex sex);

}  // namespace boneage::pipeline

// The sexes of children, from a table that a user has.
#pragma once

#include "engine/pipeline/result.h"

#include <filesystem>
#include <string>
#include <unordered_map>

namespace boneage::tools {

// By id: a file's name without folder and extension.
using SexTable = std::unordered_map<std::string, pipeline::Sex>;

// Reads the columns `id` and `sex` of a CSV table; others are ignored. Sex is M, F, male or female in any case, or
// unknown or empty. Throws UsageError naming file and line where a value is none of these or an id comes back with
// another sex.
SexTable read_sex_table(const std::filesystem::path& path);

}  // namespace boneage::tools

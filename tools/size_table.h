// The sizes that radiographs had before somebody squashed them, from a table that a user has.
#pragma once

#include "engine/session.h"

#include <filesystem>
#include <string>
#include <unordered_map>

namespace boneage::tools {

// By id: a file's name without folder and extension.
using SizeTable = std::unordered_map<std::string, ImageSize>;

// Reads the columns `id`, `orig_width` and `orig_height` of a CSV table, in pixels; others are ignored, and rows
// without a size. Throws UsageError naming file and line where a size is not a number of 1 to 100,000 pixels or an id
// comes back with another one.
SizeTable read_size_table(const std::filesystem::path& path);

}  // namespace boneage::tools

// Saves the picture of every stage of an image as PNG, for people to look at.
#pragma once

#include "engine/pipeline/stages.h"

#include <filesystem>
#include <string>
#include <vector>

namespace boneage::session {

// A folder name for each path, unlike all others: the file's stem, with a number where stems meet again.
std::vector<std::string> stage_folders(const std::vector<std::filesystem::path>& paths);

// Makes `folder` and returns what writes <folder>/<number>-<stage>.png, numbered in the order of the stages; 8 and 16
// bits are kept. Throws Error naming the file when it cannot be written.
pipeline::StageSink save_stages_in(const std::filesystem::path& folder);

}  // namespace boneage::session

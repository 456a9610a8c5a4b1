// --stages: the folder that a run's stage pictures go into.
#pragma once

#include <string>
#include <vector>

namespace boneage::tools {

// Makes the folder where it is missing. UsageError where it is, or lies in, a folder of `inputs`: the next run would
// take the pictures for radiographs. Error where it cannot be made or written into.
void make_stages_folder(const std::string& folder, const std::vector<std::string>& inputs);

}  // namespace boneage::tools

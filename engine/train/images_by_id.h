// The image files of a data set, by id: a file's name without folder and extension.
#pragma once

#include "engine/train/exclusions.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace boneage::train {

using ImagesById = std::map<std::string, std::filesystem::path, std::less<>>;

// The images among `data`, files and folders as `boneage score` takes them, except those within the folders `aside`.
// What cannot be listed, and every further file of one id, is added to `exclusions`.
ImagesById find_images(const std::vector<std::filesystem::path>& data, const std::vector<std::filesystem::path>& aside,
                       Exclusions& exclusions);

}  // namespace boneage::train

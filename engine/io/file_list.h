// The inputs of a run: files and folders as named on the command line, expanded to files.
#pragma once

#include "kernels/base/error.h"

#include <filesystem>
#include <optional>
#include <vector>

namespace boneage::io {

// One file to be read, or one input that could not be expanded and why.
struct Input {
    std::filesystem::path source;
    std::optional<InputError> error;
};

// Expands `named` in its order.
//   A file stands for itself whatever its name, also when it is named twice.
//   A folder stands for the files in it and in the folders below whose names end in .png, .jpg, .jpeg or .bmp (in any
//   case), in the byte order of their paths. Links are followed; a folder that is reached again, through a loop of
//   links or otherwise, is entered once.
// Errors are entries in place of what could not be listed, and the rest goes on:
//   unreadable  a path is missing, or a folder may not be listed
//   empty       a folder named here holds no such file, nor anything that failed
// Files are not opened: that they can be read is not known yet.
std::vector<Input> list_inputs(const std::vector<std::filesystem::path>& named);

// Whether the name ends in one of the extensions above.
bool has_image_extension(const std::filesystem::path& path);

}  // namespace boneage::io

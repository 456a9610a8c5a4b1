// The inputs of a run: files and folders as named on the command line, expanded to files.
#pragma once

#include "kernels/base/error.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

namespace boneage::io {

// One file to be read, or one input that could not be expanded and why.
struct Input {
    std::filesystem::path source;
    std::optional<InputError> error;
};

// Whether the name ends in .png, .jpg, .jpeg or .bmp, in any case.
bool has_image_extension(const std::filesystem::path& path);

// Which files of a folder count, and how people call them: "holds no PNG, JPEG or BMP image".
struct Wanted {
    std::function<bool(const std::filesystem::path&)> counts = has_image_extension;
    const char* called = "PNG, JPEG or BMP image";
};

// Expands `named` in its order.
//   A file stands for itself whatever its name, also when it is named twice.
//   A folder stands for the files in it and in the folders below that are wanted, in the byte order of their paths.
//   Links are followed; a folder that is reached again, through a loop of links or otherwise, is entered once.
// Errors are entries in place of what could not be listed, and the rest goes on:
//   unreadable  a path is missing, or a folder may not be listed
//   empty       a folder named here holds no such file, nor anything that failed
// Files are not opened: that they can be read is not known yet.
std::vector<Input> list_inputs(const std::vector<std::filesystem::path>& named, const Wanted& wanted = {});

}  // namespace boneage::io

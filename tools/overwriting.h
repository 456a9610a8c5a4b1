// What a command reads must not be what it writes over.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace boneage::tools {

// A file of the command line. `role` is how the command line calls it: "-o", "an input", "--weights".
struct RoledFile {
    std::string role;
    std::filesystem::path path;
};

// UsageError that names both roles where `out` is one of the files in `read`, by whatever path or link.
void refuse_to_overwrite(const RoledFile& out, const std::vector<RoledFile>& read);

}  // namespace boneage::tools

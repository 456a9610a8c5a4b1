#include "tools/stages_folder.h"

#include "engine/errors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <unistd.h>

namespace boneage::tools {
namespace {

namespace fs = std::filesystem;

bool is_or_lies_in(const fs::path& path, const fs::path& folder) {
    const auto [left, reached] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
    return left == folder.end();
}

}  // namespace

void make_stages_folder(const std::string& folder, const std::vector<std::string>& inputs) {
    std::error_code problem;
    const fs::path place = fs::weakly_canonical(fs::absolute(folder, problem), problem);
    for (const std::string& input : inputs) {
        std::error_code ignored;
        if (!problem && fs::is_directory(input, ignored) && is_or_lies_in(place, fs::canonical(input, ignored))) {
            throw UsageError("--stages " + folder + " lies in the input folder " + input +
                             ", where the next run would take the pictures for radiographs; name a folder elsewhere");
        }
    }
    fs::create_directories(folder, problem);
    if (problem) {
        throw Error(folder + " cannot be made: " + problem.message() + "; give --stages another folder");
    }
    if (::access(folder.c_str(), W_OK | X_OK) != 0) {
        throw Error(folder + " cannot be written into: " + std::strerror(errno) + "; give --stages another folder");
    }
}

}  // namespace boneage::tools

#include "tools/overwriting.h"

#include "engine/errors.h"

#include <system_error>

namespace boneage::tools {

void refuse_to_overwrite(const RoledFile& out, const std::vector<RoledFile>& read) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(out.path, ignored)) {
        return;
    }
    for (const RoledFile& file : read) {
        if (std::filesystem::equivalent(out.path, file.path, ignored)) {
            throw UsageError(out.role + " " + out.path.string() + " is the same file as " + file.role + " " +
                             file.path.string() + ", which would be lost; give " + out.role + " another name");
        }
    }
}

}  // namespace boneage::tools

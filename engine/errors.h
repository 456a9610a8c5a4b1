// The errors that the engine throws, for programs that use it.
#pragma once

#include "kernels/base/error.h"  // IWYU pragma: export

#include <string>

namespace boneage {

// What call() returns; a UsageError of it names `file` first.
template <class Call>
decltype(auto) naming_file(const std::string& file, const Call& call) {
    try {
        return call();
    } catch (const UsageError& error) {
        throw UsageError(file + ": " + error.what());
    }
}

}  // namespace boneage

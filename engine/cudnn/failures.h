// What cuDNN's words say of a failure.
#pragma once

#include "kernels/base/error.h"

#include <string>
#include <string_view>

namespace boneage::cudnn {

// Whether these words, in which cuDNN names its status, say that the device has no memory left. The frontend passes the
// status on in its message alone.
inline bool says_no_memory(std::string_view words) {
    return words.find("DEVICE_ALLOCATION_FAILED") != std::string_view::npos;
}

// Throws `what`, which ends in cuDNN's words: as OutOfDeviceMemory, with what to do, where they say so, since callers
// then try with less; as DeviceError otherwise.
[[noreturn]] inline void throw_failure(const std::string& what) {
    if (says_no_memory(what)) {
        throw no_device_memory(what);
    }
    throw DeviceError(what);
}

}  // namespace boneage::cudnn

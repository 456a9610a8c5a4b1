// The errors this project throws, by who can do something about them.
#pragma once

#include <stdexcept>
#include <string>

namespace boneage {

// Root of all errors thrown on purpose. what() is one sentence a user can act on.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// One input (an image, a row) cannot be processed; a batch records it and goes on.
class InputError : public Error {
public:
    // `code` is a short machine-readable reason (snake_case), `what` the sentence for people.
    InputError(std::string code, const std::string& what) : Error(what), code_(std::move(code)) {}
    [[nodiscard]] const std::string& code() const { return code_; }

private:
    std::string code_;
};

// The command line, a recipe or a weights file asks for something that cannot be.
class UsageError : public Error {
public:
    using Error::Error;
};

// A device or one of its libraries is missing, too old, out of memory or gone.
class DeviceError : public Error {
public:
    using Error::Error;
};

// There is no room for what a device was asked: a smaller batch may fit.
class OutOfMemory : public DeviceError {
public:
    using DeviceError::DeviceError;
};
// On the device itself.
class OutOfDeviceMemory : public OutOfMemory {
public:
    using OutOfMemory::OutOfMemory;
};
// `what`, a call and the words in which it said that the device has no memory left, as a sentence with what to do.
inline OutOfDeviceMemory no_device_memory(const std::string& what) {
    return OutOfDeviceMemory("the GPU has no memory left: " + what + "; give a smaller --batch, or --device cpu");
}
// In the host's memory that a device copies from and to.
class OutOfPinnedMemory : public OutOfMemory {
public:
    using OutOfMemory::OutOfMemory;
};

// A caller broke a function's contract: a defect in this program, never a user's mistake.
class ContractError : public Error {
public:
    using Error::Error;
};

// Checks a precondition that a contract block states; cheap enough to stay on in release builds.
inline void expects(bool condition, const char* what, const char* function = __builtin_FUNCTION(),
                    const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    if (!condition) [[unlikely]] {
        throw ContractError(std::string(function) + ": " + what + " (" + file + ":" + std::to_string(line) + ")");
    }
}

}  // namespace boneage

// Which errors belong to one image, and which end a run.
#pragma once

#include "engine/pipeline/result.h"
#include "kernels/base/error.h"

#include <new>
#include <string>

namespace boneage::pipeline {

inline Result failed(const char* reason, std::string message) {
    Result result;
    result.status = Status::error;
    result.reason = reason;
    result.message = std::move(message);
    return result;
}

// Runs `body`, which makes a result. What goes wrong with one image becomes its result; what would go wrong with every
// image is thrown on.
template <class Body>
Result guarded(const Body& body) {
    try {
        return body();
    } catch (const InputError& error) {
        return failed(error.code().c_str(), error.what());
    } catch (const OutOfDeviceMemory&) {
        return failed("out_of_memory", "there is not enough memory on the device for this image");
    } catch (const OutOfPinnedMemory&) {
        return failed("out_of_memory",
                      "this machine has not enough memory that the device can copy from for this image");
    } catch (const std::bad_alloc&) {
        return failed("out_of_memory", "there is not enough memory for this image");
    } catch (const ContractError& error) {
        return failed("internal", std::string("a defect in this program, please report it: ") + error.what());
    }
}

}  // namespace boneage::pipeline

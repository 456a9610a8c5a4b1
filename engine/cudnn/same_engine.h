// The same bits at every batch size ask for the same engine at every batch size.
#pragma once

#include "kernels/base/error.h"

namespace boneage::cudnn {

// What `same` makes, by the engine of another batch size; where cuDNN refuses that, what `other` makes, and `refused`
// is called with the reason. A lack of memory is no refusal: it is thrown.
template <class Same, class Other, class Refused>
auto same_or_other(const Same& same, const Other& other, const Refused& refused) {
    try {
        return same();
    } catch (const OutOfDeviceMemory&) {
        throw;
    } catch (const DeviceError& error) {
        refused(error.what());
    }
    return other();
}

}  // namespace boneage::cudnn

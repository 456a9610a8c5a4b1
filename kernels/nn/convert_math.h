// One spelling of "round a float to T" for kernels that are templates on their element type.
#pragma once

#include "kernels/base/numeric.h"

#include <type_traits>

namespace boneage {

template <class T>
BONEAGE_HD inline T from_float(float value) {
    if constexpr (std::is_same_v<T, bfloat16>) {
        return to_bfloat16(value);
    } else if constexpr (std::is_same_v<T, float16>) {
        return to_float16(value);
    } else {
        return value;
    }
}

}  // namespace boneage

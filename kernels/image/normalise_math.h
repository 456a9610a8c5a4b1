// The scalar formula of normalise.h, compiled by both twins and shared by patches.h.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/image/normalise.h"

namespace boneage {

template <class P>
BONEAGE_HD inline float normalised(P value, float mean, float deviation) {
    constexpr float kMax = static_cast<float>(std::numeric_limits<P>::max());
    return (static_cast<float>(value) / kMax - mean) / deviation;
}

template <class T>
BONEAGE_HD inline T stored(float value);
template <>
BONEAGE_HD inline float stored<float>(float value) {
    return value;
}
template <>
BONEAGE_HD inline bfloat16 stored<bfloat16>(float value) {
    return to_bfloat16(value);
}

}  // namespace boneage

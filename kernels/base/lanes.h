// Vectors of floats as wide as this build's instructions, for twins whose loops the compiler does not turn into such.
#pragma once

#include <cstdint>

namespace boneage {

#if defined(__AVX512F__)
inline constexpr int64_t kLanes = 16;
#elif defined(__AVX__)
inline constexpr int64_t kLanes = 8;
#else
inline constexpr int64_t kLanes = 4;
#endif
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;
using HalfLanes [[gnu::vector_size(kLanes / 2 * sizeof(float))]] = float;

}  // namespace boneage

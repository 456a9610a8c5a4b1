// Scalar helpers that host and device compile from one text.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

// Marks a function for both sides; empty where no CUDA compiler is at work.
#ifdef __CUDACC__
#define BONEAGE_HD __host__ __device__
#else
#define BONEAGE_HD
#endif

namespace boneage {

// The 16-bit truncation of a float32 (8 exponent, 7 mantissa bits). Storage only: arithmetic happens in float.
struct bfloat16 {
    uint16_t bits;
};

// Nearest bfloat16, ties to even; NaN stays NaN (quietened).
BONEAGE_HD inline bfloat16 to_bfloat16(float value) {
    const uint32_t u = std::bit_cast<uint32_t>(value);
    if ((u & 0x7fffffffU) > 0x7f800000U) {
        return {static_cast<uint16_t>((u >> 16) | 0x0040U)};
    }
    return {static_cast<uint16_t>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16)};
}

BONEAGE_HD inline float to_float(bfloat16 value) {
    return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}
BONEAGE_HD inline float to_float(float value) {
    return value;
}

// IEEE binary16: 5 exponent, 10 mantissa bits, the largest finite value 65504. Storage only: arithmetic happens in
// float.
struct float16 {
    uint16_t bits;
};

// Nearest float16, ties to even, down to its denormals; 65520 and more become infinity; NaN stays NaN (quietened).
BONEAGE_HD inline float16 to_float16(float value) {
    const uint32_t u = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (u >> 16) & 0x8000U;
    const uint32_t magnitude = u & 0x7fffffffU;
    if (magnitude > 0x7f800000U) {
        return {static_cast<uint16_t>(sign | 0x7e00U | ((magnitude >> 13) & 0x3ffU))};
    }
#ifdef __CUDA_ARCH__
    uint16_t bits;  // one instruction, where the text below would be a dozen in a kernel that only moves memory
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return {bits};
#else
    // Below 2^-14 the result counts multiples of 2^-24, which are the last bits of floats from 0.5 to 1.
    const uint32_t tiny = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000U;
    const uint32_t normal = (magnitude - 0x38000000U + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
    const uint32_t rounded = magnitude < 0x38800000U ? tiny : magnitude >= 0x47800000U ? 0x7c00U : normal;
    return {static_cast<uint16_t>(sign | rounded)};
#endif
}

// Exact; a NaN keeps its bits.
BONEAGE_HD inline float to_float(float16 value) {
    const uint32_t sign = (value.bits & 0x8000U) << 16;
    const uint32_t magnitude = (value.bits & 0x7fffU) << 13;
    // Denormals are whole multiples of 2^-24: attached to the last bits of 2^-14, which is then taken off again.
    const float tiny = std::bit_cast<float>(magnitude + 0x38800000U) - 0x1p-14F;
    const uint32_t normal = magnitude + (magnitude >= 0x0f800000U ? 0x70000000U : 0x38000000U);
    return std::bit_cast<float>(sign | (magnitude < 0x00800000U ? std::bit_cast<uint32_t>(tiny) : normal));
}

template <class T>
BONEAGE_HD constexpr T clamp(T value, T low, T high) {
    return value < low ? low : (value > high ? high : value);
}

// Nearest integer, ties to even; |value| < 2^31.
BONEAGE_HD inline int32_t round_half_even(float value) {
    return static_cast<int32_t>(std::nearbyintf(value));
}

// The value of the pixel type P nearest to `value`.
template <class P>
BONEAGE_HD constexpr P saturate(int32_t value) {
    return static_cast<P>(clamp<int32_t>(value, 0, std::numeric_limits<P>::max()));
}

// Position p, possibly outside [0, n), mirrored without repeating the edge pixel (OpenCV's BORDER_REFLECT_101:
// gfedcb|abcdefgh|gfedcba). n >= 1; for n == 1 everything maps to 0.
BONEAGE_HD constexpr int64_t reflect_101(int64_t p, int64_t n) {
    if (n == 1) {
        return 0;
    }
    while (p < 0 || p >= n) {
        p = p < 0 ? -p : 2 * (n - 1) - p;
    }
    return p;
}

}  // namespace boneage

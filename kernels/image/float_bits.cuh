// Small integers to floats and back by their bits: few units of a multiprocessor convert numbers, all of them add.
#pragma once

#include "kernels/base/launch.cuh"

#include <bit>
#include <cstdint>

namespace boneage {
namespace {

// From here to twice as much, the last place of a float is 1: the bits of 2^23 + n are those of 2^23, plus n.
constexpr float kTwoTo23 = 8388608.0F;

// Byte i of a word.
__device__ __forceinline__ float byte_as_float(uint32_t word, int i) {
    return std::bit_cast<float>(__byte_perm(word, std::bit_cast<uint32_t>(kTwoTo23), 0x7650U + i)) - kTwoTo23;
}

// The lower or upper half of a word, less `bias`.
template <int half>
__device__ __forceinline__ float half_as_float(uint32_t word, uint32_t bias = 0) {
    constexpr uint32_t kHalf = half == 0 ? 0x7610U : 0x7632U;
    return std::bit_cast<float>(__byte_perm(word, std::bit_cast<uint32_t>(kTwoTo23), kHalf)) -
           (kTwoTo23 + static_cast<float>(bias));
}

// round_half_even() of a value from 0 to 2^16 - 1, in the lowest 16 bits; the others are arbitrary.
__device__ __forceinline__ uint32_t rounded_bits(float value) {
    return std::bit_cast<uint32_t>(value + 1.5F * kTwoTo23);
}

}  // namespace
}  // namespace boneage

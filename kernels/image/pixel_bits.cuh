// Masks as bits: bit i of a word is the i-th of its pixels, so that one instruction handles 32 of them.
#pragma once

#include "kernels/image/pixel_vectors.cuh"

namespace boneage {
namespace {

constexpr int kWordPixels = 32;
constexpr uint32_t kAllLanes = 0xffffffffU;

// Bytes that are not 0, as one bit each.
__device__ __forceinline__ uint32_t nonzero_bits(const PixelVector<uint8_t, 16>& pixels) {
    uint32_t bits = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const uint32_t word = pixels.word[i];
        const uint32_t high = (((word & 0x7f7f7f7fU) + 0x7f7f7f7fU) | word) & 0x80808080U;  // of a byte that is not 0
        bits |= ((high >> 7) * 0x01020408U >> 24) << (4 * i);  // the product brings the four together
    }
    return bits;
}

// 255 where a bit is set, else 0; the lowest 16 bits.
__device__ __forceinline__ PixelVector<uint8_t, 16> bytes_of_bits(uint32_t bits) {
    PixelVector<uint8_t, 16> pixels;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        pixels.word[i] = ((bits >> (4 * i) & 15U) * 0x00204081U & 0x01010101U) * 255U;
    }
    return pixels;
}

// The lowest `count` bits; count may be beyond either end.
__device__ __forceinline__ uint32_t low_bits(int64_t count) {
    return count <= 0 ? 0U : count >= kWordPixels ? 0xffffffffU : (1U << count) - 1U;
}

__device__ __forceinline__ int lowest_bit(uint32_t bits) {
    return __ffs(static_cast<int>(bits)) - 1;
}

// The first bit of the run of set bits that `bit` is in.
__device__ __forceinline__ int run_begin(uint32_t word, int bit) {
    return kWordPixels - __clz(static_cast<int>(~word & low_bits(bit)));
}

// Calls visit(first bit, the run's bits) for every run of set bits, from the lowest.
template <class Visit>
__device__ __forceinline__ void for_runs(uint32_t word, const Visit& visit) {
    while (word != 0) {
        const uint32_t first = word & (0U - word);
        const uint32_t run = word & ~(word + first);  // the carry clears it
        visit(lowest_bit(word), run);
        word &= ~run;
    }
}

template <class Visit>
__device__ __forceinline__ void for_bits(uint32_t word, const Visit& visit) {
    for (; word != 0; word &= word - 1) {
        visit(lowest_bit(word));
    }
}

}  // namespace
}  // namespace boneage

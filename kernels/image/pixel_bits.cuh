// Masks as bits: bit i of a word is the i-th of its pixels, so that one instruction handles 32 of them.
#pragma once

#include "kernels/image/pixel_vectors.cuh"

#include <limits>

namespace boneage {
namespace {

constexpr int kWordPixels = 32;

// The lowest bits of a word's pixels, all other bits being 0, side by side.
template <class P>
__device__ __forceinline__ uint32_t together(uint32_t lowest) {
    return sizeof(P) == 1 ? lowest * 0x01020408U >> 24 : (lowest | lowest >> 15) & 3U;
}

// Bytes that are not 0, as one bit each.
__device__ __forceinline__ uint32_t nonzero_bits(const PixelVector<uint8_t, 16>& pixels) {
    uint32_t bits = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const uint32_t word = pixels.word[i];
        const uint32_t high = (((word & 0x7f7f7f7fU) + 0x7f7f7f7fU) | word) & 0x80808080U;  // of a byte that is not 0
        bits |= together<uint8_t>(high >> 7) << (4 * i);
    }
    return bits;
}

// The highest bits of pixels. `between` gains a bit where one is neither 0 nor the largest value.
template <class P, int count>
__device__ __forceinline__ uint32_t extreme_bits(const PixelVector<P, count>& pixels, uint32_t& between) {
    constexpr int kBits = 8 * static_cast<int>(sizeof(P));
    constexpr uint32_t kLowest = kBits == 8 ? 0x01010101U : 0x00010001U;
    uint32_t bits = 0;
#pragma unroll
    for (int i = 0; i < pixels.kWords; ++i) {
        const uint32_t highest = pixels.word[i] >> (kBits - 1) & kLowest;
        between |= pixels.word[i] ^ highest * std::numeric_limits<P>::max();
        bits |= together<P>(highest) << (pixels.kPerWord * i);
    }
    return bits;
}

// The largest value where a bit is set, else 0.
template <class P, int count>
__device__ __forceinline__ PixelVector<P, count> pixels_of_bits(uint32_t bits) {
    PixelVector<P, count> pixels;
#pragma unroll
    for (int i = 0; i < pixels.kWords; ++i) {
        const uint32_t own = bits >> (pixels.kPerWord * i);
        const uint32_t spread =
            sizeof(P) == 1 ? (own & 15U) * 0x00204081U & 0x01010101U : (own & 1U) | (own & 2U) << 15;
        pixels.word[i] = spread * std::numeric_limits<P>::max();
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

// The word that begins at bit `at` of those from `words` on.
__device__ __forceinline__ uint32_t word_at(const uint32_t* words, int at) {
    const uint32_t* word = words + at / kWordPixels;
    return __funnelshift_r(word[0], word[1], static_cast<unsigned>(at % kWordPixels));
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

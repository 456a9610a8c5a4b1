// Rows of packed samples, as PNG and BMP both store them: the first sample in the highest bits of a byte.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace boneage::io {

// Replaces each of `width` samples of 1, 2, 4 or 8 bits by table[sample]. Returns the largest sample.
inline int look_up(const uint8_t* row, int64_t width, int bits, const std::array<uint8_t, 256>& table, uint8_t* out) {
    uint8_t largest = 0;
    if (bits == 8) {
        for (int64_t x = 0; x < width; ++x) {
            largest = std::max(largest, row[x]);
        }
        for (int64_t x = 0; x < width; ++x) {
            out[x] = table[row[x]];
        }
        return largest;
    }
    const int64_t per_byte = 8 / bits;
    const int mask = (1 << bits) - 1;
    for (int64_t x = 0; x < width; x += per_byte) {
        const int64_t end = std::min(width, x + per_byte);
        int packed = *row++;
        for (int64_t i = x; i < end; ++i) {
            packed <<= bits;
            const auto sample = static_cast<uint8_t>(packed >> 8 & mask);
            largest = std::max(largest, sample);
            out[i] = table[sample];
        }
    }
    return largest;
}

}  // namespace boneage::io

// Counter-based random numbers: the same (seed, stream, counter) gives the same bits on every machine, host or device,
// whatever the number of threads.
#pragma once

#include "kernels/base/numeric.h"

#include <array>
#include <cstdint>

namespace boneage {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Four 32-bit words per call.
BONEAGE_HD constexpr std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = uint64_t{0xD2511F53U} * counter[0];
        const uint64_t p1 = uint64_t{0xCD9E8D57U} * counter[2];
        counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
                   static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
        key[0] += 0x9E3779B9U;
        key[1] += 0xBB67AE85U;
    }
    return counter;
}

// A sequence of draws from one (seed, stream) pair.
class Rng {
public:
    constexpr explicit Rng(uint64_t seed, uint64_t stream = 0)
        : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}, stream_(stream) {}

    constexpr uint32_t next_u32() {
        if (used_ == 4) {
            words_ = philox4x32({static_cast<uint32_t>(block_), static_cast<uint32_t>(block_ >> 32),
                                 static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                                key_);
            ++block_;
            used_ = 0;
        }
        return words_[static_cast<size_t>(used_++)];
    }
    // Uniform in [0, 1) with 24 random bits.
    constexpr float uniform() { return static_cast<float>(next_u32() >> 8) * 0x1p-24F; }
    // Standard normal (Box-Muller, in double).
    float normal() {
        const double u1 = (static_cast<double>(next_u32()) + 1.0) * 0x1p-32;
        const double u2 = static_cast<double>(next_u32()) * 0x1p-32;
        return static_cast<float>(std::sqrt(-2.0 * std::log(u1)) * std::cos(6.283185307179586 * u2));
    }

private:
    std::array<uint32_t, 2> key_;
    uint64_t stream_;
    uint64_t block_ = 0;
    std::array<uint32_t, 4> words_{};
    int used_ = 4;
};

}  // namespace boneage

// Rows of a network input from rows of pixels, for the CPU twins of normalise.h and patches.h.
#pragma once

#include "kernels/image/normalise_math.h"

#include <algorithm>

namespace boneage {

inline bool allowed(const NormaliseParams& params, int64_t channels) {
    return channels >= 1 && channels <= 3 &&
           std::all_of(params.deviation.begin(), params.deviation.begin() + channels, [](float d) { return d > 0.0F; });
}

// Writes `width` positions of `channels` values: `pixels` values from `row` starting at position `left`, black around.
template <class P, class T>
void normalise_row(const P* row, int64_t pixels, int64_t left, T* out, int64_t width, int64_t channels,
                   const NormaliseParams& params) {
    for (int64_t c = 0; c < channels; ++c) {
        const float mean = params.mean[static_cast<size_t>(c)];
        const float deviation = params.deviation[static_cast<size_t>(c)];
        const T black = stored<T>(normalised<P>(0, mean, deviation));
        for (int64_t x = 0; x < left; ++x) {
            out[x * channels + c] = black;
        }
        T* inside = out + left * channels + c;
        if (channels == 1) {
            for (int64_t x = 0; x < pixels; ++x) {
                inside[x] = stored<T>(normalised<P>(row[x], mean, deviation));
            }
        } else {
            for (int64_t x = 0; x < pixels; ++x) {
                inside[x * channels] = stored<T>(normalised<P>(row[x], mean, deviation));
            }
        }
        for (int64_t x = left + pixels; x < width; ++x) {
            out[x * channels + c] = black;
        }
    }
}

}  // namespace boneage

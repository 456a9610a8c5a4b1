// The scalar formulas of clahe.h, compiled by both twins.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/image/clahe.h"

namespace boneage {

template <class P>
inline constexpr int32_t kClaheBins = int32_t{std::numeric_limits<P>::max()} + 1;

// The device twin counts in shared memory. Where not all bins of 16-bit pixels fit, a block counts one piece of them.
template <class P>
inline constexpr int32_t kClahePieceBins = sizeof(P) == 1 ? kClaheBins<P> : 8192;
template <class P>
inline constexpr int32_t kClahePieces = kClaheBins<P> / kClahePieceBins<P>;

// What one piece of a tile's histogram holds once it is clipped.
struct ClahePiece {
    int32_t kept;
    int32_t cut_off;
};

// How one image is cut into tiles.
struct ClaheGrid {
    int64_t tile_width = 1;
    int64_t tile_height = 1;
    int32_t clip = 0;     // most pixels a bin keeps; 0: no clipping
    float lut_scale = 0;  // (bins - 1) / tile area
    float inverse_width = 0;
    float inverse_height = 0;
};

template <class P>
BONEAGE_HD inline ClaheGrid clahe_grid(int64_t height, int64_t width, const ClaheParams& params) {
    int64_t padded_width = width;
    int64_t padded_height = height;
    if (width % params.tiles_x != 0 || height % params.tiles_y != 0) {
        padded_width += params.tiles_x - width % params.tiles_x;
        padded_height += params.tiles_y - height % params.tiles_y;
    }
    ClaheGrid grid;
    grid.tile_width = padded_width / params.tiles_x;
    grid.tile_height = padded_height / params.tiles_y;
    const int64_t area = grid.tile_width * grid.tile_height;
    grid.lut_scale = static_cast<float>(kClaheBins<P> - 1) / static_cast<float>(area);
    if (params.clip_limit > 0.0) {
        const double pixels = static_cast<double>(area);
        const double limit = params.clip_limit * pixels / kClaheBins<P>;
        // A tile's area clips nothing. Larger limits need not fit into an integer.
        grid.clip = limit < 1.0 ? 1 : static_cast<int32_t>(limit < pixels ? limit : pixels);
    }
    grid.inverse_width = 1.0F / static_cast<float>(grid.tile_width);
    grid.inverse_height = 1.0F / static_cast<float>(grid.tile_height);
    return grid;
}

// The device twin can count a tile of 16-bit pixels in counters of 16 bits, which stop soon after they have reached the
// clip (clahe_halves.cuh): this many pixels later at most.
inline constexpr int32_t kClaheOvershoot = 8192;

// Whether such counters hold what they count, for every image of a batch.
inline bool clahe_counts_in_halves(int64_t max_height, int64_t max_width, const ClaheParams& params) {
    constexpr int64_t kTop = std::numeric_limits<uint16_t>::max();
    // No tile of an image of that size or a smaller one is larger: clahe_grid() adds less than a tile has.
    const int64_t area = (max_height / params.tiles_y + 1) * (max_width / params.tiles_x + 1);
    const double clip = params.clip_limit * static_cast<double>(area) / kClaheBins<uint16_t>;
    return area <= kTop || (clip > 0.0 && clip <= static_cast<double>(kTop - kClaheOvershoot));
}

// The remainder of a clipped histogram goes to bins 0, step, 2 * step, ..., one each while it lasts.
BONEAGE_HD inline int32_t clahe_residual_step(int32_t bins, int32_t residual) {
    const int32_t step = bins / residual;
    return step > 1 ? step : 1;
}

// How what was cut off a histogram is shared out, for whoever begins in the middle of it.
template <int32_t bins>
struct ClaheSpread {
    static_assert(bins <= int32_t{1} << 16);
    int32_t share;        // of every bin
    int32_t residual;     // what remains
    uint32_t reciprocal;  // of the step from one bin that gets one more to the next, times 2^31, rounded up

    BONEAGE_HD explicit ClaheSpread(int32_t cut_off) : share(cut_off / bins), residual(cut_off % bins) {
        const auto step = static_cast<uint32_t>(residual > 0 ? clahe_residual_step(bins, residual) : bins);
        reciprocal = ((uint32_t{1} << 31) + step - 1) / step;
    }
    // How many of bins 0 to `bin` get one more.
    [[nodiscard]] BONEAGE_HD int32_t extras(int32_t bin) const {
        // bin / step, exactly: where the reciprocal was rounded up, by less than 1, bin * step is less than 2^31.
        const auto before = static_cast<int32_t>(uint64_t{2 * static_cast<uint32_t>(bin)} * reciprocal >> 32);
        return before + 1 < residual ? before + 1 : residual;
    }
};

template <class P>
BONEAGE_HD inline P clahe_lut_value(int32_t cumulative, float lut_scale) {
    return saturate<P>(round_half_even(static_cast<float>(cumulative) * lut_scale));
}

// Which two tiles a coordinate lies between, and how far it is from the first to the second.
struct ClaheBlend {
    int32_t first = 0;
    int32_t second = 0;
    float weight = 0;  // of `second`; `first` has 1 - weight, also where both are the same tile
};

BONEAGE_HD inline ClaheBlend clahe_blend(int32_t position, float inverse_tile, int64_t tiles) {
    const float t = static_cast<float>(position) * inverse_tile - 0.5F;
    const float floor_t = std::floor(t);
    ClaheBlend blend;
    blend.weight = t - floor_t;
    const auto first = static_cast<int32_t>(floor_t);
    const auto last = static_cast<int32_t>(tiles - 1);
    blend.first = first > 0 ? first : 0;
    blend.second = first + 1 < last ? first + 1 : last;
    return blend;
}

// A cell is where the same four tiles are blended: one more than there are tiles, each way; cell c lies between tiles
// c - 1 and c. This is the first coordinate whose blend lies in a later cell than `cell`.
BONEAGE_HD inline int64_t clahe_cell_end(int64_t cell, int64_t size, float inverse_tile, int64_t tile, int64_t tiles) {
    if (cell >= tiles) {
        return size;
    }
    // The border is near (cell + 1/2) * tile; float rounding decides exactly where.
    int64_t x = clamp<int64_t>((2 * cell + 1) * tile / 2 - 2, 0, size);
    const auto in_later_cell = [&](int64_t p) {
        return std::floor(static_cast<float>(p) * inverse_tile - 0.5F) >= static_cast<float>(cell);
    };
    while (x > 0 && in_later_cell(x - 1)) {
        --x;
    }
    while (x < size && !in_later_cell(x)) {
        ++x;
    }
    return x;
}

BONEAGE_HD inline float clahe_blended(float l11, float l12, float l21, float l22, float ax, float ay) {
    const float ax1 = 1.0F - ax;
    const float ay1 = 1.0F - ay;
    return (l11 * ax1 + l12 * ax) * ay1 + (l21 * ax1 + l22 * ax) * ay;
}

BONEAGE_HD inline int32_t clahe_mix(float l11, float l12, float l21, float l22, float ax, float ay) {
    return round_half_even(clahe_blended(l11, l12, l21, l22, ax, ay));
}

}  // namespace boneage

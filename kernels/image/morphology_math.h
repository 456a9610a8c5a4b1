// How an erosion or dilation is cut into passes, for both twins of morphology.h.
#pragma once

#include "kernels/base/buffer.h"
#include "kernels/image/morphology.h"

#include <algorithm>

namespace boneage {

// n passes with a rect equal one pass with a larger one.
inline MorphologyParams merged(MorphologyParams params) {
    const bool single = params.width == 1 && params.height == 1;
    if (params.shape == ElementShape::rect || single) {
        params.shape = ElementShape::rect;
        params.width += (params.iterations - 1) * (params.width - 1);
        params.height += (params.iterations - 1) * (params.height - 1);
        params.iterations = 1;
    }
    return params;
}

// The anchor of one pass; n merged passes of a rect move it n times.
struct Anchor {
    int64_t x;
    int64_t y;
};

inline Anchor anchor_of(const MorphologyParams& params) {
    const int64_t moves = merged(params).iterations == params.iterations ? 1 : params.iterations;
    return {params.width / 2 * moves, params.height / 2 * moves};
}

// The device twin's fast way: a block holds what its 64 x 64 results need in shared memory, rows y and y + 32 of it as
// the halves of one word.
inline constexpr int64_t kTileColumns = 64;
inline constexpr int64_t kTileHalf = 32;
inline constexpr int64_t kTileElementRows = 64;  // most rows of an element
// Before it, tiles of this size are tried as masks, whose pixels are bits.
inline constexpr int64_t kMaskTileColumns = 2 * kTileColumns;
inline constexpr int64_t kMaskTileRows = 2 * kTileHalf;
// What every device grants a block that does not ask for more.
inline constexpr int64_t kTileBytes = 48 * 1024;

struct TileMemory {
    int64_t rows;
    int64_t pitch;  // words
    [[nodiscard]] int64_t bytes() const { return rows * pitch * static_cast<int64_t>(sizeof(uint32_t)); }
};

// Rows begin at a multiple of four pixels, so that they are loaded four at a time.
inline TileMemory tile_memory(const MorphologyParams& pass) {
    return {kTileHalf + pass.height - 1, round_up(kTileColumns + pass.width - 1 + 3, 4)};
}

struct DevicePlan {
    bool in_tile;
    int64_t passes;  // of one erosion or dilation
    int64_t spares;  // images between passes
    int64_t images;  // all images in scratch, for each image of the batch
};

inline DevicePlan device_plan(const MorphologyParams& params) {
    const MorphologyParams pass = merged(params);
    DevicePlan plan{};
    plan.in_tile = pass.height <= kTileElementRows && tile_memory(pass).bytes() <= kTileBytes;
    plan.passes = pass.iterations;
    plan.spares = std::min<int64_t>(plan.passes - 1, 2);
    const bool two = params.op == MorphologyOp::open || params.op == MorphologyOp::close;
    plan.images = plan.spares + (two ? 1 : 0) + (plan.in_tile ? 0 : 4);
    return plan;
}

inline int64_t mask_tiles(int64_t height, int64_t width) {
    return ceil_div(height, kMaskTileRows) * ceil_div(width, kMaskTileColumns);
}

template <class P>
int64_t device_pitch(int64_t width) {
    return round_up(width, kScratchAlignment / static_cast<int64_t>(sizeof(P)));
}

}  // namespace boneage

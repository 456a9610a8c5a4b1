// The transforms of Winograd's F(4x4, 3x3) and F(2x2, 3x3) (winograd.h): pixels, weights and their gradients to 36 or
// 16 products and back. Included by its sources only.
#pragma once

#include "engine/plan/backend.h"
#include "kernels/base/lanes.h"
#include "kernels/base/view.h"
#include "kernels/base/workers.h"

#include <cstring>

namespace boneage::onednn::winograd {

constexpr int64_t kPanel = 16;  // channels that lie together
constexpr int64_t kParts = kPanel / kLanes;

// Products of a tile that gives `tile` pixels a side, 4 or 2; it reads as many pixels as it makes products.
constexpr int64_t products_of(int64_t tile) {
    return (tile + 2) * (tile + 2);
}

[[gnu::always_inline]] inline Lanes load(const float* from) {
    Lanes lanes;
    std::memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

[[gnu::always_inline]] inline void store(const Lanes& lanes, float* to) {
    std::memcpy(to, &lanes, sizeof lanes);
}

// How far apart the lanes of a value lie. Place::offset() divides, which is too slow for every pixel.
struct Strides {
    int64_t image;
    int64_t row;
    int64_t column;
    int64_t lanes;  // from kLanes channels to the next

    explicit Strides(const plan::Place& place)
        : image(place.offset(1, 0, 0, 0)),
          row(place.offset(0, 1, 0, 0)),
          column(place.offset(0, 0, 1, 0)),
          lanes(place.offset(0, 0, 0, kLanes)) {}
};

// Whether kLanes channels lie together, and the next ones always equally far: plain pixels, or blocks of kLanes.
inline bool has_lanes(const plan::Place& place) {
    return place.channel_block == 1 || place.channel_block == kLanes;
}

// The tiles of one value, image after image; the last of a row and of a column may reach over its edge.
struct Tiling {
    int64_t tile;  // pixels a side that one gives: 4 or 2
    int64_t height;
    int64_t width;
    int64_t rows;
    int64_t columns;
    int64_t count;

    Tiling(const plan::Shape& s, int64_t tile_side)
        : tile(tile_side),
          height(s.h),
          width(s.w),
          rows(ceil_div(s.h, tile)),
          columns(ceil_div(s.w, tile)),
          count(s.n * rows * columns) {}

    [[nodiscard]] int64_t products() const { return products_of(tile); }

    struct Corner {
        int64_t image;
        int64_t y;
        int64_t x;
    };
    [[nodiscard]] Corner corner(int64_t index) const {
        return {index / (rows * columns), index / columns % rows * tile, index % columns * tile};
    }
};

// Tiles [first, first + count), of which memory holds `block`.
struct TileRange {
    int64_t first;
    int64_t count;
    int64_t block;
};

// Floats from one product's weights to the next's: a line of the cache more than they are, because those of a tile,
// which are written in turn, would else fall into the same few places of it.
constexpr int64_t weight_stride(int64_t in, int64_t out) {
    return in * out + kPanel;
}

// The same of `channels` channels of a block of tiles.
constexpr int64_t tile_stride(int64_t channels, int64_t block) {
    return channels * block + kPanel;
}

// The pixels that tiles read, zero outside the image, transformed to [products][channels / 16][block][16].
void pixels_to_products(Workers& workers, const plan::Place& pixels, const Tiling& tiling, const TileRange& tiles,
                        float* products);
// The gradients of the pixels that tiles of 4 give, likewise.
void gradients_to_products(Workers& workers, const plan::Place& gradients, const Tiling& tiling, const TileRange& tiles,
                           float* products);

// What follows a convolution: y = relu(y + bias + residual), as far as there is any. NaN stays NaN.
struct Finish {
    const float* bias = nullptr;            // [channels]
    const plan::Place* residual = nullptr;  // may be where the pixels are written
    bool relu = false;
};

// Products [products][channels / 16][block][16] to the pixels that tiles give.
void products_to_pixels(Workers& workers, const float* products, const Tiling& tiling, const TileRange& tiles,
                        const Finish& finish, const plan::Place& pixels);

// How a layer's weights lie, in floats from one to the next; output channels are 9 * in apart.
struct WeightOrder {
    int64_t tap;  // of the 3x3
    int64_t in;
};

// Weights to [products_of(tile)][out / 16][in][16], each product's weight_stride() apart.
void weights_to_products(Workers& workers, const float* weights, const WeightOrder& order, int64_t in, int64_t out,
                         int64_t tile, float* products);
// Weights [out][3][3][in] turned by half a circle, for tiles of 4, to [36][in / 16][out][16]: the gradient for the
// input is the convolution of that of the output with them.
void turned_weights_to_products(Workers& workers, const float* weights, int64_t in, int64_t out, float* products);
// Gradients [36][in / 16][out][16] of the products' weights to those of the weights [out][3][3][in].
void products_to_weight_gradient(Workers& workers, const float* products, int64_t in, int64_t out, float* gradient);

}  // namespace boneage::onednn::winograd

// The transforms of Winograd's F(4x4, 3x3) (winograd.h): pixels, weights and their gradients to 36 products and back.
// Included by its sources only.
#pragma once

#include "engine/plan/backend.h"
#include "kernels/base/workers.h"

#include <cstring>

namespace boneage::onednn::winograd {

// As many as this build's instructions hold.
#if defined(__AVX512F__)
constexpr int64_t kLanes = 16;
#elif defined(__AVX__)
constexpr int64_t kLanes = 8;
#else
constexpr int64_t kLanes = 4;
#endif
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;

constexpr int64_t kPanel = 16;  // channels that lie together
constexpr int64_t kParts = kPanel / kLanes;
constexpr int64_t kTile = 4;  // pixels a side that one tile gives
constexpr int64_t kSide = 6;  // pixels a side that it reads, and products a side
constexpr int64_t kProducts = kSide * kSide;

[[gnu::always_inline]] inline Lanes load(const float* from) {
    Lanes lanes;
    std::memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

[[gnu::always_inline]] inline void store(const Lanes& lanes, float* to) {
    std::memcpy(to, &lanes, sizeof lanes);
}

// The tiles of one value, image after image; the last of a row and of a column may reach over its edge.
struct Tiling {
    int64_t height;
    int64_t width;
    int64_t rows;
    int64_t columns;
    int64_t count;

    explicit Tiling(const plan::Shape& s)
        : height(s.h),
          width(s.w),
          rows((s.h + kTile - 1) / kTile),
          columns((s.w + kTile - 1) / kTile),
          count(s.n * rows * columns) {}

    struct Corner {
        int64_t image;
        int64_t y;
        int64_t x;
    };
    [[nodiscard]] Corner corner(int64_t tile) const {
        return {tile / (rows * columns), tile / columns % rows * kTile, tile % columns * kTile};
    }
};

// Tiles [first, first + count), of which memory holds `block`.
struct TileRange {
    int64_t first;
    int64_t count;
    int64_t block;
};

// The pixels that tiles read, zero outside the image, transformed to [36][channels / 16][block][16].
void pixels_to_products(Workers& workers, const plan::Place& pixels, const Tiling& tiling, const TileRange& tiles,
                        float* products);
// The gradients of the pixels that tiles give, likewise.
void gradients_to_products(Workers& workers, const plan::Place& gradients, const Tiling& tiling, const TileRange& tiles,
                           float* products);
// Products [36][channels / 16][block][16] to the pixels that tiles give.
void products_to_pixels(Workers& workers, const float* products, const Tiling& tiling, const TileRange& tiles,
                        const plan::Place& pixels);

// Floats from one product's weights to the next's: a line of the cache more than they are, because the 36 that are
// written in turn would else fall into the same few places of it.
constexpr int64_t weight_stride(int64_t in, int64_t out) {
    return in * out + kPanel;
}

// Weights [out][3][3][in] to [36][out / 16][in][16], each of the 36 weight_stride() apart.
void weights_to_products(Workers& workers, const float* weights, int64_t in, int64_t out, float* products);
// The same turned by half a circle, to [36][in / 16][out][16]: the gradient for the input is the convolution of that of
// the output with them.
void turned_weights_to_products(Workers& workers, const float* weights, int64_t in, int64_t out, float* products);
// Gradients [36][in / 16][out][16] of the products' weights to those of the weights [out][3][3][in].
void products_to_weight_gradient(Workers& workers, const float* products, int64_t in, int64_t out, float* gradient);

}  // namespace boneage::onednn::winograd

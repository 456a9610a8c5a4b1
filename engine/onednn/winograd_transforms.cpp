#include "engine/onednn/winograd_transforms.h"

#include <algorithm>

namespace boneage::onednn::winograd {
namespace {

// The points of the interpolation.
constexpr float kA = 0.625F;
constexpr float kB = 1.25F;
constexpr float kA2 = kA * kA;
constexpr float kB2 = kB * kB;
// The one-dimensional transforms. What they read lies `from_stride` lanes apart, what they write `to_stride`.

// Six pixels for the products.
[[gnu::always_inline]] inline void pixels_along(const Lanes* from, int64_t from_stride, Lanes* to, int64_t to_stride) {
    const auto at = [&](int64_t i) -> const Lanes& { return from[i * from_stride]; };
    const Lanes even_a = at(4) - kB2 * at(2);
    const Lanes odd_a = kA * (at(3) - kB2 * at(1));
    const Lanes even_b = at(4) - kA2 * at(2);
    const Lanes odd_b = kB * (at(3) - kA2 * at(1));
    to[0] = kA2 * kB2 * at(0) - (kA2 + kB2) * at(2) + at(4);
    to[to_stride] = even_a + odd_a;
    to[2 * to_stride] = even_a - odd_a;
    to[3 * to_stride] = even_b + odd_b;
    to[4 * to_stride] = even_b - odd_b;
    to[5 * to_stride] = kA2 * kB2 * at(1) - (kA2 + kB2) * at(3) + at(5);
}

// Three weights for the products; the interpolation's divisors are in here.
constexpr float kOverZero = 1.0F / (kA2 * kB2);
constexpr float kOverA = 1.0F / (2.0F * kA2 * (kA2 - kB2));
constexpr float kOverB = 1.0F / (2.0F * kB2 * (kB2 - kA2));

[[gnu::always_inline]] inline void weights_along(const Lanes* from, int64_t from_stride, Lanes* to, int64_t to_stride) {
    const auto at = [&](int64_t i) -> const Lanes& { return from[i * from_stride]; };
    const Lanes even_a = kOverA * (at(0) + kA2 * at(2));
    const Lanes odd_a = (kOverA * kA) * at(1);
    const Lanes even_b = kOverB * (at(0) + kB2 * at(2));
    const Lanes odd_b = (kOverB * kB) * at(1);
    to[0] = kOverZero * at(0);
    to[to_stride] = even_a + odd_a;
    to[2 * to_stride] = even_a - odd_a;
    to[3 * to_stride] = even_b + odd_b;
    to[4 * to_stride] = even_b - odd_b;
    to[5 * to_stride] = at(2);
}

// Its transpose: gradients of the products' weights to those of three weights.
[[gnu::always_inline]] inline void weight_gradients_along(const Lanes* from, int64_t from_stride, Lanes* to,
                                                          int64_t to_stride) {
    const auto at = [&](int64_t i) -> const Lanes& { return from[i * from_stride]; };
    const Lanes sum_a = kOverA * (at(1) + at(2));
    const Lanes sum_b = kOverB * (at(3) + at(4));
    to[0] = kOverZero * at(0) + sum_a + sum_b;
    to[to_stride] = (kOverA * kA) * (at(1) - at(2)) + (kOverB * kB) * (at(3) - at(4));
    to[2 * to_stride] = kA2 * sum_a + kB2 * sum_b + at(5);
}

// The products to four pixels.
[[gnu::always_inline]] inline void products_along(const Lanes* from, int64_t from_stride, Lanes* to,
                                                  int64_t to_stride) {
    const auto at = [&](int64_t i) -> const Lanes& { return from[i * from_stride]; };
    const Lanes sum_a = at(1) + at(2);
    const Lanes sum_b = at(3) + at(4);
    const Lanes difference_a = kA * (at(1) - at(2));
    const Lanes difference_b = kB * (at(3) - at(4));
    to[0] = at(0) + sum_a + sum_b;
    to[to_stride] = difference_a + difference_b;
    to[2 * to_stride] = kA2 * sum_a + kB2 * sum_b;
    to[3 * to_stride] = kA2 * difference_a + kB2 * difference_b + at(5);
}

// Its transpose: gradients of four pixels to those of the products.
[[gnu::always_inline]] inline void gradients_along(const Lanes* from, int64_t from_stride, Lanes* to,
                                                   int64_t to_stride) {
    const auto at = [&](int64_t i) -> const Lanes& { return from[i * from_stride]; };
    const Lanes even_a = at(0) + kA2 * at(2);
    const Lanes odd_a = kA * (at(1) + kA2 * at(3));
    const Lanes even_b = at(0) + kB2 * at(2);
    const Lanes odd_b = kB * (at(1) + kB2 * at(3));
    to[0] = at(0);
    to[to_stride] = even_a + odd_a;
    to[2 * to_stride] = even_a - odd_a;
    to[3 * to_stride] = even_b + odd_b;
    to[4 * to_stride] = even_b - odd_b;
    to[5 * to_stride] = at(3);
}

// Squares of Size pixels a side, zero outside the image, around tiles of `value`,
// transformed along rows and columns. To [36][channels / 16][block][16].
template <int64_t Size, auto Transform>
void transform_tiles(Workers& workers, const plan::Place& value, const Tiling& tiling, const TileRange& tiles,
                     float* to) {
    const int64_t block = tiles.block;
    constexpr int64_t border = (Size - kTile) / 2;
    const int64_t panels = value.shape.c / kPanel;
    const auto* data = reinterpret_cast<const float*>(value.data);
    workers.parallel_for(tiles.count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const Tiling::Corner corner = tiling.corner(tiles.first + tile);
            int64_t offsets[Size][Size];
            for (int64_t i = 0; i < Size; ++i) {
                for (int64_t j = 0; j < Size; ++j) {
                    const int64_t y = corner.y - border + i;
                    const int64_t x = corner.x - border + j;
                    const bool inside = y >= 0 && y < tiling.height && x >= 0 && x < tiling.width;
                    offsets[i][j] = inside ? value.offset(corner.image, y, x, 0) : -1;
                }
            }
            for (int64_t panel = 0; panel < panels; ++panel) {
                for (int64_t part = 0; part < kParts; ++part) {
                    const int64_t channel = panel * kPanel + part * kLanes;
                    Lanes rows[Size][kSide];
                    for (int64_t i = 0; i < Size; ++i) {
                        Lanes pixels[Size];
                        for (int64_t j = 0; j < Size; ++j) {
                            pixels[j] = offsets[i][j] < 0 ? Lanes{} : load(data + offsets[i][j] + channel);
                        }
                        Transform(pixels, 1, rows[i], 1);
                    }
                    float* out = to + (panel * block + tile) * kPanel + part * kLanes;
                    for (int64_t j = 0; j < kSide; ++j) {
                        Lanes column[kSide];
                        Transform(&rows[0][j], kSide, column, 1);
                        for (int64_t i = 0; i < kSide; ++i) {
                            store(column[i], out + (i * kSide + j) * panels * block * kPanel);
                        }
                    }
                }
            }
        }
    });
}

}  // namespace

void pixels_to_products(Workers& workers, const plan::Place& pixels, const Tiling& tiling, const TileRange& tiles,
                        float* products) {
    transform_tiles<kSide, pixels_along>(workers, pixels, tiling, tiles, products);
}

void gradients_to_products(Workers& workers, const plan::Place& gradients, const Tiling& tiling, const TileRange& tiles,
                           float* products) {
    transform_tiles<kTile, gradients_along>(workers, gradients, tiling, tiles, products);
}

void products_to_pixels(Workers& workers, const float* products, const Tiling& tiling, const TileRange& tiles,
                        const plan::Place& pixels) {
    const int64_t block = tiles.block;
    const int64_t panels = pixels.shape.c / kPanel;
    auto* data = reinterpret_cast<float*>(pixels.data);
    workers.parallel_for(tiles.count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const Tiling::Corner corner = tiling.corner(tiles.first + tile);
            const int64_t height = std::min(kTile, tiling.height - corner.y);
            const int64_t width = std::min(kTile, tiling.width - corner.x);
            for (int64_t panel = 0; panel < panels; ++panel) {
                for (int64_t part = 0; part < kParts; ++part) {
                    const float* in = products + (panel * block + tile) * kPanel + part * kLanes;
                    Lanes columns[kTile][kSide];
                    for (int64_t j = 0; j < kSide; ++j) {
                        Lanes column[kSide];
                        for (int64_t i = 0; i < kSide; ++i) {
                            column[i] = load(in + (i * kSide + j) * panels * block * kPanel);
                        }
                        products_along(column, 1, &columns[0][j], kSide);
                    }
                    for (int64_t i = 0; i < height; ++i) {
                        Lanes row[kTile];
                        products_along(columns[i], 1, row, 1);
                        for (int64_t j = 0; j < width; ++j) {
                            store(row[j], data + pixels.offset(corner.image, corner.y + i, corner.x + j,
                                                               panel * kPanel + part * kLanes));
                        }
                    }
                }
            }
        }
    });
}

void weights_to_products(Workers& workers, const float* weights, int64_t in, int64_t out, float* products) {
    workers.parallel_for(out / kPanel, 1, [&](int64_t begin, int64_t end) {
        for (int64_t panel = begin; panel < end; ++panel) {
            for (int64_t c = 0; c < in; ++c) {
                for (int64_t part = 0; part < kParts; ++part) {
                    Lanes g[9];
                    for (int64_t lane = 0; lane < kLanes; ++lane) {
                        const float* one = weights + (panel * kPanel + part * kLanes + lane) * 9 * in + c;
                        for (int64_t i = 0; i < 9; ++i) {
                            g[i][lane] = one[i * in];
                        }
                    }
                    Lanes rows[3][kSide];
                    for (int64_t i = 0; i < 3; ++i) {
                        weights_along(g + i * 3, 1, rows[i], 1);
                    }
                    float* at = products + (panel * in + c) * kPanel + part * kLanes;
                    for (int64_t j = 0; j < kSide; ++j) {
                        Lanes column[kSide];
                        weights_along(&rows[0][j], kSide, column, 1);
                        for (int64_t i = 0; i < kSide; ++i) {
                            store(column[i], at + (i * kSide + j) * weight_stride(in, out));
                        }
                    }
                }
            }
        }
    });
}

void turned_weights_to_products(Workers& workers, const float* weights, int64_t in, int64_t out, float* products) {
    workers.parallel_for(out, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            for (int64_t c = 0; c < in; c += kLanes) {
                Lanes rows[3][kSide];
                for (int64_t i = 0; i < 3; ++i) {
                    Lanes g[3];
                    for (int64_t j = 0; j < 3; ++j) {
                        g[j] = load(weights + (k * 9 + (8 - i * 3 - j)) * in + c);
                    }
                    weights_along(g, 1, rows[i], 1);
                }
                float* at = products + (c / kPanel * out + k) * kPanel + c % kPanel;
                for (int64_t j = 0; j < kSide; ++j) {
                    Lanes column[kSide];
                    weights_along(&rows[0][j], kSide, column, 1);
                    for (int64_t i = 0; i < kSide; ++i) {
                        store(column[i], at + (i * kSide + j) * weight_stride(in, out));
                    }
                }
            }
        }
    });
}

void products_to_weight_gradient(Workers& workers, const float* products, int64_t in, int64_t out, float* gradient) {
    workers.parallel_for(out, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            for (int64_t c = 0; c < in; c += kLanes) {
                const float* at = products + (c / kPanel * out + k) * kPanel + c % kPanel;
                Lanes columns[3][kSide];
                for (int64_t j = 0; j < kSide; ++j) {
                    Lanes column[kSide];
                    for (int64_t i = 0; i < kSide; ++i) {
                        column[i] = load(at + (i * kSide + j) * weight_stride(in, out));
                    }
                    weight_gradients_along(column, 1, &columns[0][j], kSide);
                }
                for (int64_t i = 0; i < 3; ++i) {
                    Lanes g[3];
                    weight_gradients_along(columns[i], 1, g, 1);
                    for (int64_t j = 0; j < 3; ++j) {
                        store(g[j], gradient + (k * 9 + i * 3 + j) * in + c);
                    }
                }
            }
        }
    });
}

}  // namespace boneage::onednn::winograd

#include "engine/onednn/winograd_transforms.h"

#include <algorithm>

namespace boneage::onednn::winograd {
namespace {

// F(4x4, 3x3): the points of its interpolation.
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

// F(2x2, 3x3): the points 0, +-1 and infinity. Four pixels for the products.
[[gnu::always_inline]] inline void short_pixels_along(const Lanes* from, int64_t from_stride, Lanes* to,
                                                      int64_t to_stride) {
    const auto at = [&](int64_t i) -> const Lanes& { return from[i * from_stride]; };
    to[0] = at(0) - at(2);
    to[to_stride] = at(1) + at(2);
    to[2 * to_stride] = at(2) - at(1);
    to[3 * to_stride] = at(1) - at(3);
}

// Three weights for the products.
[[gnu::always_inline]] inline void short_weights_along(const Lanes* from, int64_t from_stride, Lanes* to,
                                                       int64_t to_stride) {
    const auto at = [&](int64_t i) -> const Lanes& { return from[i * from_stride]; };
    const Lanes even = 0.5F * (at(0) + at(2));
    const Lanes odd = 0.5F * at(1);
    to[0] = at(0);
    to[to_stride] = even + odd;
    to[2 * to_stride] = even - odd;
    to[3 * to_stride] = at(2);
}

// The products to two pixels.
[[gnu::always_inline]] inline void short_products_along(const Lanes* from, int64_t from_stride, Lanes* to,
                                                        int64_t to_stride) {
    const auto at = [&](int64_t i) -> const Lanes& { return from[i * from_stride]; };
    to[0] = at(0) + (at(1) + at(2));
    to[to_stride] = (at(1) - at(2)) - at(3);
}

// Where channel `channel` of row `row` stands in panels of `rows` rows each.
constexpr int64_t place_in_panels(int64_t channel, int64_t rows, int64_t row) {
    return (channel / kPanel * rows + row) * kPanel + channel % kPanel;
}

// A transform along both sides of a square: of every row, then of every column.
template <int64_t From, int64_t To, auto Along>
[[gnu::always_inline]] inline void transform_square(const Lanes (&from)[From][From], Lanes (&to)[To][To]) {
    Lanes half[From][To];
    for (int64_t i = 0; i < From; ++i) {
        Along(from[i], 1, half[i], 1);
    }
    for (int64_t j = 0; j < To; ++j) {
        Along(&half[0][j], To, &to[0][j], To);
    }
}

// The same of every column, then of every row.
template <int64_t From, int64_t To, auto Along>
[[gnu::always_inline]] inline void transform_back(const Lanes (&from)[From][From], Lanes (&to)[To][To]) {
    Lanes half[To][From];
    for (int64_t j = 0; j < From; ++j) {
        Along(&from[0][j], From, &half[0][j], From);
    }
    for (int64_t i = 0; i < To; ++i) {
        Along(half[i], 1, to[i], 1);
    }
}

// The products of one place, `stride` floats apart.
template <int64_t Side>
[[gnu::always_inline]] inline void load_products(const float* from, int64_t stride, Lanes (&products)[Side][Side]) {
    for (int64_t i = 0; i < Side * Side; ++i) {
        products[i / Side][i % Side] = load(from + i * stride);
    }
}

template <int64_t Side>
[[gnu::always_inline]] inline void store_products(const Lanes (&products)[Side][Side], float* to, int64_t stride) {
    for (int64_t i = 0; i < Side * Side; ++i) {
        store(products[i / Side][i % Side], to + i * stride);
    }
}

// Squares of Size pixels a side, zero outside the image, around tiles of Tile pixels of `value`, to
// [products][channels / 16][block][16].
template <int64_t Tile, int64_t Size, auto Along>
void transform_tiles(Workers& workers, const plan::Place& value, const Tiling& tiling, const TileRange& tiles,
                     float* to) {
    constexpr int64_t border = (Size - Tile) / 2;
    const auto* data = reinterpret_cast<const float*>(value.data);
    const Strides strides(value);
    workers.parallel_for(tiles.count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const Tiling::Corner corner = tiling.corner(tiles.first + tile);
            const float* image = data + corner.image * strides.image;
            int64_t offsets[Size][Size];
            for (int64_t i = 0; i < Size; ++i) {
                for (int64_t j = 0; j < Size; ++j) {
                    const int64_t y = corner.y - border + i;
                    const int64_t x = corner.x - border + j;
                    const bool inside = y >= 0 && y < tiling.height && x >= 0 && x < tiling.width;
                    offsets[i][j] = inside ? y * strides.row + x * strides.column : -1;
                }
            }
            for (int64_t channel = 0; channel < value.shape.c; channel += kLanes) {
                const float* from = image + channel / kLanes * strides.lanes;
                Lanes pixels[Size][Size];
                for (int64_t i = 0; i < Size; ++i) {
                    for (int64_t j = 0; j < Size; ++j) {
                        pixels[i][j] = offsets[i][j] < 0 ? Lanes{} : load(from + offsets[i][j]);
                    }
                }
                Lanes products[Tile + 2][Tile + 2];
                transform_square<Size, Tile + 2, Along>(pixels, products);
                store_products(products, to + place_in_panels(channel, tiles.block, tile),
                               tile_stride(value.shape.c, tiles.block));
            }
        }
    });
}

template <int64_t Tile, auto Along>
void transform_to_pixels(Workers& workers, const float* products, const Tiling& tiling, const TileRange& tiles,
                         const Finish& finish, const plan::Place& pixels) {
    auto* data = reinterpret_cast<float*>(pixels.data);
    const plan::Place residual = finish.residual != nullptr ? *finish.residual : pixels;
    const auto* added = reinterpret_cast<const float*>(residual.data);
    const Strides to(pixels);
    const Strides from(residual);
    workers.parallel_for(tiles.count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const Tiling::Corner corner = tiling.corner(tiles.first + tile);
            const int64_t height = std::min(Tile, tiling.height - corner.y);
            const int64_t width = std::min(Tile, tiling.width - corner.x);
            const auto first = [&](const Strides& strides) {
                return corner.image * strides.image + corner.y * strides.row + corner.x * strides.column;
            };
            float* tile_data = data + first(to);
            const float* tile_added = added + first(from);
            for (int64_t channel = 0; channel < pixels.shape.c; channel += kLanes) {
                Lanes square[Tile + 2][Tile + 2];
                load_products(products + place_in_panels(channel, tiles.block, tile),
                              tile_stride(pixels.shape.c, tiles.block), square);
                Lanes given[Tile][Tile];
                transform_back<Tile + 2, Tile, Along>(square, given);
                const Lanes bias = finish.bias != nullptr ? load(finish.bias + channel) : Lanes{};
                for (int64_t i = 0; i < height; ++i) {
                    for (int64_t j = 0; j < width; ++j) {
                        const auto at = [&](const Strides& strides) {
                            return channel / kLanes * strides.lanes + i * strides.row + j * strides.column;
                        };
                        Lanes value = given[i][j] + bias;
                        if (finish.residual != nullptr) {
                            value += load(tile_added + at(from));
                        }
                        if (finish.relu) {
                            value = value < 0.0F ? Lanes{} : value;
                        }
                        store(value, tile_data + at(to));
                    }
                }
            }
        }
    });
}

template <int64_t Tile, auto Along>
void transform_weights(Workers& workers, const float* weights, const WeightOrder& order, int64_t in, int64_t out,
                       float* products) {
    workers.parallel_for(out / kPanel, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin * kPanel; k < end * kPanel; k += kPanel) {
            for (int64_t c = 0; c < in; ++c) {
                for (int64_t part = 0; part < kPanel; part += kLanes) {
                    Lanes square[3][3];
                    for (int64_t lane = 0; lane < kLanes; ++lane) {
                        const float* one = weights + (k + part + lane) * 9 * in + c * order.in;
                        for (int64_t i = 0; i < 9; ++i) {
                            square[i / 3][i % 3][lane] = one[i * order.tap];
                        }
                    }
                    Lanes transformed[Tile + 2][Tile + 2];
                    transform_square<3, Tile + 2, Along>(square, transformed);
                    store_products(transformed, products + place_in_panels(k + part, in, c), weight_stride(in, out));
                }
            }
        }
    });
}

}  // namespace

void pixels_to_products(Workers& workers, const plan::Place& pixels, const Tiling& tiling, const TileRange& tiles,
                        float* products) {
    if (tiling.tile == 4) {
        transform_tiles<4, 6, pixels_along>(workers, pixels, tiling, tiles, products);
    } else {
        transform_tiles<2, 4, short_pixels_along>(workers, pixels, tiling, tiles, products);
    }
}

void gradients_to_products(Workers& workers, const plan::Place& gradients, const Tiling& tiling, const TileRange& tiles,
                           float* products) {
    transform_tiles<4, 4, gradients_along>(workers, gradients, tiling, tiles, products);
}

void products_to_pixels(Workers& workers, const float* products, const Tiling& tiling, const TileRange& tiles,
                        const Finish& finish, const plan::Place& pixels) {
    if (tiling.tile == 4) {
        transform_to_pixels<4, products_along>(workers, products, tiling, tiles, finish, pixels);
    } else {
        transform_to_pixels<2, short_products_along>(workers, products, tiling, tiles, finish, pixels);
    }
}

void weights_to_products(Workers& workers, const float* weights, const WeightOrder& order, int64_t in, int64_t out,
                         int64_t tile, float* products) {
    if (tile == 4) {
        transform_weights<4, weights_along>(workers, weights, order, in, out, products);
    } else {
        transform_weights<2, short_weights_along>(workers, weights, order, in, out, products);
    }
}

void turned_weights_to_products(Workers& workers, const float* weights, int64_t in, int64_t out, float* products) {
    workers.parallel_for(out, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            for (int64_t c = 0; c < in; c += kLanes) {
                Lanes square[3][3];
                for (int64_t i = 0; i < 9; ++i) {
                    square[i / 3][i % 3] = load(weights + (k * 9 + 8 - i) * in + c);
                }
                Lanes transformed[6][6];
                transform_square<3, 6, weights_along>(square, transformed);
                store_products(transformed, products + place_in_panels(c, out, k), weight_stride(in, out));
            }
        }
    });
}

void products_to_weight_gradient(Workers& workers, const float* products, int64_t in, int64_t out, float* gradient) {
    workers.parallel_for(out, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            for (int64_t c = 0; c < in; c += kLanes) {
                Lanes square[6][6];
                load_products(products + place_in_panels(c, out, k), weight_stride(in, out), square);
                Lanes given[3][3];
                transform_back<6, 3, weight_gradients_along>(square, given);
                for (int64_t i = 0; i < 9; ++i) {
                    store(given[i / 3][i % 3], gradient + (k * 9 + i) * in + c);
                }
            }
        }
    });
}

}  // namespace boneage::onednn::winograd

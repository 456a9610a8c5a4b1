#include "engine/onednn/winograd.h"

#include "kernels/base/buffer.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <cstring>

namespace boneage::onednn {
namespace {

using plan::Place;

#ifdef __AVX512F__
constexpr int64_t kLanes = 16;
constexpr int kRows = 12;         // of a product of matrices that registers hold
constexpr int kGradientRows = 8;  // the same where a panel is to be shared out evenly
#else
constexpr int64_t kLanes = 8;
constexpr int kRows = 6;
constexpr int kGradientRows = 4;
#endif
using Lanes [[gnu::vector_size(kLanes * sizeof(float))]] = float;

constexpr int64_t kPanel = 16;  // channels that lie together
constexpr int64_t kParts = kPanel / kLanes;
constexpr int64_t kTile = 4;  // pixels a side that one tile gives
constexpr int64_t kSide = 6;  // pixels a side that it reads, and products a side
constexpr int64_t kProducts = kSide * kSide;
constexpr int64_t kBlockBytes = 8 << 20;  // of transformed tiles that are held at a time, to stay in the cache

// The points of the interpolation.
constexpr float kA = 0.625F;
constexpr float kB = 1.25F;
constexpr float kA2 = kA * kA;
constexpr float kB2 = kB * kB;

[[gnu::always_inline]] inline Lanes load(const float* from) {
    Lanes lanes;
    std::memcpy(&lanes, from, sizeof lanes);
    return lanes;
}

[[gnu::always_inline]] inline void store(const Lanes& lanes, float* to) {
    std::memcpy(to, &lanes, sizeof lanes);
}

// The one-dimensional transforms. What they read lies `from_stride` lanes apart, what they write `to_stride`.

// Six pixels for the products.
[[gnu::always_inline]] inline void pixels_to_products(const Lanes* from, int64_t from_stride, Lanes* to,
                                                      int64_t to_stride) {
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

[[gnu::always_inline]] inline void weights_to_products(const Lanes* from, int64_t from_stride, Lanes* to,
                                                       int64_t to_stride) {
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
[[gnu::always_inline]] inline void products_to_weights(const Lanes* from, int64_t from_stride, Lanes* to,
                                                       int64_t to_stride) {
    const auto at = [&](int64_t i) -> const Lanes& { return from[i * from_stride]; };
    const Lanes sum_a = kOverA * (at(1) + at(2));
    const Lanes sum_b = kOverB * (at(3) + at(4));
    to[0] = kOverZero * at(0) + sum_a + sum_b;
    to[to_stride] = (kOverA * kA) * (at(1) - at(2)) + (kOverB * kB) * (at(3) - at(4));
    to[2 * to_stride] = kA2 * sum_a + kB2 * sum_b + at(5);
}

// The products to four pixels.
[[gnu::always_inline]] inline void products_to_pixels(const Lanes* from, int64_t from_stride, Lanes* to,
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
[[gnu::always_inline]] inline void gradients_to_products(const Lanes* from, int64_t from_stride, Lanes* to,
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

// acc[i] = sum over k of a[i * a_row + k * a_step] * b[k], rows of a panel; added to what is there.
template <int Rows>
[[gnu::always_inline]] inline void multiply(const float* a, int64_t a_row, int64_t a_step, const float* b,
                                            int64_t count, Lanes (&acc)[Rows][kParts]) {
    for (int64_t k = 0; k < count; ++k) {
        Lanes row[kParts];
#pragma GCC unroll 2
        for (int64_t part = 0; part < kParts; ++part) {
            row[part] = load(b + k * kPanel + part * kLanes);
        }
#pragma GCC unroll 12
        for (int i = 0; i < Rows; ++i) {
            const float factor = a[i * a_row + k * a_step];
#pragma GCC unroll 2
            for (int64_t part = 0; part < kParts; ++part) {
                acc[i][part] += factor * row[part];
            }
        }
    }
}

// Floats from one product's weights to the next's: a line of the cache more than they are, because the 36 that are
// written in turn would else fall into the same few places of it.
int64_t weight_stride(int64_t in, int64_t out) {
    return in * out + kPanel;
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

// Tiles held at a time, transformed for `channels` channels in all: whole groups of rows that the product takes.
int64_t block_of(const Tiling& tiling, int64_t channels) {
    const int64_t fitting = kBlockBytes / (kProducts * channels * static_cast<int64_t>(sizeof(float)));
    const int64_t wanted = std::min(tiling.count, std::max<int64_t>(fitting, 64));
    return (wanted + kRows - 1) / kRows * kRows;
}

// Squares of Size pixels a side, zero outside the image, around the tiles [first, first + count) of `value`,
// transformed along rows and columns. To [36][channels / 16][block][16].
template <int64_t Size, auto Transform>
void transform_tiles(Workers& workers, const Place& value, const Tiling& tiling, int64_t first, int64_t count,
                     int64_t block, float* to) {
    constexpr int64_t border = (Size - kTile) / 2;
    const int64_t panels = value.shape.c / kPanel;
    const auto* data = reinterpret_cast<const float*>(value.data);
    workers.parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const Tiling::Corner corner = tiling.corner(first + tile);
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

// Products [36][channels / 16][block][16] to the pixels of tiles [first, first + count).
void write_tiles(Workers& workers, const float* from, const Tiling& tiling, int64_t first, int64_t count, int64_t block,
                 const Place& value) {
    const int64_t panels = value.shape.c / kPanel;
    auto* data = reinterpret_cast<float*>(value.data);
    workers.parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            const Tiling::Corner corner = tiling.corner(first + tile);
            const int64_t height = std::min(kTile, tiling.height - corner.y);
            const int64_t width = std::min(kTile, tiling.width - corner.x);
            for (int64_t panel = 0; panel < panels; ++panel) {
                for (int64_t part = 0; part < kParts; ++part) {
                    const float* in = from + (panel * block + tile) * kPanel + part * kLanes;
                    Lanes columns[kTile][kSide];
                    for (int64_t j = 0; j < kSide; ++j) {
                        Lanes column[kSide];
                        for (int64_t i = 0; i < kSide; ++i) {
                            column[i] = load(in + (i * kSide + j) * panels * block * kPanel);
                        }
                        products_to_pixels(column, 1, &columns[0][j], kSide);
                    }
                    for (int64_t i = 0; i < height; ++i) {
                        Lanes pixels[kTile];
                        products_to_pixels(columns[i], 1, pixels, 1);
                        for (int64_t j = 0; j < width; ++j) {
                            store(pixels[j], data + value.offset(corner.image, corner.y + i, corner.x + j,
                                                                 panel * kPanel + part * kLanes));
                        }
                    }
                }
            }
        }
    });
}

// Weights [out][3][3][in] to [36][out / 16][in][16], each of the 36 weight_stride() apart.
void transform_forward_weights(Workers& workers, const float* weight, int64_t in, int64_t out, float* to) {
    workers.parallel_for(out / kPanel, 1, [&](int64_t begin, int64_t end) {
        for (int64_t panel = begin; panel < end; ++panel) {
            for (int64_t c = 0; c < in; ++c) {
                for (int64_t part = 0; part < kParts; ++part) {
                    Lanes g[9];
                    for (int64_t lane = 0; lane < kLanes; ++lane) {
                        const float* one = weight + (panel * kPanel + part * kLanes + lane) * 9 * in + c;
                        for (int64_t i = 0; i < 9; ++i) {
                            g[i][lane] = one[i * in];
                        }
                    }
                    Lanes rows[3][kSide];
                    for (int64_t i = 0; i < 3; ++i) {
                        weights_to_products(g + i * 3, 1, rows[i], 1);
                    }
                    float* at = to + (panel * in + c) * kPanel + part * kLanes;
                    for (int64_t j = 0; j < kSide; ++j) {
                        Lanes column[kSide];
                        weights_to_products(&rows[0][j], kSide, column, 1);
                        for (int64_t i = 0; i < kSide; ++i) {
                            store(column[i], at + (i * kSide + j) * weight_stride(in, out));
                        }
                    }
                }
            }
        }
    });
}

// Weights [out][3][3][in], turned by half a circle, to [36][in / 16][out][16]: the gradient for the input is the
// convolution of that of the output with them.
void transform_turned_weights(Workers& workers, const float* weight, int64_t in, int64_t out, float* to) {
    workers.parallel_for(out, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            for (int64_t c = 0; c < in; c += kLanes) {
                Lanes rows[3][kSide];
                for (int64_t i = 0; i < 3; ++i) {
                    Lanes g[3];
                    for (int64_t j = 0; j < 3; ++j) {
                        g[j] = load(weight + (k * 9 + (8 - i * 3 - j)) * in + c);
                    }
                    weights_to_products(g, 1, rows[i], 1);
                }
                float* at = to + (c / kPanel * out + k) * kPanel + c % kPanel;
                for (int64_t j = 0; j < kSide; ++j) {
                    Lanes column[kSide];
                    weights_to_products(&rows[0][j], kSide, column, 1);
                    for (int64_t i = 0; i < kSide; ++i) {
                        store(column[i], at + (i * kSide + j) * weight_stride(in, out));
                    }
                }
            }
        }
    });
}

// Gradients [36][in / 16][out][16] of the products' weights to those of the weights [out][3][3][in].
void write_weight_gradient(Workers& workers, const float* from, int64_t in, int64_t out, float* gradient) {
    workers.parallel_for(out, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
            for (int64_t c = 0; c < in; c += kLanes) {
                const float* at = from + (c / kPanel * out + k) * kPanel + c % kPanel;
                Lanes columns[3][kSide];
                for (int64_t j = 0; j < kSide; ++j) {
                    Lanes column[kSide];
                    for (int64_t i = 0; i < kSide; ++i) {
                        column[i] = load(at + (i * kSide + j) * weight_stride(in, out));
                    }
                    products_to_weights(column, 1, &columns[0][j], kSide);
                }
                for (int64_t i = 0; i < 3; ++i) {
                    Lanes g[3];
                    products_to_weights(columns[i], 1, g, 1);
                    for (int64_t j = 0; j < 3; ++j) {
                        store(g[j], gradient + (k * 9 + i * 3 + j) * in + c);
                    }
                }
            }
        }
    });
}

// y = conv(x, weights), the weights transformed.
class Convolution {
public:
    Convolution(Team& team, const Place& x, const Place& y)
        : team_(team), x_(x), y_(y), tiling_(y.shape), block_(block_of(tiling_, x.shape.c + y.shape.c)) {}

    [[nodiscard]] int64_t weight_floats() const { return kProducts * weight_stride(x_.shape.c, y_.shape.c); }
    [[nodiscard]] int64_t scratch_bytes() const {
        return scratch_part<float>(weight_floats()) + scratch_part<float>(kProducts * x_.shape.c * block_) +
               scratch_part<float>(kProducts * y_.shape.c * block_);
    }

    // weights_to(memory) fills [36][out / 16][in][16].
    template <class TransformWeights>
    void run(std::byte* scratch, const TransformWeights& weights_to) {
        ScratchCursor<Host> cursor({scratch, scratch_bytes()});
        auto* weights = cursor.take<float>(weight_floats());
        auto* pixels = cursor.take<float>(kProducts * x_.shape.c * block_);
        auto* products = cursor.take<float>(kProducts * y_.shape.c * block_);
        weights_to(weights);
        for (int64_t first = 0; first < tiling_.count; first += block_) {
            const int64_t count = std::min(block_, tiling_.count - first);
            transform_tiles<kSide, pixels_to_products>(team_.workers(), x_, tiling_, first, count, block_, pixels);
            multiply_all(pixels, weights, count, products);
            write_tiles(team_.workers(), products, tiling_, first, count, block_, y_);
        }
    }

private:
    void multiply_all(const float* pixels, const float* weights, int64_t count, float* products) {
        const int64_t in = x_.shape.c;
        const int64_t in_panels = in / kPanel;
        const int64_t out_panels = y_.shape.c / kPanel;
        team_.workers().parallel_for(kProducts * out_panels, 1, [&](int64_t begin, int64_t end) {
            for (int64_t task = begin; task < end; ++task) {
                const float* a = pixels + task / out_panels * in_panels * block_ * kPanel;
                const float* b =
                    weights + task / out_panels * weight_stride(in, y_.shape.c) + task % out_panels * in * kPanel;
                float* c = products + task * block_ * kPanel;
                for (int64_t tile = 0; tile < count; tile += kRows) {
                    Lanes acc[kRows][kParts] = {};
                    for (int64_t panel = 0; panel < in_panels; ++panel) {
                        multiply<kRows>(a + (panel * block_ + tile) * kPanel, kPanel, 1, b + panel * kPanel * kPanel,
                                        kPanel, acc);
                    }
                    for (int i = 0; i < kRows; ++i) {
                        for (int64_t part = 0; part < kParts; ++part) {
                            store(acc[i][part], c + (tile + i) * kPanel + part * kLanes);
                        }
                    }
                }
            }
        });
    }

    Team& team_;
    Place x_;
    Place y_;
    Tiling tiling_;
    int64_t block_;
};

class Forward final : public plan::Runnable {
public:
    Forward(Team& team, const Place& x, const Place& y, const float* weight)
        : team_(team), convolution_(team, x, y), weight_(weight), in_(x.shape.c), out_(y.shape.c) {}

    [[nodiscard]] int64_t scratch_bytes() const override { return convolution_.scratch_bytes(); }
    void run(std::byte* scratch) override {
        convolution_.run(scratch,
                         [&](float* to) { transform_forward_weights(team_.workers(), weight_, in_, out_, to); });
    }

private:
    Team& team_;
    Convolution convolution_;
    const float* weight_;
    int64_t in_;
    int64_t out_;
};

class GradInput final : public plan::Runnable {
public:
    GradInput(Team& team, const Place& d_y, const Place& d_x, const float* weight)
        : team_(team), convolution_(team, d_y, d_x), weight_(weight), in_(d_x.shape.c), out_(d_y.shape.c) {}

    [[nodiscard]] int64_t scratch_bytes() const override { return convolution_.scratch_bytes(); }
    void run(std::byte* scratch) override {
        convolution_.run(scratch,
                         [&](float* to) { transform_turned_weights(team_.workers(), weight_, in_, out_, to); });
    }

private:
    Team& team_;
    Convolution convolution_;
    const float* weight_;
    int64_t in_;
    int64_t out_;
};

class GradWeight final : public plan::Runnable {
public:
    GradWeight(Team& team, const Place& x, const Place& d_y, float* gradient)
        : team_(team),
          x_(x),
          d_y_(d_y),
          gradient_(gradient),
          tiling_(d_y.shape),
          block_(block_of(tiling_, x.shape.c + d_y.shape.c)) {}

    [[nodiscard]] int64_t scratch_bytes() const override {
        return scratch_part<float>(weight_floats()) + scratch_part<float>(kProducts * x_.shape.c * block_) +
               scratch_part<float>(kProducts * d_y_.shape.c * block_);
    }
    void run(std::byte* scratch) override {
        ScratchCursor<Host> cursor({scratch, scratch_bytes()});
        auto* weights = cursor.take<float>(weight_floats());
        auto* pixels = cursor.take<float>(kProducts * x_.shape.c * block_);
        auto* gradients = cursor.take<float>(kProducts * d_y_.shape.c * block_);
        for (int64_t first = 0; first < tiling_.count; first += block_) {
            const int64_t count = std::min(block_, tiling_.count - first);
            transform_tiles<kSide, pixels_to_products>(team_.workers(), x_, tiling_, first, count, block_, pixels);
            transform_tiles<kTile, gradients_to_products>(team_.workers(), d_y_, tiling_, first, count, block_,
                                                          gradients);
            multiply_all(pixels, gradients, count, first > 0, weights);
        }
        write_weight_gradient(team_.workers(), weights, x_.shape.c, d_y_.shape.c, gradient_);
    }

private:
    [[nodiscard]] int64_t weight_floats() const { return kProducts * weight_stride(x_.shape.c, d_y_.shape.c); }

    // weights [36][in / 16][out][16] = (or += where `adds`) the sum over tiles of gradient times pixel.
    void multiply_all(const float* pixels, const float* gradients, int64_t count, bool adds, float* weights) {
        const int64_t out = d_y_.shape.c;
        const int64_t in_panels = x_.shape.c / kPanel;
        team_.workers().parallel_for(kProducts * in_panels, 1, [&](int64_t begin, int64_t end) {
            for (int64_t task = begin; task < end; ++task) {
                const float* a = gradients + task / in_panels * out * block_;
                const float* b = pixels + task * block_ * kPanel;
                for (int64_t k = 0; k < out; k += kGradientRows) {
                    float* c = weights + task / in_panels * weight_stride(x_.shape.c, out) +
                               (task % in_panels * out + k) * kPanel;
                    Lanes acc[kGradientRows][kParts] = {};
                    multiply<kGradientRows>(a + k / kPanel * block_ * kPanel + k % kPanel, 1, kPanel, b, count, acc);
                    for (int i = 0; i < kGradientRows; ++i) {
                        for (int64_t part = 0; part < kParts; ++part) {
                            float* at = c + i * kPanel + part * kLanes;
                            store(adds ? load(at) + acc[i][part] : acc[i][part], at);
                        }
                    }
                }
            }
        });
    }

    Team& team_;
    Place x_;
    Place d_y_;
    float* gradient_;
    Tiling tiling_;
    int64_t block_;
};

bool fits(const plan::ConvShape& conv, const Place& x, const Place& y) {
    const auto panels = [](const Place& place) {
        return place.type == plan::DataType::f32 && place.channel_block == 1 && place.shape.c % kPanel == 0;
    };
    return conv.kernel == 3 && conv.stride == 1 && conv.padding == 1 && panels(x) && panels(y);
}

}  // namespace

bool winograd_fits(const plan::ConvForward& step, const plan::TrainingMemory& memory) {
    return !step.bias && fits(step.conv, memory.place(step.x), memory.place(step.y));
}

bool winograd_fits(const plan::ConvGradInput& step, const plan::TrainingMemory& memory) {
    return step.write == Write::assign && fits(step.conv, memory.place(step.d_x), memory.place(step.d_y));
}

bool winograd_fits(const plan::ConvGradWeight& step, const plan::TrainingMemory& memory) {
    return fits(step.conv, memory.place(step.x), memory.place(step.d_y));
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvForward& step,
                                                   const plan::TrainingMemory& memory) {
    expects(winograd_fits(step, memory), "this convolution is none for Winograd's");
    return std::make_unique<Forward>(team, memory.place(step.x), memory.place(step.y),
                                     memory.parameter_data(step.conv.weight));
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradInput& step,
                                                   const plan::TrainingMemory& memory) {
    expects(winograd_fits(step, memory), "this convolution is none for Winograd's");
    return std::make_unique<GradInput>(team, memory.place(step.d_y), memory.place(step.d_x),
                                       memory.parameter_data(step.conv.weight));
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradWeight& step,
                                                   const plan::TrainingMemory& memory) {
    expects(winograd_fits(step, memory), "this convolution is none for Winograd's");
    return std::make_unique<GradWeight>(team, memory.place(step.x), memory.place(step.d_y),
                                        memory.gradient_data(step.conv.weight));
}

}  // namespace boneage::onednn

#include "engine/onednn/winograd.h"

#include "engine/onednn/winograd_transforms.h"
#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/base/numeric.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <unistd.h>
#include <vector>

namespace boneage::onednn {
namespace {

using plan::Place;
using namespace winograd;

// Rows of a product of matrices that registers hold: enough to hide what a multiply-add takes.
constexpr int kRows = kLanes == 16 ? 12 : kLanes == 8 ? 6 : 3;
// Panels of the result that are made at a time, where registers suffice: what is read of the left side serves them all.
constexpr int kColumns = kLanes == 16 ? 2 : 1;
// Rows where a panel is to be shared out evenly.
constexpr int kGradientRows = kLanes == 16 ? 8 : kLanes == 8 ? 4 : 2;

constexpr int64_t kAhead = 8;  // lines of a panel that are fetched before they are needed

// Rows of a product of matrices, Columns panels of it.
template <int Rows, int Columns>
using Sums = Lanes[Rows][Columns * kParts];

// acc[i] += sum over k of a[i * a_row + k * a_step] * b[k], rows of panels that lie b_panel apart.
template <int Rows, int Columns>
[[gnu::always_inline]] inline void multiply(const float* a, int64_t a_row, int64_t a_step, const float* b,
                                            int64_t b_panel, int64_t count, Sums<Rows, Columns>& acc) {
    for (int64_t k = 0; k < count; ++k) {
        Lanes row[Columns * kParts];
#pragma GCC unroll 8
        for (int64_t part = 0; part < Columns * kParts; ++part) {
            const float* from = b + part / kParts * b_panel + k * kPanel + part % kParts * kLanes;
            row[part] = load(from);
            __builtin_prefetch(from + kAhead * kPanel);
        }
#pragma GCC unroll 12
        for (int i = 0; i < Rows; ++i) {
            const float factor = a[i * a_row + k * a_step];
#pragma GCC unroll 8
            for (int64_t part = 0; part < Columns * kParts; ++part) {
                acc[i][part] += factor * row[part];
            }
        }
    }
}

// Bytes of the cache that every core has of its own.
int64_t second_cache() {
    const int64_t bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return bytes > 0 ? bytes : 1 << 20;
}

// Tiles whose products are held at a time: as many as stay beside the weights in the cache that every core has of its
// own, or some more where the weights do not, which are read again for every block.
int64_t tiles_beside_weights(int64_t in, int64_t out, int64_t products) {
    const int64_t floats = second_cache() / 8 * 7 / static_cast<int64_t>(sizeof(float)) / products;
    const int64_t fitting = (floats - weight_stride(in, out)) / (in + out) / kRows * kRows;
    return fitting > 0 ? fitting : 3 * kRows * products_of(4) / products;
}

// What the steps share: the tiles that join x and y, and scratch for the products of a block of them.
class Tiled : public plan::Runnable {
public:
    [[nodiscard]] int64_t scratch_bytes() const override {
        return scratch_part<float>(block_floats(x_)) + scratch_part<float>(block_floats(y_));
    }

protected:
    struct Products {
        float* x;
        float* y;
    };

    // `tile` pixels a side, blocks of `block` tiles; whole groups of rows that the product takes.
    Tiled(Team& team, const Place& x, const Place& y, int64_t tile, int64_t block)
        : team_(team),
          x_(x),
          y_(y),
          tiling_(y.shape, tile),
          products_(products_of(tile)),
          block_(round_up(std::min(tiling_.count, block), kRows)) {}

    [[nodiscard]] Products take_products(ScratchCursor<Host>& cursor) const {
        auto* x = cursor.take<float>(block_floats(x_));
        return {x, cursor.take<float>(block_floats(y_))};
    }
    [[nodiscard]] int64_t weight_floats() const { return products_ * weight_stride(x_.shape.c, y_.shape.c); }
    // Calls body(tiles) for block after block.
    void for_blocks(const auto& body) const {
        for (int64_t first = 0; first < tiling_.count; first += block_) {
            body(TileRange{first, std::min(block_, tiling_.count - first), block_});
        }
    }

    Team& team_;
    Place x_;
    Place y_;
    Tiling tiling_;
    int64_t products_;  // of a tile
    int64_t block_;

private:
    [[nodiscard]] int64_t block_floats(const Place& value) const {
        return products_ * tile_stride(value.shape.c, block_);
    }
};

// y = conv(x), by weights that are transformed already.
class Convolution : public Tiled {
protected:
    Convolution(Team& team, const Place& x, const Place& y, int64_t tile)
        : Tiled(team, x, y, tile, tiles_beside_weights(x.shape.c, y.shape.c, products_of(tile)) * team.threads()) {}

    void convolve(const float* weights, const Products& products, const Finish& finish) {
        for_blocks([&](const TileRange& tiles) {
            pixels_to_products(team_.workers(), x_, tiling_, tiles, products.x);
            multiply_all(products.x, weights, tiles.count, products.y);
            products_to_pixels(team_.workers(), products.y, tiling_, tiles, finish, y_);
        });
    }

private:
    void multiply_all(const float* pixels, const float* weights, int64_t count, float* products) {
        const int64_t in = x_.shape.c;
        const int64_t out = y_.shape.c;
        const int64_t panels = out / kPanel;
        const int64_t tasks = (panels + kColumns - 1) / kColumns;  // of one product
        team_.workers().parallel_for(products_ * tasks, 1, [&](int64_t begin, int64_t end) {
            for (int64_t task = begin; task < end; ++task) {
                const int64_t product = task / tasks;
                const int64_t panel = task % tasks * kColumns;
                const float* a = pixels + product * tile_stride(in, block_);
                const float* b = weights + product * weight_stride(in, out) + panel * in * kPanel;
                float* c = products + product * tile_stride(out, block_) + panel * block_ * kPanel;
                if (panels - panel >= kColumns) {
                    multiply_panels<kColumns>(a, b, count, c);
                } else {
                    multiply_panels<1>(a, b, count, c);
                }
            }
        });
    }

    // c [Columns][block][16] = a [in / 16][block][16] * b [Columns][in][16], of `count` tiles.
    template <int Columns>
    void multiply_panels(const float* a, const float* b, int64_t count, float* c) const {
        int64_t tile = 0;
        for (; count - tile > kRows / 3 * 2; tile += kRows) {
            multiply_rows<kRows, Columns>(a + tile * kPanel, b, c + tile * kPanel);
        }
        if (count - tile > kRows / 3) {
            multiply_rows<kRows / 3 * 2, Columns>(a + tile * kPanel, b, c + tile * kPanel);
        } else if (count > tile) {
            multiply_rows<kRows / 3, Columns>(a + tile * kPanel, b, c + tile * kPanel);
        }
    }

    template <int Rows, int Columns>
    void multiply_rows(const float* a, const float* b, float* c) const {
        const int64_t in = x_.shape.c;
        Sums<Rows, Columns> acc = {};
        for (int64_t first = 0; first < in; first += kPanel) {
            multiply<Rows, Columns>(a + first * block_, kPanel, 1, b + first * kPanel, in * kPanel, kPanel, acc);
        }
#pragma GCC unroll 12
        for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
            for (int64_t part = 0; part < Columns * kParts; ++part) {
                store(acc[i][part], c + (part / kParts * block_ + i) * kPanel + part % kParts * kLanes);
            }
        }
    }
};

// Of a layer that is being trained, forward or backward: its weights change from run to run.
class LayerConvolution final : public Convolution {
public:
    // Either direction: `transform` brings the layer's weights, [out][3][3][in], to [36][y's channels / 16][x's
    // channels][16].
    using Transform = void (*)(Workers& workers, const float* weights, int64_t in, int64_t out, float* products);
    LayerConvolution(Team& team, const Place& x, const Place& y, const float* weights, Transform transform, int64_t in,
                     int64_t out)
        : Convolution(team, x, y, 4), layer_weights_(weights), transform_(transform), in_(in), out_(out) {}

    [[nodiscard]] int64_t scratch_bytes() const override {
        return scratch_part<float>(weight_floats()) + Convolution::scratch_bytes();
    }

    void run(std::byte* scratch) override {
        ScratchCursor<Host> cursor({scratch, scratch_bytes()});
        auto* weights = cursor.take<float>(weight_floats());
        transform_(team_.workers(), layer_weights_, in_, out_, weights);
        convolve(weights, take_products(cursor), {});
    }

private:
    const float* layer_weights_;
    Transform transform_;
    int64_t in_;
    int64_t out_;
};

// Transformed weights.
using SharedWeights = std::shared_ptr<const Buffer<float, Host>>;

// What a process holds, each once, however many networks have the same: every worker has one of its own.
class HeldWeights {
public:
    SharedWeights share(Buffer<float, Host> weights) {
        const std::lock_guard lock(mutex_);
        std::erase_if(held_, [](const auto& one) { return one.expired(); });
        for (const auto& one : held_) {
            SharedWeights same = one.lock();
            if (same && std::ranges::equal(*same, weights)) {
                return same;
            }
        }
        auto kept = std::make_shared<const Buffer<float, Host>>(std::move(weights));
        held_.push_back(kept);
        return kept;
    }

    [[nodiscard]] int64_t bytes() {
        const std::lock_guard lock(mutex_);
        int64_t floats = 0;
        for (const auto& one : held_) {
            const SharedWeights weights = one.lock();
            floats += weights ? weights->size() : 0;
        }
        return floats * static_cast<int64_t>(sizeof(float));
    }

private:
    std::mutex mutex_;
    std::vector<std::weak_ptr<const Buffer<float, Host>>> held_;
};

HeldWeights& held_weights() {
    static HeldWeights weights;
    return weights;
}

// F(4x4) takes fewer products for a pixel, F(2x2) fewer weights, 16 of 36: of an image of few tiles they outweigh.
int64_t tile_for(const plan::Shape& y) {
    return ceil_div(y.h, 4) * ceil_div(y.w, 4) > 4 ? 4 : 2;
}

// Of a network that is done: what follows is part of it.
class FusedConvolution final : public Convolution {
public:
    FusedConvolution(Team& team, const plan::FusedConv& step, const plan::Operands& at, const plan::Weights& weights)
        : Convolution(team, at.x, at.y, tile_for(at.y.shape)),
          residual_(at.residual),
          relu_(step.relu),
          bias_(weights.bias) {
        const int64_t in = at.x.shape.c;
        const int64_t out = at.y.shape.c;
        std::vector<float> ordered(weights.weight.size());  // [out][3][3][in]
        for (int64_t k = 0; k < out; ++k) {
            for (int64_t c = 0; c < in; ++c) {
                for (int64_t i = 0; i < 9; ++i) {
                    ordered[static_cast<size_t>((k * 9 + i) * in + c)] =
                        weights.weight[static_cast<size_t>((k * in + c) * 9 + i)];
                }
            }
        }
        Buffer<float, Host> transformed(weight_floats());
        std::fill_n(transformed.data(), transformed.size(), 0.0F);
        weights_to_products(team.workers(), ordered.data(), in, out, tiling_.tile, transformed.data());
        weights_ = held_weights().share(std::move(transformed));
    }

    void run(std::byte* scratch) override {
        ScratchCursor<Host> cursor({scratch, scratch_bytes()});
        convolve(weights_->data(), take_products(cursor), {bias_.data(), residual_ ? &*residual_ : nullptr, relu_});
    }

private:
    std::optional<Place> residual_;
    bool relu_;
    std::vector<float> bias_;
    SharedWeights weights_;
};

// Tiles of both sides, transformed, that a weight's gradient sums at a time: enough to be worth reading and writing it.
constexpr int64_t kGradientBytes = 8 << 20;

int64_t tiles_of_gradient(int64_t channels) {
    const int64_t fitting = kGradientBytes / (products_of(4) * channels * static_cast<int64_t>(sizeof(float)));
    return std::max<int64_t>(fitting, 64);
}

class GradWeight final : public Tiled {
public:
    GradWeight(Team& team, const Place& x, const Place& d_y, float* gradient)
        : Tiled(team, x, d_y, 4, tiles_of_gradient(x.shape.c + d_y.shape.c)), gradient_(gradient) {}

    [[nodiscard]] int64_t scratch_bytes() const override {
        return scratch_part<float>(weight_floats()) + Tiled::scratch_bytes();
    }

    void run(std::byte* scratch) override {
        ScratchCursor<Host> cursor({scratch, scratch_bytes()});
        auto* weights = cursor.take<float>(weight_floats());
        const Products products = take_products(cursor);
        for_blocks([&](const TileRange& tiles) {
            pixels_to_products(team_.workers(), x_, tiling_, tiles, products.x);
            gradients_to_products(team_.workers(), y_, tiling_, tiles, products.y);
            multiply_all(products.x, products.y, tiles.count, tiles.first > 0, weights);
        });
        products_to_weight_gradient(team_.workers(), weights, x_.shape.c, y_.shape.c, gradient_);
    }

private:
    // weights [36][in / 16][out][16] = (or += where `adds`) the sum over tiles of gradient times pixel.
    void multiply_all(const float* pixels, const float* gradients, int64_t count, bool adds, float* weights) {
        const int64_t out = y_.shape.c;
        const int64_t in_panels = x_.shape.c / kPanel;
        team_.workers().parallel_for(products_ * in_panels, 1, [&](int64_t begin, int64_t end) {
            for (int64_t task = begin; task < end; ++task) {
                const float* a = gradients + task / in_panels * tile_stride(out, block_);
                const float* b =
                    pixels + task / in_panels * tile_stride(x_.shape.c, block_) + task % in_panels * block_ * kPanel;
                for (int64_t k = 0; k < out; k += kGradientRows) {
                    float* c = weights + task / in_panels * weight_stride(x_.shape.c, out) +
                               (task % in_panels * out + k) * kPanel;
                    Sums<kGradientRows, 1> acc = {};
                    multiply<kGradientRows, 1>(a + k / kPanel * block_ * kPanel + k % kPanel, 1, kPanel, b, 0, count,
                                               acc);
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

    float* gradient_;
};

bool fits(const plan::ConvShape& conv, const Place& x, const Place& y) {
    const auto panels = [](const Place& place) {
        return place.type == plan::DataType::f32 && place.channel_block == 1 && place.shape.c % kPanel == 0;
    };
    return conv.kernel == 3 && conv.stride == 1 && conv.padding == 1 && panels(x) && panels(y);
}

}  // namespace

bool winograd_fits(const plan::FusedConv& step, const plan::Operands& at) {
    const auto takes = [](const Place& place) {
        return place.type == plan::DataType::f32 && has_lanes(place) && place.shape.c % kPanel == 0;
    };
    return step.kernel == 3 && step.stride == 1 && step.padding == 1 && takes(at.x) && takes(at.y) &&
           (!at.residual || takes(*at.residual));
}

bool winograd_fits(const plan::ConvForward& step, const plan::TrainingMemory& memory) {
    return !step.bias && fits(step.conv, memory.place(step.x), memory.place(step.y));
}

bool winograd_fits(const plan::ConvGradInput& step, const plan::TrainingMemory& memory) {
    return step.write == Write::assign && fits(step.conv, memory.place(step.d_x), memory.place(step.d_y));
}

bool winograd_fits(const plan::ConvGradWeight& step, const plan::TrainingMemory& memory) {
    return fits(step.conv, memory.place(step.x), memory.place(step.d_y));
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::FusedConv& step, const plan::Operands& at,
                                                   const plan::Weights& weights) {
    expects(winograd_fits(step, at), "this convolution is none for Winograd's");
    plan::expect_finite(weights, step.weights.weight);
    return std::make_unique<FusedConvolution>(team, step, at, weights);
}

int64_t winograd_weight_bytes() {
    return held_weights().bytes();
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvForward& step,
                                                   const plan::TrainingMemory& memory) {
    expects(winograd_fits(step, memory), "this convolution is none for Winograd's");
    const Place x = memory.place(step.x);
    const Place y = memory.place(step.y);
    const auto transform = [](Workers& workers, const float* weights, int64_t in, int64_t out, float* products) {
        weights_to_products(workers, weights, in, out, 4, products);
    };
    return std::make_unique<LayerConvolution>(team, x, y, memory.parameter_data(step.conv.weight), transform, x.shape.c,
                                              y.shape.c);
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradInput& step,
                                                   const plan::TrainingMemory& memory) {
    expects(winograd_fits(step, memory), "this convolution is none for Winograd's");
    const Place d_y = memory.place(step.d_y);
    const Place d_x = memory.place(step.d_x);
    return std::make_unique<LayerConvolution>(team, d_y, d_x, memory.parameter_data(step.conv.weight),
                                              turned_weights_to_products, d_x.shape.c, d_y.shape.c);
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradWeight& step,
                                                   const plan::TrainingMemory& memory) {
    expects(winograd_fits(step, memory), "this convolution is none for Winograd's");
    return std::make_unique<GradWeight>(team, memory.place(step.x), memory.place(step.d_y),
                                        memory.gradient_data(step.conv.weight));
}

}  // namespace boneage::onednn

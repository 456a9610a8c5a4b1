#include "engine/onednn/winograd.h"

#include "engine/onednn/winograd_transforms.h"
#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/base/view.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <unistd.h>
#include <vector>

namespace boneage::onednn {
namespace {

using plan::Place;
using namespace winograd;

// Rows of a product of matrices that registers hold: enough to hide what a multiply-add takes.
constexpr int kRows = kLanes == 16 ? 12 : kLanes == 8 ? 6 : 3;
constexpr int kFewestRows = kRows / 3;  // where no more are left
// Panels of the result that are made at a time, where registers suffice: what is read of the left side serves them all.
constexpr int kColumns = kLanes == 16 ? 2 : 1;
// Rows of the product that is a weight's gradient; they divide a panel.
constexpr int kGradientRows = kLanes == 16 ? 8 : kLanes == 8 ? 4 : 2;

constexpr int64_t kAhead = 8;  // lines of a panel that are brought into the first cache before they are needed

// Rows of a product of matrices, Columns panels of it.
template <int Rows, int Columns>
using Sums = Lanes[Rows][Columns * kParts];

// acc[i] += sum over k of a[i * a_row + k * a_step] * b[k], rows of panels that lie b_panel apart. Meanwhile as many
// lines from `later` on are brought into the second cache.
template <int Rows, int Columns>
[[gnu::always_inline]] inline void multiply(const float* a, int64_t a_row, int64_t a_step, const float* b,
                                            int64_t b_panel, int64_t count, const float* later,
                                            Sums<Rows, Columns>& acc) {
    for (int64_t k = 0; k < count; ++k) {
        __builtin_prefetch(later + k * kPanel, 0, 2);
        Lanes row[Columns * kParts];
#pragma GCC unroll 8
        for (int64_t part = 0; part < Columns * kParts; ++part) {
            const float* from = b + part / kParts * b_panel + k * kPanel + part % kParts * kLanes;
            row[part] = load(from);
            if (part % kParts == 0) {
                __builtin_prefetch(from + kAhead * kPanel);
            }
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

// Bytes of the cache that every core has of its own. Machines that do not say have a common one.
int64_t second_cache() {
    int64_t bytes = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return bytes > 0 ? std::min<int64_t>(bytes, 4 << 20) : 1 << 20;
}

// Tiles whose products a thread holds at a time: as many as stay in its cache beside the weights. Where the weights
// alone do not, they are read again for every block, and its size weighs less: some groups of rows, as many floats as
// 36 products would have.
int64_t tiles_beside_weights(int64_t in, int64_t out, int64_t products) {
    const int64_t floats = second_cache() / 8 * 7 / static_cast<int64_t>(sizeof(float)) / products;
    const int64_t fitting = (floats - weight_stride(in, out)) / (in + out);
    return fitting >= kRows ? fitting : 3 * kRows * products_of(4) / products;
}

// What the steps share: the tiles that join x and y, and scratch for the products of a block of them.
class Tiled : public plan::Runnable {
public:
    [[nodiscard]] std::string implementation() const override {
        const std::string tile = std::to_string(tiling_.tile);
        return "Winograd F(" + tile + "x" + tile + ", 3x3)";
    }

protected:
    struct Products {
        float* x;
        float* y;
    };

    // Tiles of `tile` pixels a side, equal blocks of about `block` tiles: whole groups of rows that the product takes.
    Tiled(Team& team, const Place& x, const Place& y, int64_t tile, int64_t block)
        : team_(team),
          x_(x),
          y_(y),
          tiling_(y.shape, tile),
          block_(round_up(ceil_div(tiling_.count, ceil_div(tiling_.count, block)), kFewestRows)) {}

    [[nodiscard]] Products take_products(ScratchCursor<Host>& cursor) const {
        auto* x = cursor.take<float>(block_floats(x_));
        return {x, cursor.take<float>(block_floats(y_))};
    }
    [[nodiscard]] int64_t products_bytes() const {
        return scratch_part<float>(block_floats(x_)) + scratch_part<float>(block_floats(y_));
    }
    [[nodiscard]] int64_t weight_floats() const { return tiling_.products() * weight_stride(x_.shape.c, y_.shape.c); }
    [[nodiscard]] int64_t weight_bytes() const { return scratch_part<float>(weight_floats()); }
    [[nodiscard]] int64_t blocks() const { return ceil_div(tiling_.count, block_); }
    [[nodiscard]] TileRange tiles_of_block(int64_t i) const {
        const int64_t first = i * block_;
        return {first, std::min(block_, tiling_.count - first), block_};
    }

    Team& team_;
    Place x_;
    Place y_;
    Tiling tiling_;
    int64_t block_;  // tiles

private:
    [[nodiscard]] int64_t block_floats(const Place& value) const {
        return tiling_.products() * tile_stride(value.shape.c, block_);
    }
};

// y = conv(x), by weights that are transformed already. Every thread does blocks of its own, while there are enough.
class Convolution : public Tiled {
public:
    [[nodiscard]] int64_t scratch_bytes() const override { return team_.threads() * products_bytes(); }

protected:
    Convolution(Team& team, const Place& x, const Place& y, int64_t tile)
        : Tiled(team, x, y, tile, tiles_beside_weights(x.shape.c, y.shape.c, products_of(tile))) {}

    // `scratch` has room for every thread's products.
    void convolve(const float* weights, std::byte* scratch, const Finish& finish) {
        team_.for_images(blocks(), [&](int64_t block, const Crew& crew) {
            const TileRange tiles = tiles_of_block(block);
            ScratchCursor<Host> cursor({scratch + crew.slot * products_bytes(), products_bytes()});
            const Products products = take_products(cursor);
            pixels_to_products(crew.workers, x_, tiling_, tiles, products.x);
            multiply_all(crew.workers, products.x, weights, tiles.count, products.y);
            products_to_pixels(crew.workers, products.y, tiling_, tiles, finish, y_);
        });
    }

private:
    void multiply_all(Workers& workers, const float* pixels, const float* weights, int64_t count,
                      float* products) const {
        const int64_t in = x_.shape.c;
        const int64_t out = y_.shape.c;
        const int64_t panels = out / kPanel;
        const int64_t tasks = ceil_div(panels, kColumns);  // of one product
        const bool whole = panels % kColumns == 0;         // all tasks have as many panels
        const auto panels_of = [&](int64_t task) {
            return weights + task / tasks * weight_stride(in, out) + task % tasks * kColumns * in * kPanel;
        };
        workers.parallel_for(tiling_.products() * tasks, 1, [&](int64_t begin, int64_t end) {
            for (int64_t task = begin; task < end; ++task) {
                const int64_t product = task / tasks;
                const int64_t panel = task % tasks * kColumns;
                const float* a = pixels + product * tile_stride(in, block_);
                const float* b = panels_of(task);
                const float* later = panels_of(whole ? std::min(task + 1, end - 1) : task);
                float* c = products + product * tile_stride(out, block_) + panel * block_ * kPanel;
                if (panels - panel >= kColumns) {
                    multiply_panels<kColumns>(a, b, count, later, c);
                } else {
                    multiply_panels<1>(a, b, count, later, c);
                }
            }
        });
    }

    // c [Columns][block][16] = a [in / 16][block][16] * b [Columns][in][16], of `count` tiles. A few tiles need less
    // time than reading their weights from memory, so those that are needed next, `later`, are fetched meanwhile.
    template <int Columns>
    void multiply_panels(const float* a, const float* b, int64_t count, const float* later, float* c) const {
        int64_t tile = 0;
        int64_t fetched = 0;  // of the panels at `later`
        const auto take = [&]<int Rows>(std::integral_constant<int, Rows>) {
            const float* fetch = fetched < Columns ? later + fetched++ * x_.shape.c * kPanel : b;
            multiply_rows<Rows, Columns>(a + tile * kPanel, b, fetch, c + tile * kPanel);
            tile += Rows;
        };
        while (count - tile > 2 * kFewestRows) {
            take(std::integral_constant<int, kRows>{});
        }
        if (count - tile > kFewestRows) {
            take(std::integral_constant<int, 2 * kFewestRows>{});
        }
        if (count > tile) {
            take(std::integral_constant<int, kFewestRows>{});
        }
    }

    template <int Rows, int Columns>
    void multiply_rows(const float* a, const float* b, const float* later, float* c) const {
        const int64_t in = x_.shape.c;
        Sums<Rows, Columns> acc = {};
        for (int64_t first = 0; first < in; first += kPanel) {
            multiply<Rows, Columns>(a + first * block_, kPanel, 1, b + first * kPanel, in * kPanel, kPanel,
                                    later + first * kPanel, acc);
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

    [[nodiscard]] int64_t scratch_bytes() const override { return weight_bytes() + Convolution::scratch_bytes(); }

    void run(std::byte* scratch) override {
        auto* weights = reinterpret_cast<float*>(scratch);
        transform_(team_.workers(), layer_weights_, in_, out_, weights);
        convolve(weights, scratch + weight_bytes(), {});
    }

private:
    const float* layer_weights_;
    Transform transform_;
    int64_t in_;
    int64_t out_;
};

// F(4x4) takes fewer products for a pixel, F(2x2) fewer weights, 16 of 36: of an image of few tiles they outweigh.
// Whatever the batch, so that an image's bits are the same in all.
int64_t tile_for(const plan::Shape& y) {
    return ceil_div(y.h, 4) * ceil_div(y.w, 4) > 4 ? 4 : 2;
}

// Of a network that is done: what follows is part of it.
class FusedConvolution final : public Convolution {
public:
    FusedConvolution(Team& team, WeightStore& store, const plan::FusedConv& step, const plan::Operands& at,
                     const plan::Weights& weights)
        : Convolution(team, at.x, at.y, tile_for(at.y.shape)),
          residual_(at.residual),
          relu_(step.relu),
          bias_(weights.bias) {
        Buffer<float, Host> transformed(weight_floats());
        std::ranges::fill(transformed, 0.0F);  // what lies between the products is compared, too
        weights_to_products(team.workers(), weights.weight.data(), {.tap = 1, .in = 9}, at.x.shape.c, at.y.shape.c,
                            tiling_.tile, transformed.data());
        weights_ = store.hold(std::move(transformed));
    }

    void run(std::byte* scratch) override {
        convolve(weights_->data(), scratch, {bias_.data(), residual_ ? &*residual_ : nullptr, relu_});
    }

private:
    std::optional<Place> residual_;
    bool relu_;
    std::vector<float> bias_;
    WeightStore::Held weights_;
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

    [[nodiscard]] int64_t scratch_bytes() const override { return weight_bytes() + products_bytes(); }

    void run(std::byte* scratch) override {
        ScratchCursor<Host> cursor({scratch, scratch_bytes()});
        auto* weights = cursor.take<float>(weight_floats());
        const Products products = take_products(cursor);
        for (int64_t block = 0; block < blocks(); ++block) {
            const TileRange tiles = tiles_of_block(block);
            pixels_to_products(team_.workers(), x_, tiling_, tiles, products.x);
            gradients_to_products(team_.workers(), y_, tiling_, tiles, products.y);
            multiply_all(products.x, products.y, tiles.count, tiles.first > 0, weights);
        }
        products_to_weight_gradient(team_.workers(), weights, x_.shape.c, y_.shape.c, gradient_);
    }

private:
    // weights [36][in / 16][out][16] = (or += where `adds`) the sum over tiles of gradient times pixel.
    void multiply_all(const float* pixels, const float* gradients, int64_t count, bool adds, float* weights) {
        const int64_t out = y_.shape.c;
        const int64_t in_panels = x_.shape.c / kPanel;
        team_.workers().parallel_for(tiling_.products() * in_panels, 1, [&](int64_t begin, int64_t end) {
            for (int64_t task = begin; task < end; ++task) {
                const float* a = gradients + task / in_panels * tile_stride(out, block_);
                const float* b =
                    pixels + task / in_panels * tile_stride(x_.shape.c, block_) + task % in_panels * block_ * kPanel;
                for (int64_t k = 0; k < out; k += kGradientRows) {
                    float* c = weights + task / in_panels * weight_stride(x_.shape.c, out) +
                               (task % in_panels * out + k) * kPanel;
                    Sums<kGradientRows, 1> acc = {};
                    multiply<kGradientRows, 1>(a + k / kPanel * block_ * kPanel + k % kPanel, 1, kPanel, b, 0, count, b,
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

// `step` is a plan::ConvShape or FusedConv.
bool fits(const auto& step, std::initializer_list<Place> places) {
    return step.kernel == 3 && step.stride == 1 && step.padding == 1 &&
           std::ranges::all_of(places, [](const Place& place) {
               return place.type == plan::DataType::f32 && has_lanes(place) && place.shape.c % kPanel == 0;
           });
}

}  // namespace

bool winograd_fits(const plan::FusedConv& step, const plan::Operands& at) {
    return fits(step, {at.x, at.y, at.residual.value_or(at.y)});
}

bool winograd_fits(const plan::ConvForward& step, const plan::TrainingMemory& memory) {
    return !step.bias && fits(step.conv, {memory.place(step.x), memory.place(step.y)});
}

bool winograd_fits(const plan::ConvGradInput& step, const plan::TrainingMemory& memory) {
    return step.write == Write::assign && fits(step.conv, {memory.place(step.d_x), memory.place(step.d_y)});
}

bool winograd_fits(const plan::ConvGradWeight& step, const plan::TrainingMemory& memory) {
    return fits(step.conv, {memory.place(step.x), memory.place(step.d_y)});
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, WeightStore& store, const plan::FusedConv& step,
                                                   const plan::Operands& at, const plan::Weights& weights) {
    expects(winograd_fits(step, at), "this convolution is none for Winograd's");
    expects(static_cast<int64_t>(weights.weight.size()) == 9 * at.x.shape.c * at.y.shape.c &&
                static_cast<int64_t>(weights.bias.size()) == at.y.shape.c,
            "weights are [out][in][3][3], biases [out]");
    return std::make_unique<FusedConvolution>(team, store, step, at, weights);
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvForward& step,
                                                   const plan::TrainingMemory& memory) {
    expects(winograd_fits(step, memory), "this convolution is none for Winograd's");
    const Place x = memory.place(step.x);
    const Place y = memory.place(step.y);
    const auto transform = [](Workers& workers, const float* weights, int64_t in, int64_t out, float* products) {
        weights_to_products(workers, weights, {.tap = in, .in = 1}, in, out, 4, products);
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

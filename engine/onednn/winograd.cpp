#include "engine/onednn/winograd.h"

#include "engine/onednn/winograd_transforms.h"
#include "kernels/base/buffer.h"
#include "kernels/base/error.h"

#include <algorithm>

namespace boneage::onednn {
namespace {

using plan::Place;
using namespace winograd;

// Rows of a product of matrices that registers hold: enough to hide what a multiply-add takes.
constexpr int kRows = kLanes == 16 ? 12 : kLanes == 8 ? 6 : 3;
// The same where a panel is to be shared out evenly.
constexpr int kGradientRows = kLanes == 16 ? 8 : kLanes == 8 ? 4 : 2;

constexpr int64_t kBlockBytes = 8 << 20;  // of transformed tiles that are held at a time, to stay in the cache

// acc[i] = sum over k of a[i * a_row + k * a_step] * b[k], rows of a panel; added to what is there.
template <int Rows>
[[gnu::always_inline]] inline void multiply(const float* a, int64_t a_row, int64_t a_step, const float* b,
                                            int64_t count, Lanes (&acc)[Rows][kParts]) {
    for (int64_t k = 0; k < count; ++k) {
        Lanes row[kParts];
#pragma GCC unroll 4
        for (int64_t part = 0; part < kParts; ++part) {
            row[part] = load(b + k * kPanel + part * kLanes);
        }
#pragma GCC unroll 12
        for (int i = 0; i < Rows; ++i) {
            const float factor = a[i * a_row + k * a_step];
#pragma GCC unroll 4
            for (int64_t part = 0; part < kParts; ++part) {
                acc[i][part] += factor * row[part];
            }
        }
    }
}

// Tiles held at a time, transformed for `channels` channels in all: whole groups of rows that the product takes.
int64_t block_of(const Tiling& tiling, int64_t channels) {
    const int64_t fitting = kBlockBytes / (kProducts * channels * static_cast<int64_t>(sizeof(float)));
    const int64_t wanted = std::min(tiling.count, std::max<int64_t>(fitting, 64));
    return (wanted + kRows - 1) / kRows * kRows;
}

// What the steps share: the tiles that join x and y, and scratch for the products of a block of them and of the
// weights.
class Tiled : public plan::Runnable {
public:
    [[nodiscard]] int64_t scratch_bytes() const override {
        return scratch_part<float>(weight_floats()) + scratch_part<float>(block_floats(x_)) +
               scratch_part<float>(block_floats(y_));
    }

protected:
    struct Products {
        float* weights;
        float* x;
        float* y;
    };

    Tiled(Team& team, const Place& x, const Place& y)
        : team_(team), x_(x), y_(y), tiling_(y.shape), block_(block_of(tiling_, x.shape.c + y.shape.c)) {}

    [[nodiscard]] Products products_in(std::byte* scratch) const {
        ScratchCursor<Host> cursor({scratch, scratch_bytes()});
        auto* weights = cursor.take<float>(weight_floats());
        auto* x = cursor.take<float>(block_floats(x_));
        return {weights, x, cursor.take<float>(block_floats(y_))};
    }
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
    int64_t block_;

private:
    [[nodiscard]] int64_t weight_floats() const { return kProducts * weight_stride(x_.shape.c, y_.shape.c); }
    [[nodiscard]] int64_t block_floats(const Place& value) const { return kProducts * value.shape.c * block_; }
};

// y = conv(x), forward or backward.
class Convolution final : public Tiled {
public:
    // Either direction: `transform` brings the layer's weights, [out][3][3][in], to [36][y's channels / 16][x's
    // channels][16].
    using Transform = void (*)(Workers& workers, const float* weights, int64_t in, int64_t out, float* products);
    Convolution(Team& team, const Place& x, const Place& y, const float* weights, Transform transform, int64_t in,
                int64_t out)
        : Tiled(team, x, y), layer_weights_(weights), transform_(transform), in_(in), out_(out) {}

    void run(std::byte* scratch) override {
        const Products products = products_in(scratch);
        transform_(team_.workers(), layer_weights_, in_, out_, products.weights);
        for_blocks([&](const TileRange& tiles) {
            pixels_to_products(team_.workers(), x_, tiling_, tiles, products.x);
            multiply_all(products.x, products.weights, tiles.count, products.y);
            products_to_pixels(team_.workers(), products.y, tiling_, tiles, y_);
        });
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

    const float* layer_weights_;
    Transform transform_;
    int64_t in_;
    int64_t out_;
};

class GradWeight final : public Tiled {
public:
    GradWeight(Team& team, const Place& x, const Place& d_y, float* gradient)
        : Tiled(team, x, d_y), gradient_(gradient) {}

    void run(std::byte* scratch) override {
        const Products products = products_in(scratch);
        for_blocks([&](const TileRange& tiles) {
            pixels_to_products(team_.workers(), x_, tiling_, tiles, products.x);
            gradients_to_products(team_.workers(), y_, tiling_, tiles, products.y);
            multiply_all(products.x, products.y, tiles.count, tiles.first > 0, products.weights);
        });
        products_to_weight_gradient(team_.workers(), products.weights, x_.shape.c, y_.shape.c, gradient_);
    }

private:
    // weights [36][in / 16][out][16] = (or += where `adds`) the sum over tiles of gradient times pixel.
    void multiply_all(const float* pixels, const float* gradients, int64_t count, bool adds, float* weights) {
        const int64_t out = y_.shape.c;
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

    float* gradient_;
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
    const Place x = memory.place(step.x);
    const Place y = memory.place(step.y);
    return std::make_unique<Convolution>(team, x, y, memory.parameter_data(step.conv.weight), weights_to_products,
                                         x.shape.c, y.shape.c);
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradInput& step,
                                                   const plan::TrainingMemory& memory) {
    expects(winograd_fits(step, memory), "this convolution is none for Winograd's");
    const Place d_y = memory.place(step.d_y);
    const Place d_x = memory.place(step.d_x);
    return std::make_unique<Convolution>(team, d_y, d_x, memory.parameter_data(step.conv.weight),
                                         turned_weights_to_products, d_x.shape.c, d_y.shape.c);
}

std::unique_ptr<plan::Runnable> make_winograd_step(Team& team, const plan::ConvGradWeight& step,
                                                   const plan::TrainingMemory& memory) {
    expects(winograd_fits(step, memory), "this convolution is none for Winograd's");
    return std::make_unique<GradWeight>(team, memory.place(step.x), memory.place(step.d_y),
                                        memory.gradient_data(step.conv.weight));
}

}  // namespace boneage::onednn

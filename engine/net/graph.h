// Networks as plain data: what to compute, in which order, under which parameter names; not how, where or how large.
//
// A graph knows channels but no image size: sizes enter with infer_shapes(). Inference and training plans are both
// derived from it (engine/plan). Every visit of an Op is exhaustive, so a new alternative is a compile error wherever
// something must learn it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace boneage::net {

using ValueId = int32_t;  // index into Graph::values

enum class Act : uint8_t { none, relu };

// A square convolution, zero-padded. Parameters: `<name>.weight` [out, in, k, k] and, with `bias`, `<name>.bias` [out].
struct Conv2d {
    std::string name;
    int64_t in = 0;
    int64_t out = 0;
    int64_t kernel = 1;
    int64_t stride = 1;
    int64_t padding = 0;
    bool bias = false;
};

// Batch normalisation. Parameters: `<name>.{weight,bias,running_mean,running_var}` [channels] and
// `<name>.num_batches_tracked` (one integer).
struct Norm {
    std::string name;
    int64_t channels = 0;
    double eps = 1e-5;
};

// y = act(norm(conv(x)) + residual)
struct ConvUnit {
    ValueId x = 0;
    Conv2d conv;
    std::optional<Norm> norm;
    std::optional<ValueId> residual;
    Act act = Act::none;
    ValueId y = 0;
};

// The largest of a square window; outside counts as minus infinity.
struct MaxPool {
    ValueId x = 0;
    int64_t kernel = 2;
    int64_t stride = 2;
    int64_t padding = 0;
    ValueId y = 0;
};

// Mean over all pixels: [n, h, w, c] -> [n, 1, 1, c].
struct GlobalAvgPool {
    ValueId x = 0;
    ValueId y = 0;
};

// y = act(x W^T + b) for x of one pixel. Parameters: `<name>.weight` [out, in], `<name>.bias` [out].
struct Linear {
    ValueId x = 0;
    std::string name;
    int64_t in = 0;
    int64_t out = 0;
    Act act = Act::none;
    ValueId y = 0;
};

// The 2x2 stride-2 transposed convolution, which doubles both sides:
//   y[2i+a, 2j+b, o] = bias[o] + sum_c x[i, j, c] * weight[c, o, a, b]
// Parameters: `<name>.weight` [in, out, 2, 2], `<name>.bias` [out].
struct TransposedConv {
    ValueId x = 0;
    std::string name;
    int64_t in = 0;
    int64_t out = 0;
    ValueId y = 0;
};

// Channels of all `x` one after the other; all have the same height and width.
struct Concat {
    std::vector<ValueId> x;
    ValueId y = 0;
};

using Op = std::variant<ConvUnit, MaxPool, GlobalAvgPool, Linear, TransposedConv, Concat>;

// A value's name says which op made it: the op's parameter prefix, or the name of the block it completes.
struct Value {
    std::string name;
    int64_t channels = 0;
};

// A value the caller gives. `spatial` ones have the image's height and width, the others one pixel.
struct Input {
    ValueId value = 0;
    bool spatial = true;
};

struct Graph {
    std::string name;
    std::vector<Value> values;  // names are unique
    std::vector<Input> inputs;
    std::vector<Op> ops;  // in an order in which they can run; each value is made once
    std::vector<ValueId> outputs;
};

// The value called `name`, or nothing.
std::optional<ValueId> find_value(const Graph& graph, std::string_view name);

// What an op reads (a residual last) and what it makes.
std::vector<ValueId> reads(const Op& op);
ValueId made_by(const Op& op);

struct Shape {
    int64_t n = 0;
    int64_t h = 0;
    int64_t w = 0;
    int64_t c = 0;
    bool operator==(const Shape&) const = default;
    [[nodiscard]] int64_t pixels() const { return n * h * w; }
    [[nodiscard]] int64_t size() const { return pixels() * c; }
};

// The shape of every value for `batch` images of height x width. Throws std::invalid_argument, naming the op, when a
// size does not fit: an odd side before a transposed path, a window larger than its padded input, a wrong channel
// count, a value read before it is made.
std::vector<Shape> infer_shapes(const Graph& graph, int64_t batch, int64_t height, int64_t width);

// torchvision's ResNet34 with an optional second input: "image" [n, h, w, channels] -> "features" [n, 1, 1,
// 8 * base_width] -> "age" [n, 1, 1, outputs]. With `sex_input`, "sex" [n, 1, 1, 1] (+1 male, -1 female, 0 unknown)
// passes `sex_fc` (32, ReLU) and joins the features; with hidden > 0, `fc_hidden` (ReLU) comes before `fc`.
struct ResNet34Spec {
    int64_t channels = 1;     // 1..3
    int64_t base_width = 64;  // channels of the first stage; doubled by each of the three that follow
    bool sex_input = false;
    int64_t hidden = 0;
    int64_t outputs = 1;
    bool operator==(const ResNet34Spec&) const = default;
};
Graph resnet34(const ResNet34Spec& spec);

// U-Net: "image" [n, h, w, channels] -> "logits" [n, h, w, outputs]; both sides must be multiples of 2^depth.
struct UnetSpec {
    int64_t channels = 1;
    int64_t depth = 4;        // number of poolings
    int64_t base_width = 16;  // channels of the first level; doubled by each pooling
    int64_t outputs = 1;
    bool operator==(const UnetSpec&) const = default;
};
Graph unet(const UnetSpec& spec);

}  // namespace boneage::net

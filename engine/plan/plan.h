// A plan: a graph lowered, for one batch and image size, to a flat list of steps with every byte accounted for.
#pragma once

#include "engine/plan/steps.h"

#include <map>

namespace boneage::plan {

enum class Precision : uint8_t {
    f32,   // everything float32
    tf32,  // everything stored as float32; a GPU rounds the inputs of products to 10 mantissa bits, processors do not
    bf16,  // images between steps and convolution weights bfloat16; sums, biases, vectors and outputs float32
    f16,   // the same with float16: 3 more mantissa bits, but beyond 65504 infinity, which every step hands on, through
           // ReLU too, as infinity or NaN until an answer that is not finite says so
};

// The type of images between steps and of convolution weights.
constexpr DataType image_type(Precision precision) {
    switch (precision) {
        case Precision::f32:
        case Precision::tf32:
            return DataType::f32;
        case Precision::bf16:
            return DataType::bf16;
        case Precision::f16:
            return DataType::f16;
    }
    return DataType::f32;
}

// What lowering must know of the back end that will run the plan.
struct Traits {
    bool conv_reads_slices = false;       // a convolution's x may be a channel slice of a wider value
    bool conv_writes_slices = false;      // so may its y and residual. All other steps take slices anyway
    bool residual_in_place = false;       // y may overwrite a residual that nobody reads afterwards
    bool direct_transposed_conv = false;  // make(TransposedConv) instead of a 1x1 convolution and DepthToSpace
    int64_t channel_block = 1;            // images are stored in blocks of so many channels where that comes out even
    std::optional<int64_t> bf16_channel_block{};  // bf16 ones in blocks of another size
    [[nodiscard]] int64_t block_of(DataType image) const {
        return image == DataType::bf16 ? bf16_channel_block.value_or(channel_block) : channel_block;
    }
    bool operator==(const Traits&) const = default;
};

struct Options {
    int64_t batch = 1;
    int64_t height = 224;
    int64_t width = 224;
    Precision precision = Precision::f32;
    std::vector<std::string> keep{};   // values of the graph, besides its outputs, that must survive the run
    std::vector<std::string> rerun{};  // inputs for which Executor::rerun must work
    Traits traits{};
};

inline constexpr int64_t kArenaAlignment = 256;

// A value's pixels start at channel `channel_offset` of its buffer, which holds `pixel_stride` channels. Place
// (backend.h) says where an element lies. Inputs and outputs are never in blocks.
struct Value {
    std::string name;  // the graph's name; values that only lowering knows add what they are: "up0/packed"
    Shape shape;
    DataType type = DataType::f32;
    int32_t buffer = 0;
    int64_t channel_offset = 0;
    int64_t pixel_stride = 0;
    int64_t channel_block = 1;  // Traits::channel_block where every value of the buffer begins and ends on one
    [[nodiscard]] bool dense() const { return pixel_stride == shape.c; }
    [[nodiscard]] int64_t bytes() const { return shape.size() * size_of(type); }
};

// A range of the arena, taken from the start of step `first` to the end of step `last`. Inputs are taken from -1 on.
// What must outlive a run that may be repeated in part is taken always.
struct Buffer {
    int64_t bytes = 0;
    int64_t offset = 0;
    int64_t first = 0;
    int64_t last = 0;
};

struct PlannedStep {
    std::string name;  // the layer's name, for profiles
    Step step;
    int64_t flops = 0;         // two per multiply-add of convolutions and linear layers; nothing else counts
    int64_t read_bytes = 0;    // values read, each once
    int64_t weight_bytes = 0;  // weights and biases read
    int64_t write_bytes = 0;
};

struct Plan {
    std::string net;
    Options options;
    std::vector<Value> values;
    std::vector<Buffer> buffers;
    std::vector<PlannedStep> steps;
    std::vector<ValueId> inputs;                         // float32, dense
    std::vector<ValueId> outputs;                        // float32, dense
    std::vector<ValueId> kept;                           // of the plan's types, possibly slices
    std::map<std::string, std::vector<int32_t>> reruns;  // per rerun input, the steps that depend on it
    int64_t arena_bytes = 0;
    int64_t live_bytes = 0;  // the most that is taken at any step: no arrangement can need less
};

// Inference: batch norm folded, one step a unit, every value at a fixed place of one arena. The place follows from
// liveness; concatenations are written slice by slice by their producers where the back end can, else copied.
// Throws UsageError when sizes do not fit the network or a name in the options is unknown.
Plan lower(const net::Graph& graph, const Options& options);

// The value called `name` among outputs, kept values and inputs, in this order; throws UsageError naming what there is.
ValueId find_value(const Plan& plan, std::string_view name);

int64_t total_flops(const Plan& plan);

}  // namespace boneage::plan

// The steps a plan is made of, as data: geometry, operands and where their weights come from.
//
// A step names values of its plan; every value is an NHWC tensor, possibly a channel slice of a wider one and possibly
// stored in blocks of channels (Place in backend.h). Back ends make something runnable from a step.
#pragma once

#include "engine/net/graph.h"

namespace boneage::plan {

using net::Shape;
using ValueId = int32_t;  // index into Plan::values

enum class DataType : uint8_t { f32, bf16, f16 };

constexpr int64_t size_of(DataType type) {
    switch (type) {
        case DataType::f32:
            return 4;
        case DataType::bf16:
        case DataType::f16:
            return 2;
    }
    return 0;
}

const char* name_of(DataType type);

// Names of the tensors from which a step's weight and bias are made (parameters.h).
struct WeightSource {
    std::string weight;
    std::string bias;               // empty: none
    std::optional<net::Norm> norm;  // to be folded in
    bool transposed = false;        // weight is [in, out, 2, 2] of a transposed convolution
    int64_t outputs = 0;            // length of the bias the step gets
};

// y = act(conv(x) + bias + residual); batch norm is already in weight and bias, so there always is a bias. x and
// residual have the type of the plan's precision; y too, or float32. Sums are float32.
struct FusedConv {
    ValueId x = 0;
    std::optional<ValueId> residual;  // may lie where y lies (Traits::residual_in_place)
    ValueId y = 0;
    int64_t kernel = 1;
    int64_t stride = 1;
    int64_t padding = 0;
    bool relu = false;
    WeightSource weights;
};

struct MaxPool {
    ValueId x = 0;
    ValueId y = 0;
    int64_t kernel = 2;
    int64_t stride = 2;
    int64_t padding = 0;
};

// Mean over all pixels, summed in float32; y is float32.
struct GlobalAvgPool {
    ValueId x = 0;
    ValueId y = 0;
};

// y = act(x W^T + b), all float32: heads are too small for another type to pay.
struct Linear {
    ValueId x = 0;
    ValueId y = 0;
    bool relu = false;
    WeightSource weights;
};

// A 2x2 stride-2 transposed convolution in one step; used where Traits::direct_transposed_conv says so.
struct TransposedConv {
    ValueId x = 0;
    ValueId y = 0;
    WeightSource weights;
};

// y[2i+a, 2j+b, c] = x[i, j, (2a+b)*C + c]: [n, h, w, 4C] -> [n, 2h, 2w, C]. After a 1x1 convolution to 4C channels
// this is a 2x2 stride-2 transposed convolution.
struct DepthToSpace {
    ValueId x = 0;
    ValueId y = 0;
};

// y = x: into a channel slice of a wider value, or into another type (16-bit types round to nearest even).
struct Copy {
    ValueId x = 0;
    ValueId y = 0;
};

using Step = std::variant<FusedConv, MaxPool, GlobalAvgPool, Linear, TransposedConv, DepthToSpace, Copy>;

// Every step has one x and one y.
ValueId x_of(const Step& step);
ValueId y_of(const Step& step);
std::optional<ValueId> residual_of(const Step& step);
const char* op_name(const Step& step);

}  // namespace boneage::plan

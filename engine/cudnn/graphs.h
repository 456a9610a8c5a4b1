// The convolution graphs this project asks of cuDNN, as plain data, and what cuDNN makes of them.
//
// All tensors are NHWC, all weights KRSC, dense unless a pixel stride says otherwise; sums are accumulated in float32.
// The headers of cuDNN and of its frontend are included by graphs.cpp only.
#pragma once

#include "kernels/base/stream.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

struct cudnnContext;

namespace boneage::cudnn {

// What a graph computes with. float32 means true float32 products (no tensor cores, no down-converted inputs), the mode
// in which networks are compared with references; tf32 rounds the inputs of products to 10 mantissa bits. Biases are
// float32 in every mode; activations and weights have the type named.
enum class Arithmetic { float32, tf32, bfloat16, float16 };

// A 2-D convolution without dilation. y is [n, out_h, out_w, k].
struct ConvGeometry {
    int64_t n = 1, h = 1, w = 1, c = 1;  // the input x
    int64_t k = 1;                       // output channels
    int64_t kernel_h = 1, kernel_w = 1;
    int64_t stride_h = 1, stride_w = 1;
    int64_t pad_h = 0, pad_w = 0;
    // Elements from one pixel to the next, where x or y is a channel slice of a wider tensor; 0 means dense.
    int64_t x_pixel_stride = 0, y_pixel_stride = 0;

    [[nodiscard]] int64_t out_h() const { return (h + 2 * pad_h - kernel_h) / stride_h + 1; }
    [[nodiscard]] int64_t out_w() const { return (w + 2 * pad_w - kernel_w) / stride_w + 1; }
};

// y = act(conv(x, w) + bias [+ residual]). Tensors: x, w, bias [k] float32, (residual [n, out_h, out_w, k], dense), y.
struct FusedConvGraph {
    ConvGeometry conv;
    bool residual = false;
    bool relu = false;
    bool y_is_float32 = false;  // whatever x and w are
};
// y = conv(x, w). Tensors: x, w, y.
struct ConvForwardGraph {
    ConvGeometry conv;
};
// d_x = the gradient of conv for its input; assigned. Tensors: d_y, w, d_x.
struct ConvGradInputGraph {
    ConvGeometry conv;
};
// d_w = the gradient of conv for its weights; assigned. Tensors: x, d_y, d_w. A 16-bit gradient reaches float32 memory
// only through a pointwise node behind it, for which cuDNN 9.19 has a general engine, compiled for seconds, and none
// where channels are not even: whoever wants float32 converts.
struct ConvGradWeightGraph {
    ConvGeometry conv;
};
using GraphSpec = std::variant<FusedConvGraph, ConvForwardGraph, ConvGradInputGraph, ConvGradWeightGraph>;

// A short name that holds everything the graph depends on: for logs, caches and test names.
std::string name_of(const GraphSpec& spec, Arithmetic arithmetic);

// What a plan was made of, so that the same can be made for another batch size: cuDNN's name of an engine and its
// settings.
using EngineName = std::string;

// A cuDNN context bound to one stream.
class Context {
public:
    // Throws DeviceError when cuDNN is missing, older than this program needs, or refuses the device.
    explicit Context(const Stream& stream);
    [[nodiscard]] cudnnContext* native() const { return handle_.get(); }

private:
    static void destroy(cudnnContext* handle);
    Handle<cudnnContext, destroy> handle_;
};

// The version of the cuDNN library that is loaded, as 10000 * major + 100 * minor + patch. Throws DeviceError when none
// can be loaded or another major version is.
int64_t library_version();
// That of the cudnn-frontend this program was built with, which counts in the same way.
int64_t frontend_version();
// Goes up by one whenever graphs.cpp describes a graph, or chooses among cuDNN's suggestions, in another way: plans of
// other rules are not taken from the cache.
inline constexpr int kRules = 1;

// An execution plan for one graph.
class Plan {
public:
    // Builds the first of cuDNN's suggestions that works, by its heuristics or, with `engine`, that very engine and
    // settings, whether it is suggested or not. Throws DeviceError naming the graph and cuDNN's own words.
    static Plan build(const Context& context, const GraphSpec& spec, Arithmetic arithmetic,
                      const EngineName& engine = "");
    // Measures up to `most` of cuDNN's suggestions on `stream`, which is the context's, and keeps the fastest.
    static Plan autotune(const Stream& stream, const Context& context, const GraphSpec& spec, Arithmetic arithmetic,
                         int64_t most);
    // Builds without a device, for the device that `properties_json` describes (cuDNN's own serialisation) with compute
    // capability `sm` (80, 89, 90). Such a plan is never run: it shows that cuDNN accepts the graph.
    static Plan build_without_device(const std::string& properties_json, int sm, const GraphSpec& spec,
                                     Arithmetic arithmetic, const EngineName& engine = "");
    // Rebuilds a plan from serialise()'s bytes; throws DeviceError when they do not fit this library or device.
    static Plan restore(const Context& context, std::span<const uint8_t> bytes);

    Plan(Plan&&) noexcept;
    Plan& operator=(Plan&&) noexcept;
    ~Plan();

    [[nodiscard]] int64_t workspace_bytes() const;
    [[nodiscard]] EngineName engine_name() const;
    [[nodiscard]] std::vector<uint8_t> serialise() const;
    // Queues the work on the context's stream. `tensors` are device pointers in the order the spec's comment lists.
    void run(const Context& context, std::span<void* const> tensors, void* workspace) const;

private:
    struct State;
    explicit Plan(std::unique_ptr<State> state);
    static Plan describe(const GraphSpec& spec, Arithmetic arithmetic);
    static void suggest(State& state, Arithmetic arithmetic);
    static void build_first(State& state, Arithmetic arithmetic);
    static void build_named(State& state, const EngineName& engine);
    std::unique_ptr<State> state_;
};

}  // namespace boneage::cudnn

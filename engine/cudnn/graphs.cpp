#include "engine/cudnn/graphs.h"

#include "engine/cudnn/failures.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cudnn_frontend.h>
#include <dlfcn.h>
#include <limits>
#include <mutex>
#include <string_view>
#include <unordered_map>

// The frontend reaches cuDNN through this handle: the program starts, and says what is missing, on machines without it.
namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;
}

namespace boneage::cudnn {
namespace {

namespace fe = cudnn_frontend;
using TensorRef = std::shared_ptr<fe::graph::Tensor_attributes>;

// Frontend calls report through values; each is turned into one error that names the graph.
void check(fe::error_t status, const std::string& what) {
    if (status.is_bad()) {
        throw_failure("cuDNN refuses " + what + ": " + status.get_message());
    }
}

void check(cudnnStatus_t status, const char* call) {
    if (status != CUDNN_STATUS_SUCCESS) {
        throw_failure(std::string(call) + ": " + fe::detail::get_error_string(status));
    }
}

// What this program was built against is what it needs at least: plans and their names follow the library's version.
void load_library() {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    if (fe::cudnn_dlhandle == nullptr) {
        fe::cudnn_dlhandle = dlopen("libcudnn.so.9", RTLD_NOW);
        if (fe::cudnn_dlhandle == nullptr) {
            throw DeviceError(std::string("cuDNN 9 cannot be loaded (") + dlerror() +
                              "): install it, add its folder to LD_LIBRARY_PATH, or use --device cpu");
        }
    }
    if (fe::detail::get_backend_version() / 10000 != CUDNN_MAJOR) {
        throw DeviceError("this program needs cuDNN " + std::to_string(CUDNN_MAJOR) + ", but version " +
                          fe::detail::get_backend_version_string() + " was loaded");
    }
}

fe::DataType_t data_type(Arithmetic arithmetic) {
    switch (arithmetic) {
        case Arithmetic::float32:
        case Arithmetic::tf32:
            return fe::DataType_t::FLOAT;
        case Arithmetic::bfloat16:
            return fe::DataType_t::BFLOAT16;
        case Arithmetic::float16:
            return fe::DataType_t::HALF;
    }
    throw ContractError("an arithmetic without a name");
}

// cuDNN builds a grouped convolution when channel counts merely divide, and accepts many other wrong shapes without a
// word: what it does not check is checked here.
void check_geometry(const ConvGeometry& g) {
    expects(g.n > 0 && g.h > 0 && g.w > 0 && g.c > 0 && g.k > 0, "sizes must be positive");
    expects(g.kernel_h > 0 && g.kernel_w > 0 && g.stride_h > 0 && g.stride_w > 0 && g.pad_h >= 0 && g.pad_w >= 0,
            "kernel, strides and paddings must make sense");
    expects(g.h + 2 * g.pad_h >= g.kernel_h && g.w + 2 * g.pad_w >= g.kernel_w,
            "the kernel must fit into the padded input");
    expects(g.x_pixel_stride == 0 || g.x_pixel_stride >= g.c, "x must lie within its slice");
    expects(g.y_pixel_stride == 0 || g.y_pixel_stride >= g.k, "y must lie within its slice");
}

struct EngineParts {
    int64_t number = 0;
    std::unordered_map<fe::KnobType_t, int64_t> settings;
    bool operator==(const EngineParts&) const = default;
};

// Of cuDNN's name of an engine: "eng38_k2=13_k22=0", its number, then each setting's number and value.
EngineParts parts_of(const EngineName& engine) {
    EngineParts parts;
    const char* at = engine.data();
    const char* const end = at + engine.size();
    const auto read = [&](std::string_view before) {
        int64_t number = 0;
        const bool begins = std::string_view(at, static_cast<size_t>(end - at)).starts_with(before);
        const auto [rest, error] = std::from_chars(begins ? at + before.size() : end, end, number);
        if (error != std::errc()) {
            throw DeviceError("cuDNN calls an engine " + engine + ", which is no name this program knows");
        }
        at = rest;
        return number;
    };
    parts.number = read("eng");
    while (at != end) {
        const auto setting = static_cast<cudnnBackendKnobType_t>(read("_k"));
        const fe::KnobType_t known = fe::convert_from_backend_knob_type(setting);
        const int64_t value = read("=");
        if (known != fe::KnobType_t::NOT_SET) {  // cuDNN names settings that it no longer takes
            parts.settings[known] = value;
        }
    }
    return parts;
}

}  // namespace

struct Plan::State {
    std::string name;
    fe::graph::Graph graph;
    EngineName engine;
    std::vector<int64_t> tensor_bytes;
};

namespace {

// Adds one graph's nodes; tensors are numbered in the order in which run() takes their pointers.
class Builder {
public:
    Builder(fe::graph::Graph& graph, Arithmetic arithmetic) : graph_(graph), type_(data_type(arithmetic)) {
        graph_.set_io_data_type(type_)
            .set_intermediate_data_type(fe::DataType_t::FLOAT)
            .set_compute_data_type(fe::DataType_t::FLOAT);
    }

    void add(const FusedConvGraph& spec) {
        const ConvGeometry& g = spec.conv;
        const TensorRef x = activation(g.n, g.h, g.w, g.c, g.x_pixel_stride);
        const TensorRef w = weights(g);
        const TensorRef bias = vector(g.k);
        TensorRef sum = plus(convolution(x, w, g), bias);
        if (spec.residual) {
            sum = plus(sum, activation(g.n, g.out_h(), g.out_w(), g.k, 0));
        }
        output(spec.relu ? relu(sum) : sum, g.n, g.out_h(), g.out_w(), g.k, g.y_pixel_stride,
               spec.y_is_float32 ? fe::DataType_t::FLOAT : type_);
    }

    void add(const ConvForwardGraph& spec) {
        const ConvGeometry& g = spec.conv;
        const TensorRef x = activation(g.n, g.h, g.w, g.c, g.x_pixel_stride);
        output(convolution(x, weights(g), g), g.n, g.out_h(), g.out_w(), g.k, g.y_pixel_stride, type_);
    }

    void add(const ConvGradInputGraph& spec) {
        const ConvGeometry& g = spec.conv;
        const TensorRef d_y = activation(g.n, g.out_h(), g.out_w(), g.k, g.y_pixel_stride);
        output(grad_input(d_y, weights(g), g), g.n, g.h, g.w, g.c, g.x_pixel_stride, type_);
    }

    void add(const ConvGradWeightGraph& spec) {
        const ConvGeometry& g = spec.conv;
        const TensorRef x = activation(g.n, g.h, g.w, g.c, g.x_pixel_stride);
        const TensorRef d_y = activation(g.n, g.out_h(), g.out_w(), g.k, g.y_pixel_stride);
        const TensorRef d_w = graph_.conv_wgrad(d_y, x,
                                                fe::graph::Conv_wgrad_attributes()
                                                    .set_padding({g.pad_h, g.pad_w})
                                                    .set_stride({g.stride_h, g.stride_w})
                                                    .set_dilation({1, 1}));
        d_w->set_output(true)
            .set_dim({g.k, g.c, g.kernel_h, g.kernel_w})
            .set_stride(weight_strides(g))
            .set_data_type(type_);
        keep(d_w, g.k * g.c * g.kernel_h * g.kernel_w * size_of(type_));
    }

    // Gives tensor i the identifier i + 1, by which run() finds its pointer; returns how many bytes each takes.
    std::vector<int64_t> number_tensors() {
        for (size_t i = 0; i < tensors_.size(); ++i) {
            tensors_[i]->set_uid(static_cast<int64_t>(i) + 1);
        }
        return bytes_;
    }

private:
    static std::vector<int64_t> weight_strides(const ConvGeometry& g) {
        return {g.kernel_h * g.kernel_w * g.c, 1, g.kernel_w * g.c, g.c};
    }

    static int64_t size_of(fe::DataType_t type) { return type == fe::DataType_t::FLOAT ? 4 : 2; }

    TensorRef keep(const TensorRef& tensor, int64_t bytes) {
        tensors_.push_back(tensor);
        bytes_.push_back(bytes);
        return tensor;
    }

    TensorRef activation(int64_t n, int64_t h, int64_t w, int64_t c, int64_t pixel_stride) {
        const int64_t pixel = pixel_stride == 0 ? c : pixel_stride;
        return keep(
            graph_.tensor(
                fe::graph::Tensor_attributes().set_dim({n, c, h, w}).set_stride({h * w * pixel, 1, w * pixel, pixel})),
            n * h * w * pixel * size_of(type_));
    }

    TensorRef weights(const ConvGeometry& g) {
        return keep(graph_.tensor(fe::graph::Tensor_attributes()
                                      .set_dim({g.k, g.c, g.kernel_h, g.kernel_w})
                                      .set_stride(weight_strides(g))),
                    g.k * g.c * g.kernel_h * g.kernel_w * size_of(type_));
    }

    TensorRef vector(int64_t channels) {
        return keep(graph_.tensor(fe::graph::Tensor_attributes()
                                      .set_dim({1, channels, 1, 1})
                                      .set_stride({channels, 1, channels, channels})
                                      .set_data_type(fe::DataType_t::FLOAT)),
                    channels * 4);
    }

    TensorRef convolution(const TensorRef& x, const TensorRef& w, const ConvGeometry& g) {
        return graph_.conv_fprop(x, w,
                                 fe::graph::Conv_fprop_attributes()
                                     .set_padding({g.pad_h, g.pad_w})
                                     .set_stride({g.stride_h, g.stride_w})
                                     .set_dilation({1, 1}));
    }

    TensorRef grad_input(const TensorRef& d_y, const TensorRef& w, const ConvGeometry& g) {
        return graph_.conv_dgrad(d_y, w,
                                 fe::graph::Conv_dgrad_attributes()
                                     .set_padding({g.pad_h, g.pad_w})
                                     .set_stride({g.stride_h, g.stride_w})
                                     .set_dilation({1, 1}));
    }

    TensorRef plus(const TensorRef& a, const TensorRef& b) {
        return graph_.pointwise(a, b, fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
    }

    TensorRef relu(const TensorRef& a) {
        return graph_.pointwise(a, fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::RELU_FWD));
    }

    void output(const TensorRef& y, int64_t n, int64_t h, int64_t w, int64_t c, int64_t pixel_stride,
                fe::DataType_t type) {
        const int64_t pixel = pixel_stride == 0 ? c : pixel_stride;
        y->set_output(true).set_dim({n, c, h, w}).set_stride({h * w * pixel, 1, w * pixel, pixel}).set_data_type(type);
        keep(y, n * h * w * pixel * size_of(type));
    }

    fe::graph::Graph& graph_;
    fe::DataType_t type_;
    std::vector<TensorRef> tensors_;
    std::vector<int64_t> bytes_;
};

}  // namespace

int64_t library_version() {
    load_library();
    return static_cast<int64_t>(fe::detail::get_backend_version());
}

int64_t frontend_version() {
    return CUDNN_FRONTEND_VERSION;
}

void Context::destroy(cudnnContext* handle) {
    try {
        fe::detail::destroy_handle(handle);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "boneage: cudnnDestroy: %s\n", error.what());
    }
}

Context::Context(const Stream& stream) {
    load_library();
    cudnnHandle_t handle = nullptr;
    check(fe::detail::create_handle(&handle), "cudnnCreate");
    handle_ = Handle<cudnnContext, destroy>(handle);
    check(fe::detail::set_stream(handle, stream.native()), "cudnnSetStream");
}

Plan Plan::build(const Context& context, const GraphSpec& spec, Arithmetic arithmetic, const EngineName& engine) {
    Plan plan = describe(spec, arithmetic);
    State& state = *plan.state_;
    check(state.graph.validate(), state.name);
    check(state.graph.build_operation_graph(context.native()), state.name);
    engine.empty() ? build_first(state, arithmetic) : build_named(state, engine);
    return plan;
}

Plan Plan::autotune(const Stream& stream, const Context& context, const GraphSpec& spec, Arithmetic arithmetic,
                    int64_t most) {
    constexpr int kRepetitions = 5;
    Plan plan = describe(spec, arithmetic);
    State& state = *plan.state_;
    check(state.graph.validate(), state.name);
    check(state.graph.build_operation_graph(context.native()), state.name);
    suggest(state, arithmetic);
    std::vector<Buffer<std::byte, Device>> memory;
    std::vector<void*> tensors;
    for (const int64_t bytes : state.tensor_bytes) {
        memory.emplace_back(bytes);
        clear_device(stream, memory.back().data(), bytes);
        tensors.push_back(memory.back().data());
    }
    // The frontend's own measuring needs every suggestion built, and a second CUDA runtime; building one makes it the
    // one that runs.
    TimedEvent begin;
    TimedEvent end;
    int64_t fastest = -1;
    double least = 0.0;
    int64_t measured = 0;
    for (int64_t i = 0; i < state.graph.get_execution_plan_count() && measured < most; ++i) {
        if (state.graph.build_plan_at_index(i).is_bad()) {
            continue;
        }
        Buffer<std::byte, Device> workspace;
        try {
            workspace = Buffer<std::byte, Device>(plan.workspace_bytes());
        } catch (const OutOfDeviceMemory&) {
            continue;  // one that wants less may be slower, but it runs
        }
        double milliseconds = std::numeric_limits<double>::infinity();
        for (int repetition = 0; repetition < kRepetitions; ++repetition) {
            begin.record(stream);
            plan.run(context, tensors, workspace.data());
            end.record(stream);
            end.synchronize();
            milliseconds = std::min(milliseconds, end.milliseconds_since(begin));
        }
        ++measured;
        if (fastest < 0 || milliseconds < least) {
            fastest = i;
            least = milliseconds;
        }
    }
    if (fastest < 0) {
        throw DeviceError("cuDNN has no engine for " + state.name);
    }
    check(state.graph.get_plan_name_at_index(fastest, state.engine), state.name);
    check(state.graph.build_plan_at_index(fastest), state.name);
    return plan;
}

Plan Plan::build_without_device(const std::string& properties_json, int sm, const GraphSpec& spec,
                                Arithmetic arithmetic, const EngineName& engine) {
    load_library();
    Plan plan = describe(spec, arithmetic);
    State& state = *plan.state_;
    const auto properties = std::make_shared<fe::DeviceProperties>();
    check(properties->deserialize({properties_json.begin(), properties_json.end()}), "the device properties");
    state.graph.set_device_properties(properties);
    state.graph.set_sm_version(sm);
    check(state.graph.validate(), state.name);
    check(state.graph.build_operation_graph(), state.name);
    engine.empty() ? build_first(state, arithmetic) : build_named(state, engine);
    return plan;
}

// The engine's name, a line break, and cuDNN's own bytes.
Plan Plan::restore(const Context& context, std::span<const uint8_t> bytes) {
    auto state = std::make_unique<State>();
    state->name = "a plan from the cache";
    const auto end = std::ranges::find(bytes, uint8_t{'\n'});
    if (end == bytes.end()) {
        throw DeviceError(state->name + " has no engine's name");
    }
    state->engine.assign(bytes.begin(), end);
    check(state->graph.deserialize(context.native(), {end + 1, bytes.end()}), state->name);
    return Plan(std::move(state));
}

std::vector<uint8_t> Plan::serialise() const {
    std::vector<uint8_t> bytes;
    check(state_->graph.serialize(bytes), state_->name);
    const std::string name = state_->engine + "\n";
    bytes.insert(bytes.begin(), name.begin(), name.end());
    return bytes;
}

Plan Plan::describe(const GraphSpec& spec, Arithmetic arithmetic) {
    std::visit([](const auto& s) { check_geometry(s.conv); }, spec);
    auto state = std::make_unique<State>();
    state->name = name_of(spec, arithmetic);
    Builder builder(state->graph, arithmetic);
    std::visit([&](const auto& s) { builder.add(s); }, spec);
    state->tensor_bytes = builder.number_tensors();
    return Plan(std::move(state));
}

void Plan::suggest(State& state, Arithmetic arithmetic) {
    check(state.graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}), state.name);
    // The same bits in every run: engines that add in an order of their own are out.
    std::vector<fe::NumericalNote_t> unwanted{fe::NumericalNote_t::NONDETERMINISTIC,
                                              fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION};
    if (arithmetic == Arithmetic::float32) {
        unwanted.push_back(fe::NumericalNote_t::TENSOR_CORE);
        unwanted.push_back(fe::NumericalNote_t::DOWN_CONVERT_INPUTS);
        unwanted.push_back(fe::NumericalNote_t::WINOGRAD);
    }
    state.graph.deselect_numeric_notes(unwanted);
}

void Plan::build_first(State& state, Arithmetic arithmetic) {
    suggest(state, arithmetic);
    std::string why = "it suggests none";
    for (int64_t i = 0; i < state.graph.get_execution_plan_count(); ++i) {
        check(state.graph.get_plan_name_at_index(i, state.engine), state.name);
        fe::error_t status = state.graph.build_plan_at_index(i);
        if (status.is_good()) {
            return;
        }
        // Another may do with less memory; if none does, that is what there was too little of.
        if (!says_no_memory(why)) {
            why = status.get_message();
        }
    }
    throw_failure("cuDNN has no engine for " + state.name + ": " + why);
}

void Plan::build_named(State& state, const EngineName& engine) {
    const EngineParts parts = parts_of(engine);
    const std::string what = state.name + " by " + engine;
    check(state.graph.create_execution_plan(parts.number, parts.settings), what);
    check(state.graph.build_plan_at_index(0), what);
    EngineName made;
    check(state.graph.get_plan_name_at_index(0, made), what);
    if (parts_of(made) != parts) {
        throw DeviceError("cuDNN makes " + made + " of " + what);
    }
    state.engine = engine;
}

int64_t Plan::workspace_bytes() const {
    int64_t bytes = 0;
    check(state_->graph.get_workspace_size(bytes), state_->name);
    return bytes;
}

EngineName Plan::engine_name() const {
    return state_->engine;
}

void Plan::run(const Context& context, std::span<void* const> tensors, void* workspace) const {
    // Sorted by identifier, as they are numbered; the call that takes a map would allocate one every time.
    fe::error_t status = state_->graph.execute(context.native(), const_cast<void**>(tensors.data()),
                                               static_cast<int>(tensors.size()), workspace);
    if (status.is_bad() && !says_no_memory(status.get_message())) {
        failure_is_known();
    }
    check(status, state_->name);
}

Plan::Plan(std::unique_ptr<State> state) : state_(std::move(state)) {}
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;
Plan::~Plan() = default;

}  // namespace boneage::cudnn

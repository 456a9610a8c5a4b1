#include "engine/cudnn/backend.h"

#include "engine/cudnn/conv.h"
#include "engine/cudnn/plans.h"
#include "engine/cudnn/unfolding.h"
#include "engine/plan/on_stream.h"
#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "kernels/nn/copy.h"
#include "kernels/nn/linear.h"
#include "kernels/nn/pool.h"

#include <variant>

namespace boneage::cudnn {
namespace {

// Engines are chosen for this many images, whatever the batch size: what a GPU scores at a time by default.
constexpr int64_t kCanonicalBatch = 64;

template <class T>
Activations<T, Device> activations(const plan::Place& place) {
    const plan::Shape& s = place.shape;
    return {reinterpret_cast<T*>(place.data), s.n, s.h, s.w, s.c, place.pixel_stride};
}

// Calls body with a value of the element type that `type` names.
template <class Body>
void with_type(plan::DataType type, const Body& body) {
    switch (type) {
        case plan::DataType::f32:
            return body(float{});
        case plan::DataType::bf16:
            return body(bfloat16{});
        case plan::DataType::f16:
            return body(float16{});
    }
}

// A step that is one call.
template <class Body>
class Call final : public plan::Runnable {
public:
    explicit Call(Body body) : body_(std::move(body)) {}
    void run(std::byte* /*scratch*/) override { body_(); }

private:
    Body body_;
};
template <class Body>
std::unique_ptr<plan::Runnable> call(Body body) {
    return std::make_unique<Call<Body>>(std::move(body));
}

// Device memory with these values, which stays where it is as long as there are not more of them.
template <class T>
void assign(plan::BackendMemory& memory, Buffer<T, Device>& to, const std::vector<T>& values) {
    const auto size = static_cast<int64_t>(values.size());
    to.reserve(size);
    memory.upload(reinterpret_cast<std::byte*>(to.data()), values.data(), size * static_cast<int64_t>(sizeof(T)));
}

// A convolution's weights in its element type.
using ConvWeight = std::variant<Buffer<float, Device>, Buffer<bfloat16, Device>, Buffer<float16, Device>>;

class Conv final : public plan::Runnable {
public:
    Conv(plan::BackendMemory& memory, const Context& context, std::shared_ptr<const Plan> plan, GraphInput x,
         const plan::FusedConv& step, const plan::Operands& at, const plan::Weights& weights)
        : memory_(memory),
          context_(context),
          plan_(std::move(plan)),
          x_(x),
          g_(geometry_of(step, at)),
          name_(step.weights.weight) {
        with_type(at.x.type, [&]<class T>(T) { weight_.emplace<Buffer<T, Device>>(); });
        Conv::reload(weights);
        tensors_ = {nullptr, std::visit([](const auto& any) -> void* { return any.data(); }, weight_), bias_.data()};
        if (at.residual) {
            tensors_.push_back(at.residual->data);
        }
        tensors_.push_back(at.y.data);
    }
    void reload(const plan::Weights& weights) override {
        expects(static_cast<int64_t>(weights.bias.size()) == g_.k, "a bias for every output channel");
        std::vector<float> krsc = as_krsc(weights.weight, g_.k, g_.c, g_.kernel_h);
        if (x_.unfolded()) {
            krsc = filled_rows(krsc, g_.kernel_w);
        }
        std::visit([&]<class T>(Buffer<T, Device>& any) { assign(memory_, any, plan::rounded<T>(krsc, name_)); },
                   weight_);
        assign(memory_, bias_, weights.bias);
    }
    [[nodiscard]] int64_t scratch_bytes() const override {
        return x_.scratch_bytes() + scratch_part<std::byte>(plan_->workspace_bytes());
    }
    void run(std::byte* memory) override {
        ScratchCursor<Device> scratch({memory, scratch_bytes()});
        tensors_.front() = x_.ready(scratch);
        plan_->run(context_, tensors_, scratch.take<std::byte>(plan_->workspace_bytes()));
    }
    [[nodiscard]] std::string implementation() const override { return plan_->engine_name(); }

private:
    plan::BackendMemory& memory_;
    const Context& context_;
    std::shared_ptr<const Plan> plan_;
    GraphInput x_;
    ConvGeometry g_;
    std::string name_;
    ConvWeight weight_;
    Buffer<float, Device> bias_;
    std::vector<void*> tensors_;
};

class LinearStep final : public plan::Runnable {
public:
    LinearStep(plan::BackendMemory& memory, Stream& stream, const plan::Linear& step, const plan::Operands& at,
               const plan::Weights& weights)
        : memory_(memory), stream_(stream), at_(at), relu_(step.relu) {
        LinearStep::reload(weights);
    }
    void reload(const plan::Weights& weights) override {
        assign(memory_, weight_, weights.weight);
        assign(memory_, bias_, weights.bias);
    }
    void run(std::byte* /*scratch*/) override {
        linear(stream_, activations<const float>(at_.x), {weight_.data(), at_.y.shape.c, at_.x.shape.c},
               {bias_.data(), at_.y.shape.c}, activations<float>(at_.y), relu_);
    }

private:
    plan::BackendMemory& memory_;
    Stream& stream_;
    plan::Operands at_;
    bool relu_;
    Buffer<float, Device> weight_;
    Buffer<float, Device> bias_;
};

class GpuBackend final : public plan::OnStream<plan::Backend> {
public:
    GpuBackend(Stream& stream, const BackendOptions& options)
        : OnStream(stream),
          options_(options),
          plans_(stream, {.autotune = options.autotune,
                          .engine_batch = kCanonicalBatch,
                          .preparing = options.preparing,
                          .other_engine = options.other_engine}) {}

    [[nodiscard]] plan::Traits traits() const override { return kTraits; }

    std::unique_ptr<plan::Runnable> make(const plan::FusedConv& step, const plan::Operands& at,
                                         const plan::Weights& weights) override {
        return std::make_unique<Conv>(*this, plans_.context(),
                                      plans_.plan_for(graph_of(step, at), arithmetic_of(at, options_.tf32)),
                                      GraphInput(stream_, at.x, geometry_of(step, at)), step, at, weights);
    }

    std::unique_ptr<plan::Runnable> make(const plan::MaxPool& step, const plan::Operands& at) override {
        const PoolParams params{step.kernel, step.stride, step.padding};
        return call([this, at, params] {
            with_type(at.x.type, [&]<class T>(T) {
                max_pool<T>(stream_, activations<const T>(at.x), activations<T>(at.y), params);
            });
        });
    }

    std::unique_ptr<plan::Runnable> make(const plan::GlobalAvgPool&, const plan::Operands& at) override {
        return call([this, at] {
            with_type(at.x.type, [&]<class T>(T) {
                global_average_pool<T>(stream_, activations<const T>(at.x), activations<float>(at.y));
            });
        });
    }

    std::unique_ptr<plan::Runnable> make(const plan::Linear& step, const plan::Operands& at,
                                         const plan::Weights& weights) override {
        return std::make_unique<LinearStep>(*this, stream_, step, at, weights);
    }

    std::unique_ptr<plan::Runnable> make(const plan::TransposedConv&, const plan::Operands&,
                                         const plan::Weights&) override {
        throw ContractError("this back end's traits ask for transposed convolutions in two steps");
    }

    std::unique_ptr<plan::Runnable> make(const plan::DepthToSpace&, const plan::Operands& at) override {
        return call([this, at] {
            with_type(at.x.type, [&]<class T>(T) {
                const Activations<const T, Device> x = activations<T>(at.x);
                const int64_t c = at.y.shape.c;
                depth_to_space<T>(stream_,
                                  {x.channels(0, c), x.channels(c, c), x.channels(2 * c, c), x.channels(3 * c, c)},
                                  activations<T>(at.y));
            });
        });
    }

    std::unique_ptr<plan::Runnable> make(const plan::Copy&, const plan::Operands& at) override {
        return call([this, at] {
            with_type(at.x.type, [&]<class From>(From) {
                with_type(at.y.type, [&]<class To>(To) {
                    copy<From, To>(stream_, activations<const From>(at.x), activations<To>(at.y));
                });
            });
        });
    }

private:
    BackendOptions options_;
    Plans plans_;
};

}  // namespace

std::unique_ptr<plan::Backend> make_backend(Stream& stream, const BackendOptions& options) {
    return std::make_unique<GpuBackend>(stream, options);
}

void require_library() {
    library_version();
}

std::string describe() {
    const int64_t version = library_version();
    return "cuDNN " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
           std::to_string(version % 100);
}

}  // namespace boneage::cudnn

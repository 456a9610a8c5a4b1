// Training steps that are this project's own kernels, on the CPU and on a GPU from one text: all but convolutions.
// Included by the back ends' sources only.
#pragma once

#include "engine/plan/training_backend.h"
#include "kernels/base/error.h"
#include "kernels/nn/activation.h"
#include "kernels/nn/adam.h"
#include "kernels/nn/batch_norm.h"
#include "kernels/nn/copy.h"
#include "kernels/nn/gradient_norm.h"
#include "kernels/nn/linear.h"
#include "kernels/nn/linear_backward.h"
#include "kernels/nn/loss.h"
#include "kernels/nn/moving_average.h"
#include "kernels/nn/pool.h"
#include "kernels/nn/pool_backward.h"
#include "kernels/nn/reduce.h"

#include <array>

namespace boneage::plan {

// A step that is one call, `body(scratch)`.
template <class Body>
class Call final : public Runnable {
public:
    Call(int64_t scratch_bytes, Body body, std::string implementation)
        : scratch_bytes_(scratch_bytes), body_(std::move(body)), implementation_(std::move(implementation)) {}
    [[nodiscard]] int64_t scratch_bytes() const override { return scratch_bytes_; }
    void run(std::byte* scratch) override { body_(scratch); }
    [[nodiscard]] std::string implementation() const override { return implementation_; }

private:
    int64_t scratch_bytes_;
    Body body_;
    std::string implementation_;
};
template <class Body>
std::unique_ptr<Runnable> call(int64_t scratch_bytes, Body body, std::string implementation = {}) {
    return std::make_unique<Call<Body>>(scratch_bytes, std::move(body), std::move(implementation));
}
template <class Body>
std::unique_ptr<Runnable> call(Body body) {
    return call(0, std::move(body));
}

// Queue is Workers for Host memory and Stream for Device memory.
template <class Queue, class Space>
class KernelSteps {
public:
    KernelSteps(Queue& queue, const TrainingMemory& memory) : queue_(queue), m_(memory) {}

    using Made = std::unique_ptr<Runnable>;

    Made operator()(const BiasGrad& s) const {
        const Place d_y = m_.place(s.d_y);
        const int64_t bytes = sum_pixels_scratch_bytes(d_y.shape.pixels(), d_y.shape.c);
        return typed(d_y.type, [&]<class T>(T) -> Made {
            return call(bytes, [&queue = queue_, d_y, bytes, bias = gradient(s.bias)](std::byte* scratch) {
                sum_pixels<T>(queue, activations<const T>(d_y), bias, {scratch, bytes});
            });
        });
    }

    Made operator()(const BatchNormForward& s) const {
        const Place x = m_.place(s.x);
        const Place y = m_.place(s.y);
        const Place residual = s.residual ? m_.place(*s.residual) : Place{};
        const int64_t bytes = batch_norm_scratch_bytes(x.shape.pixels(), x.shape.c);
        return typed(x.type, [&]<class T>(T) -> Made {
            return call(bytes, [&queue = queue_, x, y, residual, bytes, channels = channels_of(s.norm, x.shape.c),
                                params = params_of(s.norm)](std::byte* scratch) {
                batch_norm<T>(queue, activations<const T>(x), activations<const T>(residual), channels,
                              activations<T>(y), params, {scratch, bytes});
            });
        });
    }

    Made operator()(const BatchNormAgain& s) const {
        const Place x = m_.place(s.x);
        const Place y = m_.place(s.y);
        return typed(x.type, [&]<class T>(T) -> Made {
            return call([&queue = queue_, x, y, channels = channels_of(s.norm, x.shape.c),
                         params = params_of(s.norm)](std::byte*) {
                batch_norm_again<T>(queue, activations<const T>(x), channels, activations<T>(y), params);
            });
        });
    }

    Made operator()(const BatchNormBackward& s) const {
        const Place d_y = m_.place(s.d_y);
        const Place y = m_.place(s.y);
        const Place x = m_.place(s.x);
        const Place d_x = m_.place(s.d_x);
        const Place d_residual = s.d_residual ? m_.place(*s.d_residual) : Place{};
        const int64_t bytes = batch_norm_scratch_bytes(x.shape.pixels(), x.shape.c);
        return typed(x.type, [&]<class T>(T) -> Made {
            return call(
                bytes, [&queue = queue_, d_y, y, x, bytes, channels = channels_of(s.norm, x.shape.c),
                        gradients = BatchNormGradients<T, Space>{activations<T>(d_x), activations<T>(d_residual),
                                                                 gradient(s.norm.weight), gradient(s.norm.bias)},
                        params = params_of(s.norm)](std::byte* scratch) {
                    batch_norm_backward<T>(queue, activations<const T>(d_y), activations<const T>(y),
                                           activations<const T>(x), channels, gradients, params, {scratch, bytes});
                });
        });
    }

    Made operator()(const MaxPoolForward& s) const {
        const Place x = m_.place(s.x);
        const Place y = m_.place(s.y);
        return typed(x.type, [&]<class T>(T) -> Made {
            return call([&queue = queue_, x, y, positions = positions_of<uint8_t>(s.positions, y.shape),
                         params = PoolParams{s.kernel, s.stride, s.padding}](std::byte*) {
                max_pool_with_positions<T>(queue, activations<const T>(x), activations<T>(y), positions, params);
            });
        });
    }

    Made operator()(const MaxPoolBackward& s) const {
        const Place d_y = m_.place(s.d_y);
        const Place d_x = m_.place(s.d_x);
        return typed(d_x.type, [&]<class T>(T) -> Made {
            return call([&queue = queue_, d_y, d_x, positions = positions_of<const uint8_t>(s.positions, d_y.shape),
                         params = PoolParams{s.kernel, s.stride, s.padding}, write = s.write](std::byte*) {
                max_pool_backward<T>(queue, activations<const T>(d_y), positions, activations<T>(d_x), params, write);
            });
        });
    }

    Made operator()(const AvgPoolForward& s) const {
        const Place x = m_.place(s.x);
        const Place y = m_.place(s.y);
        return typed(x.type, [&]<class T>(T) -> Made {
            return call([&queue = queue_, x, y](std::byte*) {
                global_average_pool<T>(queue, activations<const T>(x), activations<float>(y));
            });
        });
    }

    Made operator()(const AvgPoolBackward& s) const {
        const Place d_y = m_.place(s.d_y);
        const Place d_x = m_.place(s.d_x);
        return typed(d_x.type, [&]<class T>(T) -> Made {
            return call([&queue = queue_, d_y, d_x, write = s.write](std::byte*) {
                global_average_pool_backward<T>(queue, activations<const float>(d_y), activations<T>(d_x), write);
            });
        });
    }

    Made operator()(const LinearForward& s) const {
        const Place x = m_.place(s.x);
        const Place y = m_.place(s.y);
        return call(
            [&queue = queue_, x, y, weight = parameter(s.weight), bias = parameter(s.bias), relu = s.relu](std::byte*) {
                linear(queue, activations<const float>(x), weight, bias, activations<float>(y), relu);
            });
    }

    Made operator()(const LinearBackward& s) const {
        const Place d_y = m_.place(s.d_y);
        const Place x = m_.place(s.x);
        LinearGradients<Space> gradients;
        if (s.d_x) {
            gradients.d_src = activations<float>(m_.place(*s.d_x));
        }
        gradients.write = s.write;
        gradients.d_weights = gradient(s.weight);
        gradients.d_bias = gradient(s.bias);
        return call([&queue = queue_, d_y, x, weight = parameter(s.weight), gradients](std::byte*) {
            linear_backward(queue, activations<const float>(d_y), activations<const float>(x), weight, gradients);
        });
    }

    Made operator()(const ReluBackward& s) const {
        const Place d_y = m_.place(s.d_y);
        const Place y = m_.place(s.y);
        return typed(y.type, [&]<class T>(T) -> Made {
            return call([&queue = queue_, d_y = tensor<T>(d_y), y = tensor<const T>(y)](std::byte*) {
                relu_backward<T>(queue, d_y, y, d_y);
            });
        });
    }

    Made operator()(const DepthToSpace& s) const {
        const Place x = m_.place(s.x);
        const Place y = m_.place(s.y);
        return typed(x.type, [&]<class T>(T) -> Made {
            return call([&queue = queue_, x, y](std::byte*) {
                depth_to_space<T>(queue, quarters<const T>(x), activations<T>(y));
            });
        });
    }

    Made operator()(const SpaceToDepth& s) const {
        const Place x = m_.place(s.x);
        const Place y = m_.place(s.y);
        return typed(x.type, [&]<class T>(T) -> Made {
            return call([&queue = queue_, x, y](std::byte*) {
                space_to_depth<T>(queue, activations<const T>(x), quarters<T>(y));
            });
        });
    }

    Made operator()(const Copy& s) const {
        const Place x = m_.place(s.x);
        const Place y = m_.place(s.y);
        return typed(x.type, [&]<class From>(From) -> Made {
            return typed(y.type, [&]<class To>(To) -> Made {
                return call([&queue = queue_, x, y](std::byte*) {
                    copy<From, To>(queue, activations<const From>(x), activations<To>(y));
                });
            });
        });
    }

    Made operator()(const Accumulate& s) const {
        const Place x = m_.place(s.x);
        const Place y = m_.place(s.y);
        return typed(x.type, [&]<class T>(T) -> Made {
            return call(
                [&queue = queue_, x, y](std::byte*) { add<T>(queue, activations<const T>(x), activations<T>(y)); });
        });
    }

    Made operator()(const AbsoluteErrorLoss& s) const {
        const auto vector = [&](ValueId id) {
            const Place at = m_.place(id);
            return Tensor<float, Space>(reinterpret_cast<float*>(at.data), at.shape.size());
        };
        return call([&queue = queue_, predictions = vector(s.predictions), targets = vector(s.targets),
                     weights = vector(s.weights), d_predictions = vector(s.d_predictions),
                     loss = Tensor<float, Space>(reinterpret_cast<float*>(m_.buffer(s.loss)), 1)](std::byte*) {
            absolute_error_loss(queue, predictions, targets, weights, loss, d_predictions);
        });
    }

    Made operator()(const SegmentationLossStep& s) const {
        const Place logits = m_.place(s.logits);
        const Place targets = m_.place(s.targets);
        const Place d_logits = m_.place(s.d_logits);
        const int64_t bytes = segmentation_loss_scratch_bytes(logits.shape.n, logits.shape.h * logits.shape.w);
        const Tensor<SegmentationLoss, Space> loss(reinterpret_cast<SegmentationLoss*>(m_.buffer(s.loss)), 1);
        return typed(logits.type, [&]<class T>(T) -> Made {
            return call(bytes, [&queue = queue_, logits, targets, d_logits, loss, bytes](std::byte* scratch) {
                segmentation_loss<T>(queue, activations<const T>(logits), activations<const float>(targets), {}, loss,
                                     activations<T>(d_logits), {scratch, bytes});
            });
        });
    }

private:
    template <class Body>
    static Made typed(DataType type, const Body& body) {
        switch (type) {
            case DataType::f32:
                return body(float{});
            case DataType::bf16:
                return body(bfloat16{});
            case DataType::f16:
                break;
        }
        throw ContractError("training has no float16 values");
    }

    template <class T>
    static Activations<T, Space> activations(const Place& at) {
        const Shape& s = at.shape;
        return {reinterpret_cast<T*>(at.data), s.n, s.h, s.w, s.c, at.pixel_stride};
    }
    template <class T>
    static Tensor<T, Space> tensor(const Place& at) {
        expects(at.dense(), "a tensor has no gaps");
        return {reinterpret_cast<T*>(at.data), at.shape.size()};
    }
    template <class T>
    static std::array<Activations<T, Space>, 4> quarters(const Place& at) {
        const auto all = activations<T>(at);
        const int64_t c = at.shape.c / 4;
        return {all.channels(0, c), all.channels(c, c), all.channels(2 * c, c), all.channels(3 * c, c)};
    }
    template <class T>
    Activations<T, Space> positions_of(BufferId id, const Shape& s) const {
        return {reinterpret_cast<T*>(m_.buffer(id)), s.n, s.h, s.w, s.c};
    }

    // Vectors as [size], matrices as [out, in].
    Tensor<float, Space> parameter(ParameterId id) const { return shaped(m_.parameter_data(id), id); }
    Tensor<float, Space> gradient(ParameterId id) const { return shaped(m_.gradient_data(id), id); }
    Tensor<float, Space> shaped(float* data, ParameterId id) const {
        const std::vector<int64_t>& shape = m_.parameter(id).shape;
        return shape.size() == 2 ? Tensor<float, Space>(data, shape[0], shape[1])
                                 : Tensor<float, Space>(data, m_.parameter(id).size());
    }

    BatchNormChannels<Space> channels_of(const BatchNorm& norm, int64_t c) const {
        auto* batch = reinterpret_cast<float*>(m_.buffer(norm.batch));
        return {parameter(norm.weight),
                parameter(norm.bias),
                {m_.statistics + norm.running_mean, c},
                {m_.statistics + norm.running_variance, c},
                {batch, c},
                {batch + c, c}};
    }
    static BatchNormParams params_of(const BatchNorm& norm) {
        return {.eps = norm.eps, .momentum = 0.1, .relu = norm.relu};
    }

    Queue& queue_;
    const TrainingMemory& m_;
};

// What follows the backward steps.
template <class Space, class Queue>
std::unique_ptr<Runnable> make_kernel_step(Queue& queue, const AdamBuffers& at) {
    return call([&queue, at](std::byte*) {
        adam(queue, Tensor<AdamState, Space>(at.state, 1), Tensor<float, Space>(at.parameters, at.size),
             Tensor<const float, Space>(at.gradients, at.size), Tensor<float, Space>(at.first_moment, at.size),
             Tensor<float, Space>(at.second_moment, at.size));
    });
}

template <class Space, class Queue>
std::unique_ptr<Runnable> make_kernel_step(Queue& queue, const ClipBuffers& at) {
    const int64_t bytes = clip_gradients_scratch_bytes(at.size);
    return call(bytes, [&queue, at, bytes](std::byte* scratch) {
        clip_gradients(queue, Tensor<float, Space>(at.gradients, at.size), at.max_norm,
                       Tensor<GradientNorm, Space>(at.norm, 1), {scratch, bytes});
    });
}

template <class Space, class Queue>
std::unique_ptr<Runnable> make_kernel_step(Queue& queue, const AverageBuffers& at) {
    return call([&queue, at](std::byte*) {
        moving_average(queue, Tensor<const float, Space>(at.decay, 1), Tensor<const float, Space>(at.values, at.size),
                       Tensor<float, Space>(at.average, at.size));
    });
}

}  // namespace boneage::plan

#include "engine/plan/training_draft.h"
#include "kernels/base/error.h"
#include "kernels/nn/loss.h"

#include <stdexcept>
#include <utility>

namespace boneage::plan {
namespace {

// Where a value's gradient lies, and whether something has been written there yet.
struct Gradient {
    std::optional<ValueId> value;
    bool written = false;
};

// A value that is made again for the backward pass, and where, once it has been.
struct Repeat {
    BatchNormForward step;
    std::optional<ValueId> value;
};

// Which steps every op becomes, forward and backward.
class Lowering : private TrainingDraft {
public:
    Lowering(const net::Graph& graph, const std::vector<Shape>& shapes, const TrainingOptions& options)
        : TrainingDraft(graph, shapes, options),
          gradients_(graph.values.size()),
          repeats_(graph.values.size()),
          saved_(graph.ops.size()) {}

    TrainingPlan lower() && {
        for (const net::Input& input : graph().inputs) {
            plan().inputs.push_back(value(input.value));
        }
        for (size_t i = 0; i < graph().ops.size(); ++i) {
            std::visit([&](const auto& any) { forward(any, saved_[i]); }, graph().ops[i]);
        }
        add_loss();
        begin_backward();
        for (size_t i = graph().ops.size(); i-- > 0;) {
            const net::ValueId y = net::made_by(graph().ops[i]);
            if (gradients_[index(y)].written) {  // else nothing that is learned from reads it
                std::visit([&](const auto& any) { backward(any, saved_[i]); }, graph().ops[i]);
            }
        }
        return std::move(*this).finish();
    }

private:
    // What an op's forward steps leave for its backward ones.
    struct Saved {
        ValueId x = -1;    // what a pool or a linear layer read
        ValueId raw = -1;  // a convolution's answer before its norm, or before depth to space
        BufferId buffer = -1;
        ConvShape conv;
        BatchNorm norm;
    };

    // --- forward ---

    static int64_t conv_flops(const ConvShape& conv, const Shape& x, const Shape& y) {
        return 2 * conv.kernel * conv.kernel * x.c * y.c * y.pixels();
    }

    void forward(const net::ConvUnit& op, Saved& saved) {
        const ValueId x = as_image(op.x);
        saved.conv = {op.conv.kernel, op.conv.stride, op.conv.padding, parameter(op.conv.name + ".weight")};
        const ValueId y = value(op.y);
        saved.raw = op.norm ? new_value(op.conv.name + "/conv", shape(op.y), image_type()) : y;
        ConvForward conv{x, saved.raw, saved.conv, {}, 1};
        if (op.conv.bias) {
            conv.bias = parameter(op.conv.name + ".bias");
        }
        push(op.conv.name, conv, conv_flops(saved.conv, shape(op.x), shape(op.y)));
        if (!op.norm) {
            return;
        }
        const net::Norm& norm = *op.norm;
        saved.norm = {parameter(norm.name + ".weight"),
                      parameter(norm.name + ".bias"),
                      statistic(norm.name + ".running_mean"),
                      statistic(norm.name + ".running_var"),
                      new_buffer(2 * norm.channels * size_of(DataType::f32)),
                      norm.eps,
                      op.act == net::Act::relu};
        BatchNormForward step{saved.raw, {}, y, saved.norm};
        if (op.residual) {
            step.residual = as_image(*op.residual);
        } else if (plan().options.recompute && !slice(op.y)) {
            repeats_[index(op.y)] = Repeat{step, {}};
        }
        push(norm.name, step);
    }
    void forward(const net::MaxPool& op, Saved& saved) {
        saved.x = value(op.x);
        saved.buffer = new_buffer(shape(op.y).size());
        push(name_of(op.y), MaxPoolForward{saved.x, value(op.y), saved.buffer, op.kernel, op.stride, op.padding});
    }
    void forward(const net::GlobalAvgPool& op, Saved& saved) {
        saved.x = value(op.x);
        push(name_of(op.y), AvgPoolForward{saved.x, value(op.y)});
    }
    void forward(const net::Linear& op, Saved& saved) {
        saved.x = value(op.x);
        if (planned(saved.x).type != DataType::f32) {
            refuse("training knows no linear layer over the image " + name_of(op.x));
        }
        push(op.name,
             LinearForward{saved.x, value(op.y), parameter(op.name + ".weight"), parameter(op.name + ".bias"),
                           op.act == net::Act::relu},
             2 * op.in * op.out * shape(op.x).n);
    }
    void forward(const net::TransposedConv& op, Saved& saved) {
        const ValueId x = as_image(op.x);
        saved.conv = {1, 1, 0, parameter(op.name + ".weight")};
        Shape packed = shape(op.x);
        packed.c = 4 * op.out;
        saved.raw = new_value(op.name + "/packed", packed, image_type());
        push(op.name, ConvForward{x, saved.raw, saved.conv, parameter(op.name + ".bias"), 4},
             conv_flops(saved.conv, shape(op.x), packed));
        push(op.name + "/depth_to_space", DepthToSpace{saved.raw, value(op.y)});
    }
    void forward(const net::Concat& op, Saved&) {
        const ValueId y = value(op.y);
        int64_t offset = 0;
        for (const net::ValueId x : op.x) {
            const int64_t channels = shape(x).c;
            if (!lies_in(x, op.y)) {
                const std::string name = name_of(op.y) + "/" + name_of(x);
                push(name, Copy{value(x), new_slice(name, y, offset, channels)});
            }
            offset += channels;
        }
    }

    // --- loss ---

    void add_loss() {
        const net::ValueId y = graph().outputs.front();
        plan().output = value(y);
        const Shape& size = shape(y);
        if (size.c != 1) {
            refuse("training needs one output channel, not " + std::to_string(size.c));
        }
        const auto input = [&](const char* name) {
            plan().inputs.push_back(new_value(name, size, DataType::f32));
            return plan().inputs.back();
        };
        const ValueId targets = input("targets");
        switch (plan().options.loss) {
            case Loss::absolute_error:
                if (size.h != 1 || size.w != 1 || type(y) != DataType::f32) {
                    refuse("absolute errors need an output of one number an image");
                }
                plan().loss = new_buffer(size_of(DataType::f32));
                push("loss",
                     AbsoluteErrorLoss{plan().output, targets, input("weights"), first_gradient(y), plan().loss});
                return;
            case Loss::segmentation:
                plan().loss = new_buffer(static_cast<int64_t>(sizeof(boneage::SegmentationLoss)));
                push("loss", SegmentationLossStep{plan().output, targets, first_gradient(y), plan().loss});
                return;
        }
    }

    // --- backward ---

    // A value as backward steps read it, in the images' type: kept, or made again when first asked for.
    ValueId remembered(net::ValueId id) {
        std::optional<Repeat>& repeat = repeats_[index(id)];
        if (!repeat) {
            return as_image(id);
        }
        if (!repeat->value) {
            repeat->value = new_value(name_of(id) + "/again", shape(id), image_type());
            push(name_of(id) + "/again", BatchNormAgain{repeat->step.x, *repeat->value, repeat->step.norm});
        }
        return *repeat->value;
    }

    ValueId gradient(net::ValueId id) {
        Gradient& known = gradients_[index(id)];
        if (!known.value) {
            const auto& part = slice(id);
            known.value = part
                              ? new_slice("d_" + name_of(id), gradient(part->concat), part->channel_offset, shape(id).c)
                              : new_value("d_" + name_of(id), shape(id), type(id));
        }
        return *known.value;
    }
    ValueId first_gradient(net::ValueId id) {
        gradients_[index(id)].written = true;
        return gradient(id);
    }
    // How the next writer of a gradient writes.
    Write next_write(net::ValueId id) {
        return std::exchange(gradients_[index(id)].written, true) ? Write::accumulate : Write::assign;
    }
    // Lets `push_into` assign to the gradient of `id`, or, where something is there already, aside and adds that.
    template <class PushInto>
    void contribute(net::ValueId id, const std::string& name, const PushInto& push_into) {
        if (next_write(id) == Write::assign) {
            push_into(gradient(id));
            return;
        }
        const ValueId aside = new_value(name + "/d_" + name_of(id), shape(id), type(id));
        push_into(aside);
        push(name + "/accumulate", Accumulate{aside, gradient(id)});
    }

    void conv_gradients(net::ValueId x, const Saved& saved, ValueId d_y, const std::string& name, int64_t flops) {
        push(name + "/grad_weight", ConvGradWeight{remembered(x), d_y, saved.conv}, flops);
        if (!learns(x)) {
            return;
        }
        const auto grad_input = [&](ValueId d_x, Write write) {
            push(name + "/grad_input", ConvGradInput{d_y, d_x, saved.conv, write}, flops);
        };
        if (plan().options.traits.conv_accumulates) {
            const Write write = next_write(x);
            grad_input(gradient(x), write);
        } else {
            contribute(x, name, [&](ValueId d_x) { grad_input(d_x, Write::assign); });
        }
    }

    void backward(const net::ConvUnit& op, const Saved& saved) {
        const ValueId d_y = gradient(op.y);
        const int64_t flops = conv_flops(saved.conv, shape(op.x), shape(op.y));
        const auto gradients = [&](ValueId d_raw) {
            if (op.conv.bias) {
                push(op.conv.name + "/grad_bias", BiasGrad{d_raw, parameter(op.conv.name + ".bias")});
            }
            conv_gradients(op.x, saved, d_raw, op.conv.name, flops);
        };
        if (!op.norm) {
            gradients(d_y);
            return;
        }
        const ValueId y = saved.norm.relu ? remembered(op.y) : value(op.y);
        BatchNormBackward step{d_y, y, saved.raw, 0, {}, saved.norm};
        const bool passes_on = op.residual && learns(*op.residual);
        // One of the results may take d_y's memory, which is not needed afterwards.
        const bool d_y_is_free = planned(d_y).dense();
        step.d_x =
            !passes_on && d_y_is_free ? d_y : new_value("d_" + op.conv.name + "/conv", shape(op.y), image_type());
        if (op.residual && !passes_on) {
            step.d_residual = new_value(op.norm->name + "/unused", shape(op.y), image_type());
        }
        const std::string name = op.norm->name + "/grad";
        if (!passes_on) {
            push(name, step);
        } else if (Gradient& residual = gradients_[index(*op.residual)];
                   !residual.written && !residual.value && !slice(*op.residual) && d_y_is_free) {
            residual = {d_y, true};
            step.d_residual = d_y;
            push(name, step);
        } else {
            contribute(*op.residual, op.norm->name, [&](ValueId d_residual) {
                step.d_residual = d_residual;
                push(name, step);
            });
        }
        gradients(step.d_x);
    }
    void backward(const net::MaxPool& op, const Saved& saved) {
        if (learns(op.x)) {
            const Write write = next_write(op.x);
            push(name_of(op.y) + "/grad", MaxPoolBackward{gradient(op.y), gradient(op.x), saved.buffer, op.kernel,
                                                          op.stride, op.padding, write});
        }
    }
    void backward(const net::GlobalAvgPool& op, const Saved&) {
        if (learns(op.x)) {
            const Write write = next_write(op.x);
            push(name_of(op.y) + "/grad", AvgPoolBackward{gradient(op.y), gradient(op.x), write});
        }
    }
    void backward(const net::Linear& op, const Saved& saved) {
        const ValueId d_y = gradient(op.y);
        if (op.act == net::Act::relu) {
            push(op.name + "/grad_relu", ReluBackward{d_y, value(op.y)});
        }
        LinearBackward step{d_y,          saved.x, {}, parameter(op.name + ".weight"), parameter(op.name + ".bias"),
                            Write::assign};
        if (learns(op.x)) {
            step.write = next_write(op.x);
            step.d_x = gradient(op.x);
        }
        push(op.name + "/grad", step, (step.d_x ? 4 : 2) * op.in * op.out * shape(op.x).n);
    }
    void backward(const net::TransposedConv& op, const Saved& saved) {
        const ValueId d_y = gradient(op.y);
        push(op.name + "/grad_bias", BiasGrad{d_y, parameter(op.name + ".bias")});
        const ValueId d_packed = new_value("d_" + op.name + "/packed", planned(saved.raw).shape, image_type());
        push(op.name + "/space_to_depth", SpaceToDepth{d_y, d_packed});
        conv_gradients(op.x, saved, d_packed, op.name, conv_flops(saved.conv, shape(op.x), planned(saved.raw).shape));
    }
    void backward(const net::Concat& op, const Saved&) {
        const ValueId d_y = gradient(op.y);
        int64_t offset = 0;
        for (const net::ValueId x : op.x) {
            const int64_t channels = shape(x).c;
            if (lies_in(x, op.y)) {
                gradients_[index(x)].written = true;
                gradient(x);
            } else if (learns(x)) {
                const ValueId part = new_slice("d_" + name_of(op.y) + "/" + name_of(x), d_y, offset, channels);
                const std::string name = name_of(op.y) + "/" + name_of(x) + "/grad";
                if (gradients_[index(x)].written && type(x) == type(op.y)) {
                    push(name, Accumulate{part, gradient(x)});
                } else {
                    contribute(x, name, [&](ValueId d_x) { push(name, Copy{part, d_x}); });
                }
            }
            offset += channels;
        }
    }

    std::vector<Gradient> gradients_;             // per graph value
    std::vector<std::optional<Repeat>> repeats_;  // per graph value
    std::vector<Saved> saved_;                    // per op
};

}  // namespace

TrainingPlan lower_training(const net::Graph& graph, const TrainingOptions& options) {
    if (options.precision == Precision::f16) {
        throw UsageError("training knows f32, tf32 and bf16: in f16 small gradients would vanish");
    }
    std::vector<Shape> shapes;
    try {
        shapes = net::infer_shapes(graph, options.batch, options.height, options.width);
    } catch (const std::invalid_argument& problem) {
        throw UsageError(problem.what());
    }
    return Lowering(graph, shapes, options).lower();
}

int64_t total_flops(const TrainingPlan& plan) {
    int64_t total = 0;
    for (const PlannedTrainingStep& step : plan.steps) {
        total += step.flops;
    }
    return total;
}

MemoryBytes memory_bytes(const TrainingPlan& plan) {
    const int64_t parameters = plan.parameter_floats * size_of(DataType::f32);
    return {.arena = plan.arena_bytes,
            .parameters = parameters,
            .gradients = parameters,
            .moments = 2 * parameters,
            .statistics = plan.statistic_floats * size_of(DataType::f32)};
}

}  // namespace boneage::plan

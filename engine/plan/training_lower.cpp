#include "engine/plan/arena.h"
#include "engine/plan/training_plan.h"
#include "kernels/base/error.h"
#include "kernels/nn/loss.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace boneage::plan {
namespace {

// Where a value's gradient lies, and whether something has been written there yet.
struct Gradient {
    std::optional<ValueId> value;
    bool written = false;
};

// A part of a concatenation that lies in it, as does its gradient.
struct Slice {
    net::ValueId concat = 0;
    int64_t channel_offset = 0;
};

class Lowering {
public:
    Lowering(const net::Graph& graph, const std::vector<Shape>& shapes, const TrainingOptions& options)
        : graph_(graph),
          shapes_(shapes),
          image_type_(options.precision == Precision::f32 ? DataType::f32 : DataType::bf16),
          types_(graph.values.size(), DataType::f32),
          learns_(graph.values.size(), false),
          sliceable_(graph.values.size(), false),
          slices_(graph.values.size()),
          ids_(graph.values.size(), -1),
          gradients_(graph.values.size()),
          saved_(graph.ops.size()) {
        plan_.net = graph.name;
        plan_.options = options;
    }

    TrainingPlan lower() && {
        study();
        place_parameters();
        for (const net::Input& input : graph_.inputs) {
            plan_.inputs.push_back(value(input.value));
        }
        for (size_t i = 0; i < graph_.ops.size(); ++i) {
            std::visit([&](const auto& any) { forward(any, saved_[i]); }, graph_.ops[i]);
        }
        add_loss();
        backward_ = true;
        for (size_t i = graph_.ops.size(); i-- > 0;) {
            const net::ValueId y = net::made_by(graph_.ops[i]);
            if (gradients_[index(y)].written) {  // else nothing that is learned from reads it
                std::visit([&](const auto& any) { backward(any, saved_[i]); }, graph_.ops[i]);
            }
        }
        expose();
        place_buffers();
        return std::move(plan_);
    }

private:
    // What an op's forward steps leave for its backward ones.
    struct Saved {
        ValueId x = -1;    // as the op read it, in its type
        ValueId raw = -1;  // a convolution's answer before its norm, or before depth to space
        BufferId buffer = -1;
        ConvShape conv;
        BatchNorm norm;
    };

    static size_t index(net::ValueId id) { return static_cast<size_t>(id); }
    const std::string& name_of(net::ValueId id) const { return graph_.values[index(id)].name; }
    Value& planned(ValueId id) { return plan_.values[static_cast<size_t>(id)]; }

    [[noreturn]] void refuse(const std::string& what) const { throw UsageError(graph_.name + ": " + what); }

    // --- what the graph as a whole decides ---

    void study() {
        if (graph_.outputs.size() != 1) {
            refuse("training needs a network with one output, not " + std::to_string(graph_.outputs.size()));
        }
        std::vector<size_t> last_reader(graph_.values.size(), 0);
        for (size_t i = 0; i < graph_.ops.size(); ++i) {
            for (const net::ValueId x : net::reads(graph_.ops[i])) {
                last_reader[index(x)] = i;
            }
            std::visit([this](const auto& any) { study_op(any); }, graph_.ops[i]);
        }
        // A part shares memory with the concatenation, and so does its gradient: what the concatenation's gradient
        // assigns must be the first to be written there, so the concatenation must be the part's last reader.
        for (size_t i = 0; i < graph_.ops.size(); ++i) {
            const auto* concat = std::get_if<net::Concat>(&graph_.ops[i]);
            if (concat == nullptr) {
                continue;
            }
            int64_t offset = 0;
            for (const net::ValueId x : concat->x) {
                if (sliceable_[index(x)] && !slices_[index(x)] && last_reader[index(x)] == i &&
                    types_[index(x)] == types_[index(concat->y)] && std::ranges::count(concat->x, x) == 1) {
                    slices_[index(x)] = Slice{concat->y, offset};
                }
                offset += shapes_[index(x)].c;
            }
        }
    }

    void made(net::ValueId y, DataType type, bool learns, bool sliceable) {
        types_[index(y)] = type;
        learns_[index(y)] = learns;
        sliceable_[index(y)] = sliceable;
    }
    void study_op(const net::ConvUnit& op) {
        if (!op.norm && (op.act != net::Act::none || op.residual)) {
            refuse("training needs a norm between the convolution " + op.conv.name + " and what follows it");
        }
        // Convolutions read whole values only.
        sliceable_[index(op.x)] = false;
        made(op.y, image_type_, true, op.norm.has_value());
    }
    void study_op(const net::MaxPool& op) { made(op.y, types_[index(op.x)], learns_[index(op.x)], true); }
    void study_op(const net::GlobalAvgPool& op) { made(op.y, DataType::f32, learns_[index(op.x)], true); }
    void study_op(const net::Linear& op) { made(op.y, DataType::f32, true, op.act == net::Act::none); }
    void study_op(const net::TransposedConv& op) {
        sliceable_[index(op.x)] = false;
        made(op.y, image_type_, true, true);
    }
    void study_op(const net::Concat& op) {
        const bool learns = std::ranges::any_of(op.x, [&](auto x) { return learns_[index(x)]; });
        made(op.y, types_[index(op.x.front())], learns, true);
    }

    // Aligned, so that each parameter can be read in whole vectors.
    static constexpr int64_t kParameterAlignment = kArenaAlignment / static_cast<int64_t>(sizeof(float));

    void place_parameters() {
        for (net::Parameter& parameter : net::parameters(graph_)) {
            const int64_t room = round_up(parameter.size(), kParameterAlignment);
            if (parameter.kind == net::ParameterKind::batches_tracked) {
                plan_.counters.push_back(parameter.name);
            } else if (!parameter.trainable()) {
                plan_.statistics.push_back({std::move(parameter), plan_.statistic_floats});
                plan_.statistic_floats += room;
            } else {
                const ParameterLayout layout = parameter.kind == net::ParameterKind::conv_weight ? ParameterLayout::krsc
                                               : parameter.kind == net::ParameterKind::transposed_weight
                                                   ? ParameterLayout::pointwise
                                                   : ParameterLayout::plain;
                plan_.parameters.push_back({std::move(parameter), layout, plan_.parameter_floats});
                plan_.parameter_floats += room;
            }
        }
    }
    ParameterId parameter(const std::string& name) const {
        const auto found =
            std::ranges::find_if(plan_.parameters, [&](const auto& place) { return place.parameter.name == name; });
        return static_cast<ParameterId>(found - plan_.parameters.begin());
    }
    int64_t statistic(const std::string& name) const {
        return std::ranges::find_if(plan_.statistics, [&](const auto& place) { return place.parameter.name == name; })
            ->offset;
    }

    // --- values and buffers ---

    BufferId new_buffer(int64_t bytes) {
        plan_.buffers.push_back({.bytes = bytes});
        return static_cast<BufferId>(plan_.buffers.size()) - 1;
    }
    ValueId new_value(std::string name, const Shape& shape, DataType type) {
        Value made{std::move(name), shape, type, 0, 0, shape.c, 1};
        made.buffer = new_buffer(made.bytes());
        plan_.values.push_back(std::move(made));
        return static_cast<ValueId>(plan_.values.size()) - 1;
    }
    ValueId new_slice(std::string name, ValueId whole, int64_t channel_offset, int64_t channels) {
        Value slice = planned(whole);
        slice.name = std::move(name);
        slice.shape.c = channels;
        slice.channel_offset += channel_offset;
        plan_.values.push_back(std::move(slice));
        return static_cast<ValueId>(plan_.values.size()) - 1;
    }
    ValueId value(net::ValueId id) {
        ValueId& known = ids_[index(id)];
        if (known < 0) {
            const auto& slice = slices_[index(id)];
            known = slice ? new_slice(name_of(id), value(slice->concat), slice->channel_offset, shapes_[index(id)].c)
                          : new_value(name_of(id), shapes_[index(id)], types_[index(id)]);
        }
        return known;
    }
    // The same value in the images' type; converted once.
    ValueId as_image(net::ValueId id) {
        const ValueId original = value(id);
        if (planned(original).type == image_type_) {
            return original;
        }
        const auto known = converted_.find(id);
        if (known != converted_.end()) {
            return known->second;
        }
        if (learns_[index(id)]) {
            refuse("training knows no convolution of the vector " + name_of(id));
        }
        const ValueId copy = new_value(name_of(id) + "/bf16", shapes_[index(id)], image_type_);
        push(name_of(id) + "/bf16", Copy{original, copy});
        return converted_[id] = copy;
    }

    void push(std::string name, TrainingStep step, int64_t flops = 0) {
        plan_.steps.push_back({std::move(name), std::move(step), flops, backward_});
    }

    // --- forward ---

    int64_t conv_flops(const ConvShape& conv, const Shape& x, const Shape& y) const {
        return 2 * conv.kernel * conv.kernel * x.c * y.c * y.pixels();
    }

    void forward(const net::ConvUnit& op, Saved& saved) {
        saved.x = as_image(op.x);
        saved.conv = {op.conv.kernel, op.conv.stride, op.conv.padding, parameter(op.conv.name + ".weight")};
        const ValueId y = value(op.y);
        saved.raw = op.norm ? new_value(op.conv.name + "/conv", shapes_[index(op.y)], image_type_) : y;
        ConvForward conv{saved.x, saved.raw, saved.conv, {}, 1};
        if (op.conv.bias) {
            conv.bias = parameter(op.conv.name + ".bias");
        }
        push(op.conv.name, conv, conv_flops(saved.conv, shapes_[index(op.x)], shapes_[index(op.y)]));
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
        }
        push(norm.name, step);
    }
    void forward(const net::MaxPool& op, Saved& saved) {
        saved.x = value(op.x);
        saved.buffer = new_buffer(shapes_[index(op.y)].size());
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
             2 * op.in * op.out * shapes_[index(op.x)].n);
    }
    void forward(const net::TransposedConv& op, Saved& saved) {
        saved.x = as_image(op.x);
        saved.conv = {1, 1, 0, parameter(op.name + ".weight")};
        Shape packed = shapes_[index(op.x)];
        packed.c = 4 * op.out;
        saved.raw = new_value(op.name + "/packed", packed, image_type_);
        push(op.name, ConvForward{saved.x, saved.raw, saved.conv, parameter(op.name + ".bias"), 4},
             conv_flops(saved.conv, shapes_[index(op.x)], packed));
        push(op.name + "/depth_to_space", DepthToSpace{saved.raw, value(op.y)});
    }
    void forward(const net::Concat& op, Saved&) {
        const ValueId y = value(op.y);
        int64_t offset = 0;
        for (const net::ValueId x : op.x) {
            const int64_t channels = shapes_[index(x)].c;
            if (!lies_in(x, op.y)) {
                const std::string name = name_of(op.y) + "/" + name_of(x);
                push(name, Copy{value(x), new_slice(name, y, offset, channels)});
            }
            offset += channels;
        }
    }
    bool lies_in(net::ValueId part, net::ValueId concat) const {
        return slices_[index(part)] && slices_[index(part)]->concat == concat;
    }

    // --- loss ---

    void add_loss() {
        const net::ValueId y = graph_.outputs.front();
        plan_.output = value(y);
        const Shape& shape = shapes_[index(y)];
        if (shape.c != 1) {
            refuse("training needs one output channel, not " + std::to_string(shape.c));
        }
        const auto input = [&](const char* name) {
            plan_.inputs.push_back(new_value(name, shape, DataType::f32));
            return plan_.inputs.back();
        };
        const ValueId targets = input("targets");
        switch (plan_.options.loss) {
            case Loss::absolute_error:
                if (shape.h != 1 || shape.w != 1 || types_[index(y)] != DataType::f32) {
                    refuse("absolute errors need an output of one number an image");
                }
                plan_.loss = new_buffer(size_of(DataType::f32));
                push("loss", AbsoluteErrorLoss{plan_.output, targets, input("weights"), first_gradient(y), plan_.loss});
                return;
            case Loss::segmentation:
                plan_.loss = new_buffer(static_cast<int64_t>(sizeof(boneage::SegmentationLoss)));
                push("loss", SegmentationLossStep{plan_.output, targets, first_gradient(y), plan_.loss});
                return;
        }
    }

    // --- backward ---

    ValueId gradient(net::ValueId id) {
        Gradient& known = gradients_[index(id)];
        if (!known.value) {
            const auto& slice = slices_[index(id)];
            known.value = slice ? new_slice("d_" + name_of(id), gradient(slice->concat), slice->channel_offset,
                                            shapes_[index(id)].c)
                                : new_value("d_" + name_of(id), shapes_[index(id)], types_[index(id)]);
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
        const ValueId aside = new_value(name + "/d_" + name_of(id), shapes_[index(id)], types_[index(id)]);
        push_into(aside);
        push(name + "/accumulate", Accumulate{aside, gradient(id)});
    }

    void conv_gradients(net::ValueId x, const Saved& saved, ValueId d_y, const std::string& name, int64_t flops) {
        push(name + "/grad_weight", ConvGradWeight{saved.x, d_y, saved.conv}, flops);
        if (!learns_[index(x)]) {
            return;
        }
        const auto grad_input = [&](ValueId d_x, Write write) {
            push(name + "/grad_input", ConvGradInput{d_y, d_x, saved.conv, write}, flops);
        };
        if (plan_.options.traits.conv_accumulates) {
            const Write write = next_write(x);
            grad_input(gradient(x), write);
        } else {
            contribute(x, name, [&](ValueId d_x) { grad_input(d_x, Write::assign); });
        }
    }

    void backward(const net::ConvUnit& op, const Saved& saved) {
        const ValueId d_y = gradient(op.y);
        const int64_t flops = conv_flops(saved.conv, shapes_[index(op.x)], shapes_[index(op.y)]);
        if (op.conv.bias) {
            push(op.conv.name + "/grad_bias", BiasGrad{d_y, parameter(op.conv.name + ".bias")});
        }
        if (!op.norm) {
            conv_gradients(op.x, saved, d_y, op.conv.name, flops);
            return;
        }
        BatchNormBackward step{d_y, value(op.y), saved.raw, 0, {}, saved.norm};
        const bool passes_on = op.residual && learns_[index(*op.residual)];
        // One of the results may take d_y's memory, which is not needed afterwards.
        const bool d_y_is_free = planned(d_y).dense();
        step.d_x = !passes_on && d_y_is_free
                       ? d_y
                       : new_value("d_" + op.conv.name + "/conv", shapes_[index(op.y)], image_type_);
        if (op.residual && !passes_on) {
            step.d_residual = new_value(op.norm->name + "/unused", shapes_[index(op.y)], image_type_);
        }
        const std::string name = op.norm->name + "/grad";
        if (!passes_on) {
            push(name, step);
        } else if (Gradient& residual = gradients_[index(*op.residual)];
                   !residual.written && !residual.value && !slices_[index(*op.residual)] && d_y_is_free) {
            residual = {d_y, true};
            step.d_residual = d_y;
            push(name, step);
        } else {
            contribute(*op.residual, op.norm->name, [&](ValueId d_residual) {
                step.d_residual = d_residual;
                push(name, step);
            });
        }
        conv_gradients(op.x, saved, step.d_x, op.conv.name, flops);
    }
    void backward(const net::MaxPool& op, const Saved& saved) {
        if (learns_[index(op.x)]) {
            const Write write = next_write(op.x);
            push(name_of(op.y) + "/grad", MaxPoolBackward{gradient(op.y), gradient(op.x), saved.buffer, op.kernel,
                                                          op.stride, op.padding, write});
        }
    }
    void backward(const net::GlobalAvgPool& op, const Saved&) {
        if (learns_[index(op.x)]) {
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
        if (learns_[index(op.x)]) {
            step.write = next_write(op.x);
            step.d_x = gradient(op.x);
        }
        push(op.name + "/grad", step, 4 * op.in * op.out * shapes_[index(op.x)].n);
    }
    void backward(const net::TransposedConv& op, const Saved& saved) {
        const ValueId d_y = gradient(op.y);
        push(op.name + "/grad_bias", BiasGrad{d_y, parameter(op.name + ".bias")});
        const ValueId d_packed = new_value("d_" + op.name + "/packed", planned(saved.raw).shape, image_type_);
        push(op.name + "/space_to_depth", SpaceToDepth{d_y, d_packed});
        conv_gradients(op.x, saved, d_packed, op.name,
                       conv_flops(saved.conv, shapes_[index(op.x)], planned(saved.raw).shape));
    }
    void backward(const net::Concat& op, const Saved&) {
        const ValueId d_y = gradient(op.y);
        int64_t offset = 0;
        for (const net::ValueId x : op.x) {
            const int64_t channels = shapes_[index(x)].c;
            if (lies_in(x, op.y)) {
                gradients_[index(x)].written = true;
                gradient(x);
            } else if (learns_[index(x)]) {
                const ValueId part = new_slice("d_" + name_of(op.y) + "/" + name_of(x), d_y, offset, channels);
                const std::string name = name_of(op.y) + "/" + name_of(x) + "/grad";
                if (next_write(x) == Write::assign) {
                    push(name, Copy{part, gradient(x)});
                } else {
                    push(name, Accumulate{part, gradient(x)});
                }
            }
            offset += channels;
        }
    }

    // --- what the caller sees, and where everything lies ---

    void expose() {
        for (const std::string& name : plan_.options.keep) {
            const auto id = net::find_value(graph_, name);
            if (!id) {
                refuse("there is no value called \"" + name + "\" to keep");
            }
            plan_.kept.push_back(value(*id));
        }
    }

    void place_buffers() {
        const auto end = static_cast<int64_t>(plan_.steps.size());
        for (Buffer& buffer : plan_.buffers) {
            buffer.first = end;
            buffer.last = -1;
        }
        const auto touch = [&](BufferId id, int64_t at) {
            Buffer& buffer = plan_.buffers[static_cast<size_t>(id)];
            buffer.first = std::min(buffer.first, at);
            buffer.last = std::max(buffer.last, at);
        };
        for (const ValueId id : plan_.inputs) {
            touch(planned(id).buffer, -1);
        }
        for (int64_t i = 0; i < end; ++i) {
            const Touched touched = touched_by(plan_.steps[static_cast<size_t>(i)].step);
            for (const ValueId id : touched.values) {
                touch(planned(id).buffer, i);
            }
            for (const BufferId id : touched.buffers) {
                touch(id, i);
            }
        }
        touch(planned(plan_.output).buffer, end);
        touch(plan_.loss, end);
        for (const ValueId id : plan_.kept) {
            touch(planned(id).buffer, end);
        }
        plan_.arena_bytes = arrange(plan_.buffers);
        plan_.live_bytes = most_live_bytes(plan_.buffers);
    }

    const net::Graph& graph_;
    const std::vector<Shape>& shapes_;
    DataType image_type_;
    // Per graph value.
    std::vector<DataType> types_;
    std::vector<bool> learns_;     // some parameter lies behind it
    std::vector<bool> sliceable_;  // every op that touches it takes channel slices
    std::vector<std::optional<Slice>> slices_;
    std::vector<ValueId> ids_;  // -1 until made
    std::vector<Gradient> gradients_;
    std::map<net::ValueId, ValueId> converted_;
    std::vector<Saved> saved_;  // per op
    bool backward_ = false;
    TrainingPlan plan_;
};

}  // namespace

TrainingPlan lower_training(const net::Graph& graph, const TrainingOptions& options) {
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

}  // namespace boneage::plan

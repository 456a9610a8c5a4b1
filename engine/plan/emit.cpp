#include "engine/plan/emit.h"

#include "kernels/base/error.h"

#include <algorithm>

namespace boneage::plan {
namespace {

// A part of a concatenation that its producer writes in place.
struct Slice {
    net::ValueId concat = 0;
    int64_t channel_offset = 0;
};

class Emitter {
public:
    Emitter(const net::Graph& graph, const std::vector<Shape>& shapes, const Options& options)
        : graph_(graph),
          shapes_(shapes),
          image_type_(image_type(options.precision)),
          types_(graph.values.size(), DataType::f32),
          readers_(graph.values.size()),
          made_by_(graph.values.size(), nullptr),
          slices_(graph.values.size()),
          ids_(graph.values.size(), -1) {
        plan_.net = graph.name;
        plan_.options = options;
    }

    Plan emit() && {
        study();
        for (const net::Input& input : graph_.inputs) {
            plan_.inputs.push_back(value(input.value));
            finish(input.value);
        }
        for (const net::Op& op : graph_.ops) {
            std::visit([this](const auto& any) { add(any); }, op);
            finish(net::made_by(op));
        }
        expose();
        choose_blocks();
        return std::move(plan_);
    }

private:
    // --- what the graph as a whole decides ---

    void study() {
        for (const net::Op& op : graph_.ops) {
            const net::ValueId y = net::made_by(op);
            made_by_[index(y)] = &op;
            for (const net::ValueId x : net::reads(op)) {
                readers_[index(x)].push_back(&op);
            }
        }
        for (const net::Op& op : graph_.ops) {
            types_[index(net::made_by(op))] = std::visit([this](const auto& any) { return type_made(any); }, op);
        }
        for (const net::Op& op : graph_.ops) {
            if (const auto* concat = std::get_if<net::Concat>(&op)) {
                choose_slices(*concat);
            }
        }
    }

    // A convolution writes float32 itself when the caller is the only one to see the result.
    DataType conv_type(net::ValueId y) const {
        return is_output(y) && readers_[index(y)].empty() ? DataType::f32 : image_type_;
    }
    DataType type_made(const net::ConvUnit& op) const { return conv_type(op.y); }
    DataType type_made(const net::TransposedConv& op) const { return conv_type(op.y); }
    DataType type_made(const net::MaxPool&) const { return image_type_; }
    DataType type_made(const net::GlobalAvgPool&) const { return DataType::f32; }
    DataType type_made(const net::Linear&) const { return DataType::f32; }
    DataType type_made(const net::Concat& op) const {
        const bool vectors = std::ranges::all_of(op.x, [&](auto x) { return types_[index(x)] == DataType::f32; });
        return vectors ? DataType::f32 : image_type_;
    }

    bool writes_slices(const net::Op& op) const {
        const Traits& traits = plan_.options.traits;
        struct Rule {
            const Traits& traits;
            bool operator()(const net::ConvUnit&) const { return traits.conv_writes_slices; }
            bool operator()(const net::TransposedConv&) const {
                return !traits.direct_transposed_conv || traits.conv_writes_slices;
            }
            bool operator()(const net::MaxPool&) const { return true; }
            bool operator()(const net::GlobalAvgPool&) const { return true; }
            bool operator()(const net::Linear&) const { return true; }
            bool operator()(const net::Concat&) const { return false; }
        };
        return std::visit(Rule{traits}, op);
    }
    bool reads_slices(const net::Op& op) const {
        const bool convolves =
            std::holds_alternative<net::ConvUnit>(op) || std::holds_alternative<net::TransposedConv>(op);
        return !convolves || plan_.options.traits.conv_reads_slices;
    }

    void choose_slices(const net::Concat& concat) {
        int64_t offset = 0;
        for (const net::ValueId x : concat.x) {
            const net::Op* producer = made_by_[index(x)];
            const bool possible = producer != nullptr && writes_slices(*producer) && !is_output(x) &&
                                  !slices_[index(x)] && types_[index(x)] == types_[index(concat.y)] &&
                                  std::ranges::all_of(readers_[index(x)], [&](auto op) { return reads_slices(*op); });
            if (possible) {
                slices_[index(x)] = Slice{concat.y, offset};
            }
            offset += shapes_[index(x)].c;
        }
    }

    // --- values ---

    static size_t index(net::ValueId id) { return static_cast<size_t>(id); }
    bool is_output(net::ValueId id) const { return std::ranges::find(graph_.outputs, id) != graph_.outputs.end(); }
    Value& planned(ValueId id) { return plan_.values[static_cast<size_t>(id)]; }

    ValueId new_value(std::string name, const Shape& shape, DataType type) {
        Value made{std::move(name), shape, type, static_cast<int32_t>(plan_.buffers.size()), 0, shape.c, 1};
        plan_.buffers.push_back({.bytes = made.bytes()});
        plan_.values.push_back(std::move(made));
        return static_cast<ValueId>(plan_.values.size()) - 1;
    }

    // A view of some channels of `whole`.
    ValueId new_slice(std::string name, ValueId whole, int64_t channel_offset, int64_t channels) {
        Value slice = planned(whole);
        slice.name = std::move(name);
        slice.shape.c = channels;
        slice.channel_offset += channel_offset;
        plan_.values.push_back(std::move(slice));
        return static_cast<ValueId>(plan_.values.size()) - 1;
    }

    // The plan's value for a graph's value, made when first asked for: a concatenation exists before its parts do.
    ValueId value(net::ValueId id) {
        ValueId& known = ids_[index(id)];
        if (known < 0) {
            const std::string& name = graph_.values[index(id)].name;
            if (const auto& slice = slices_[index(id)]) {
                known = new_slice(name, value(slice->concat), slice->channel_offset, shapes_[index(id)].c);
            } else {
                known = new_value(name, shapes_[index(id)], types_[index(id)]);
            }
        }
        return known;
    }

    // The same value in another type; converted once, where it is first needed.
    ValueId as_type(net::ValueId id, DataType type) {
        const ValueId original = value(id);
        if (planned(original).type == type) {
            return original;
        }
        const auto known = converted_.find(id);
        if (known != converted_.end()) {
            return known->second;
        }
        const std::string name = planned(original).name + "/" + plan::name_of(type);
        const ValueId copy = new_value(name, planned(original).shape, type);
        push(name, Copy{original, copy});
        return converted_[id] = copy;
    }

    // --- steps ---

    void push(std::string name, Step step) {
        plan_.steps.push_back({.name = std::move(name), .step = std::move(step)});
    }

    void add(const net::ConvUnit& op) {
        FusedConv conv;
        conv.x = as_type(op.x, image_type_);
        if (op.residual) {
            conv.residual = as_type(*op.residual, image_type_);
        }
        conv.y = value(op.y);
        conv.kernel = op.conv.kernel;
        conv.stride = op.conv.stride;
        conv.padding = op.conv.padding;
        conv.relu = op.act == net::Act::relu;
        conv.weights.weight = op.conv.name + ".weight";
        conv.weights.bias = op.conv.bias ? op.conv.name + ".bias" : "";
        conv.weights.norm = op.norm;
        conv.weights.outputs = op.conv.out;
        push(op.conv.name, std::move(conv));
    }
    void add(const net::MaxPool& op) {
        const ValueId x = as_type(op.x, image_type_);
        push(name_of(op.y), MaxPool{x, value(op.y), op.kernel, op.stride, op.padding});
    }
    void add(const net::GlobalAvgPool& op) { push(name_of(op.y), GlobalAvgPool{value(op.x), value(op.y)}); }
    void add(const net::Linear& op) {
        const ValueId x = as_type(op.x, DataType::f32);
        push(op.name, Linear{x, value(op.y), op.act == net::Act::relu, source_of(op.name, op.out)});
    }
    void add(const net::TransposedConv& op) {
        const ValueId x = as_type(op.x, image_type_);
        const ValueId y = value(op.y);
        WeightSource weights = source_of(op.name, op.out);
        if (plan_.options.traits.direct_transposed_conv) {
            push(op.name, TransposedConv{x, y, std::move(weights)});
            return;
        }
        weights.transposed = true;
        weights.outputs = 4 * op.out;
        Shape packed_shape = planned(x).shape;
        packed_shape.c = 4 * op.out;
        FusedConv conv;
        conv.x = x;
        conv.y = new_value(op.name + "/packed", packed_shape, planned(y).type);
        conv.weights = std::move(weights);
        const ValueId packed = conv.y;
        push(op.name, std::move(conv));
        push(op.name + "/depth_to_space", DepthToSpace{packed, y});
    }
    void add(const net::Concat& op) {
        const ValueId y = value(op.y);
        int64_t offset = 0;
        for (const net::ValueId x : op.x) {
            const int64_t channels = shapes_[index(x)].c;
            const auto& slice = slices_[index(x)];
            const bool written = slice && slice->concat == op.y && slice->channel_offset == offset;
            if (!written) {
                const std::string name = name_of(op.y) + "/" + name_of(x);
                push(name, Copy{value(x), new_slice(name, y, offset, channels)});
            }
            offset += channels;
        }
    }

    const std::string& name_of(net::ValueId id) const { return graph_.values[index(id)].name; }
    static WeightSource source_of(const std::string& name, int64_t outputs) {
        return {name + ".weight", name + ".bias", std::nullopt, false, outputs};
    }

    // --- what the caller sees ---

    // Outputs that are not float32, or are the caller's own input, are copied as soon as they exist.
    void finish(net::ValueId id) {
        if (!is_output(id)) {
            return;
        }
        const ValueId original = value(id);
        const bool is_input = made_by_[index(id)] == nullptr;
        if (planned(original).type == DataType::f32 && !is_input) {
            plan_.outputs.push_back(original);
            return;
        }
        const ValueId copy = new_value(name_of(id), planned(original).shape, DataType::f32);
        if (!is_input) {
            planned(original).name.append("/").append(plan::name_of(image_type_));
        }
        push(name_of(id) + "/output", Copy{original, copy});
        plan_.outputs.push_back(copy);
    }

    void expose() {
        for (const std::string& name : plan_.options.keep) {
            const auto id = net::find_value(graph_, name);
            if (!id) {
                throw UsageError(graph_.name + " has no value called \"" + name + "\" to keep");
            }
            if (!is_output(*id)) {
                plan_.kept.push_back(value(*id));
            }
        }
    }

    // Images that only steps see may lie in blocks of channels, if every value of the buffer begins and ends on one.
    void choose_blocks() {
        const int64_t block = plan_.options.traits.block_of(image_type_);
        std::vector<bool> plain(plan_.buffers.size(), block == 1);
        const auto keep_plain = [&](ValueId id) { plain[static_cast<size_t>(planned(id).buffer)] = true; };
        std::ranges::for_each(plan_.inputs, keep_plain);
        std::ranges::for_each(plan_.outputs, keep_plain);
        for (const PlannedStep& planned_step : plan_.steps) {
            if (std::holds_alternative<Linear>(planned_step.step)) {
                keep_plain(x_of(planned_step.step));
                keep_plain(y_of(planned_step.step));
            } else if (std::holds_alternative<GlobalAvgPool>(planned_step.step)) {
                keep_plain(y_of(planned_step.step));
            }
        }
        for (const Value& any : plan_.values) {
            if (any.channel_offset % block != 0 || any.shape.c % block != 0 || any.pixel_stride % block != 0) {
                plain[static_cast<size_t>(any.buffer)] = true;
            }
        }
        for (Value& any : plan_.values) {
            any.channel_block = plain[static_cast<size_t>(any.buffer)] ? 1 : block;
        }
    }

    const net::Graph& graph_;
    const std::vector<Shape>& shapes_;
    DataType image_type_;
    std::vector<DataType> types_;                       // per graph value
    std::vector<std::vector<const net::Op*>> readers_;  // per graph value
    std::vector<const net::Op*> made_by_;               // per graph value; null for inputs
    std::vector<std::optional<Slice>> slices_;          // per graph value
    std::vector<ValueId> ids_;                          // per graph value; -1 until made
    std::map<net::ValueId, ValueId> converted_;
    Plan plan_;
};

}  // namespace

Plan emit(const net::Graph& graph, const std::vector<Shape>& shapes, const Options& options) {
    return Emitter(graph, shapes, options).emit();
}

}  // namespace boneage::plan

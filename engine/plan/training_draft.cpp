#include "engine/plan/training_draft.h"

#include "engine/plan/arena.h"
#include "kernels/base/error.h"
#include "kernels/base/view.h"

#include <algorithm>
#include <utility>

namespace boneage::plan {

TrainingDraft::TrainingDraft(const net::Graph& graph, const std::vector<Shape>& shapes, const TrainingOptions& options)
    : graph_(graph),
      shapes_(shapes),
      image_type_(plan::image_type(options.precision)),
      types_(graph.values.size(), DataType::f32),
      learns_(graph.values.size(), false),
      sliceable_(graph.values.size(), false),
      slices_(graph.values.size()),
      ids_(graph.values.size(), -1) {
    plan_.net = graph.name;
    plan_.options = options;
    study();
    place_parameters();
}

void TrainingDraft::refuse(const std::string& what) const {
    throw UsageError(graph_.name + ": " + what);
}

// --- what the graph as a whole decides ---

void TrainingDraft::study() {
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
    sliceable_[index(graph_.outputs.front())] = false;  // losses take whole values
    for (size_t i = 0; i < graph_.ops.size(); ++i) {
        if (const auto* concat = std::get_if<net::Concat>(&graph_.ops[i])) {
            choose_slices(*concat, i, last_reader);
        }
    }
}

void TrainingDraft::made(net::ValueId y, DataType type, bool learns, bool sliceable) {
    types_[index(y)] = type;
    learns_[index(y)] = learns;
    sliceable_[index(y)] = sliceable;
}

void TrainingDraft::study_op(const net::ConvUnit& op) {
    if (!op.norm && (op.act != net::Act::none || op.residual)) {
        refuse("training needs a norm between the convolution " + op.conv.name + " and what follows it");
    }
    if (op.norm && shape(op.y).pixels() < 2) {
        refuse("the norm " + op.norm->name +
               " sees one pixel, which has no variance; train with more images a batch or larger ones");
    }
    // Convolutions read whole values only.
    sliceable_[index(op.x)] = false;
    made(op.y, image_type_, true, op.norm.has_value());
}

void TrainingDraft::study_op(const net::MaxPool& op) {
    made(op.y, types_[index(op.x)], learns_[index(op.x)], true);
}

void TrainingDraft::study_op(const net::GlobalAvgPool& op) {
    made(op.y, DataType::f32, learns_[index(op.x)], true);
}

void TrainingDraft::study_op(const net::Linear& op) {
    made(op.y, DataType::f32, true, op.act == net::Act::none);
}

void TrainingDraft::study_op(const net::TransposedConv& op) {
    sliceable_[index(op.x)] = false;
    made(op.y, image_type_, true, true);
}

void TrainingDraft::study_op(const net::Concat& op) {
    const bool learns = std::ranges::any_of(op.x, [&](auto x) { return learns_[index(x)]; });
    made(op.y, types_[index(op.x.front())], learns, true);
}

// A part shares memory with the concatenation, and so does its gradient: what the concatenation's gradient assigns must
// be the first to be written there, so the concatenation must be the part's last reader.
void TrainingDraft::choose_slices(const net::Concat& concat, size_t at, const std::vector<size_t>& last_reader) {
    int64_t offset = 0;
    for (const net::ValueId x : concat.x) {
        if (sliceable_[index(x)] && !slices_[index(x)] && last_reader[index(x)] == at &&
            types_[index(x)] == types_[index(concat.y)] && std::ranges::count(concat.x, x) == 1) {
            slices_[index(x)] = Slice{concat.y, offset};
        }
        offset += shape(x).c;
    }
}

// --- parameters ---

void TrainingDraft::place_parameters() {
    // Aligned, so that each parameter can be read in whole vectors.
    constexpr int64_t kAlignment = kArenaAlignment / static_cast<int64_t>(sizeof(float));
    for (net::Parameter& parameter : net::parameters(graph_)) {
        const int64_t room = round_up(parameter.size(), kAlignment);
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

ParameterId TrainingDraft::parameter(const std::string& name) const {
    const auto found =
        std::ranges::find_if(plan_.parameters, [&](const auto& place) { return place.parameter.name == name; });
    return static_cast<ParameterId>(found - plan_.parameters.begin());
}

int64_t TrainingDraft::statistic(const std::string& name) const {
    return std::ranges::find_if(plan_.statistics, [&](const auto& place) { return place.parameter.name == name; })
        ->offset;
}

// --- values, buffers and steps ---

BufferId TrainingDraft::new_buffer(int64_t bytes) {
    plan_.buffers.push_back({.bytes = bytes});
    return static_cast<BufferId>(plan_.buffers.size()) - 1;
}

ValueId TrainingDraft::new_value(std::string name, const Shape& shape, DataType type) {
    Value made{std::move(name), shape, type, 0, 0, shape.c, 1};
    made.buffer = new_buffer(made.bytes());
    plan_.values.push_back(std::move(made));
    return static_cast<ValueId>(plan_.values.size()) - 1;
}

ValueId TrainingDraft::new_slice(std::string name, ValueId whole, int64_t channel_offset, int64_t channels) {
    Value slice = planned(whole);
    slice.name = std::move(name);
    slice.shape.c = channels;
    slice.channel_offset += channel_offset;
    plan_.values.push_back(std::move(slice));
    return static_cast<ValueId>(plan_.values.size()) - 1;
}

ValueId TrainingDraft::value(net::ValueId id) {
    ValueId& known = ids_[index(id)];
    if (known < 0) {
        const auto& part = slice(id);
        known = part ? new_slice(name_of(id), value(part->concat), part->channel_offset, shape(id).c)
                     : new_value(name_of(id), shape(id), type(id));
    }
    return known;
}

ValueId TrainingDraft::as_image(net::ValueId id) {
    const ValueId original = value(id);
    if (planned(original).type == image_type_) {
        return original;
    }
    const auto known = converted_.find(id);
    if (known != converted_.end()) {
        return known->second;
    }
    if (learns(id)) {
        refuse("training knows no convolution of the vector " + name_of(id));
    }
    const ValueId copy = new_value(name_of(id) + "/bf16", shape(id), image_type_);
    push(name_of(id) + "/bf16", Copy{original, copy});
    return converted_[id] = copy;
}

void TrainingDraft::push(std::string name, const TrainingStep& step, int64_t flops) {
    plan_.steps.push_back({std::move(name), step, flops, backward_});
}

// --- what the caller sees, and where everything lies ---

TrainingPlan TrainingDraft::finish() && {
    expose();
    place_buffers();
    return std::move(plan_);
}

void TrainingDraft::expose() {
    for (const std::string& name : plan_.options.keep) {
        const auto id = net::find_value(graph_, name);
        if (!id) {
            refuse("there is no value called \"" + name + "\" to keep");
        }
        plan_.kept.push_back(value(*id));
    }
}

void TrainingDraft::place_buffers() {
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
        for (const auto* values : {&touched.reads, &touched.writes}) {
            for (const ValueId id : *values) {
                touch(planned(id).buffer, i);
            }
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

}  // namespace boneage::plan

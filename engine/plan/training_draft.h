// A training plan in the making: what the graph as a whole decides, and the values, buffers and parameters that steps
// name. Which steps there are is training_lower.cpp's business.
#pragma once

#include "engine/plan/training_plan.h"

#include <map>

namespace boneage::plan {

class TrainingDraft {
public:
    // Studies the graph and gives every parameter its place. Throws UsageError for what training does not know.
    TrainingDraft(const net::Graph& graph, const std::vector<Shape>& shapes, const TrainingOptions& options);

protected:
    // A part of a concatenation that lies in it, as does its gradient.
    struct Slice {
        net::ValueId concat = 0;
        int64_t channel_offset = 0;
    };

    // --- the graph's values ---

    static size_t index(net::ValueId id) { return static_cast<size_t>(id); }
    const net::Graph& graph() const { return graph_; }
    const std::string& name_of(net::ValueId id) const { return graph_.values[index(id)].name; }
    const Shape& shape(net::ValueId id) const { return shapes_[index(id)]; }
    DataType type(net::ValueId id) const { return types_[index(id)]; }
    // Of what convolutions read and write.
    DataType image_type() const { return image_type_; }
    // Whether some parameter lies behind it, so that somebody needs its gradient.
    bool learns(net::ValueId id) const { return learns_[index(id)]; }
    const std::optional<Slice>& slice(net::ValueId id) const { return slices_[index(id)]; }
    bool lies_in(net::ValueId part, net::ValueId concat) const { return slice(part) && slice(part)->concat == concat; }

    [[noreturn]] void refuse(const std::string& what) const;

    // --- the plan's ---

    TrainingPlan& plan() { return plan_; }
    Value& planned(ValueId id) { return plan_.values[static_cast<size_t>(id)]; }
    ParameterId parameter(const std::string& name) const;
    int64_t statistic(const std::string& name) const;

    BufferId new_buffer(int64_t bytes);
    // A value in a buffer of its own.
    ValueId new_value(std::string name, const Shape& shape, DataType type);
    // A view of some channels of `whole`.
    ValueId new_slice(std::string name, ValueId whole, int64_t channel_offset, int64_t channels);
    // The plan's value for a graph's value, made when first asked for: a concatenation exists before its parts do.
    ValueId value(net::ValueId id);
    // The same value in the images' type; converted once, where it is first needed.
    ValueId as_image(net::ValueId id);

    void push(std::string name, const TrainingStep& step, int64_t flops = 0);
    // All steps pushed from now on are the backward pass's.
    void begin_backward() { backward_ = true; }

    // The plan, with what must survive the step, lifetimes and places.
    TrainingPlan finish() &&;

private:
    void study();
    void made(net::ValueId y, DataType type, bool learns, bool sliceable);
    void study_op(const net::ConvUnit& op);
    void study_op(const net::MaxPool& op);
    void study_op(const net::GlobalAvgPool& op);
    void study_op(const net::Linear& op);
    void study_op(const net::TransposedConv& op);
    void study_op(const net::Concat& op);
    void choose_slices(const net::Concat& concat, size_t at, const std::vector<size_t>& last_reader);
    void place_parameters();
    void expose();
    void place_buffers();

    const net::Graph& graph_;
    const std::vector<Shape>& shapes_;
    DataType image_type_;
    // Per graph value.
    std::vector<DataType> types_;
    std::vector<bool> learns_;
    std::vector<bool> sliceable_;  // every op that touches it takes channel slices
    std::vector<std::optional<Slice>> slices_;
    std::vector<ValueId> ids_;  // -1 until made
    std::map<net::ValueId, ValueId> converted_;
    bool backward_ = false;
    TrainingPlan plan_;
};

}  // namespace boneage::plan

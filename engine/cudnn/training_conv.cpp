#include "engine/cudnn/training_conv.h"

#include "engine/cudnn/unfolding.h"
#include "engine/plan/kernel_steps.h"
#include "kernels/base/error.h"
#include "kernels/nn/copy.h"

namespace boneage::cudnn {
namespace {

const plan::Value& value(const plan::TrainingPlan& plan, plan::ValueId id) {
    return plan.values[static_cast<size_t>(id)];
}

// The geometry of y = conv(x), whichever of the two is a gradient.
ConvGeometry geometry_of(const plan::ConvShape& conv, const plan::TrainingPlan& plan, plan::ValueId x_id,
                         plan::ValueId y_id) {
    const plan::Value& x = value(plan, x_id);
    const plan::Value& y = value(plan, y_id);
    ConvGeometry g;
    g.n = x.shape.n;
    g.h = x.shape.h;
    g.w = x.shape.w;
    g.c = x.shape.c;
    g.k = y.shape.c;
    g.kernel_h = conv.kernel;
    g.kernel_w = conv.kernel;
    g.stride_h = conv.stride;
    g.stride_w = conv.stride;
    g.pad_h = conv.padding;
    g.pad_w = conv.padding;
    g.x_pixel_stride = x.dense() ? 0 : x.pixel_stride;
    g.y_pixel_stride = y.dense() ? 0 : y.pixel_stride;
    expects(y.shape == plan::Shape{g.n, g.out_h(), g.out_w(), g.k}, "y has the shape of the convolution of x");
    expects(x.type == y.type, "a convolution does not convert");
    const auto& weight = plan.parameters[static_cast<size_t>(conv.weight)];
    expects(weight.parameter.size() == g.k * g.c * g.kernel_h * g.kernel_w, "the weight is the convolution's");
    return g;
}

bool rounds(const plan::TrainingMemory& m) {
    return m.plan.options.precision == plan::Precision::bf16;
}

// The convolution that a graph computes: the step's own, or that of x's unfolded rows.
ConvGeometry graph_geometry(const plan::ConvShape& conv, const plan::TrainingPlan& plan, plan::ValueId x,
                            plan::ValueId y) {
    const ConvGeometry g = geometry_of(conv, plan, x, y);
    return on_unfolded_rows(g, value(plan, x).type).value_or(g);
}

// A weight rounded for a graph. For unfolded rows, each of its rows is filled up to as many channels.
struct RoundedWeight {
    int64_t rows;
    int64_t width;
    int64_t pitch;

    RoundedWeight(int64_t size, const plan::ConvShape& conv, bool unfolded)
        : rows(unfolded ? size / conv.kernel : 1), width(size / rows), pitch(unfolded ? kUnfoldedChannels : width) {}

    [[nodiscard]] int64_t scratch_bytes() const { return scratch_part<bfloat16>(rows * pitch); }
    bfloat16* take(ScratchCursor<Device>& scratch) const { return scratch.take<bfloat16>(rows * pitch); }
    [[nodiscard]] Activations<bfloat16, Device> view(bfloat16* rounded) const {
        return {rounded, rows, 1, 1, width, pitch};
    }
    [[nodiscard]] Activations<float, Device> view(float* parameter) const { return {parameter, rows, 1, 1, width}; }
};

// The weight as a graph takes it.
class GraphWeight {
public:
    GraphWeight(Stream& stream, const plan::ConvShape& conv, const plan::TrainingMemory& m, bool unfolded)
        : stream_(stream),
          parameter_(m.parameter_data(conv.weight)),
          rounded_(m.parameter(conv.weight).size(), conv, unfolded),
          rounds_(rounds(m)) {}

    [[nodiscard]] int64_t scratch_bytes() const { return rounds_ ? rounded_.scratch_bytes() : 0; }

    void* ready(ScratchCursor<Device>& scratch) const {
        if (!rounds_) {
            return parameter_;
        }
        bfloat16* weight = rounded_.take(scratch);
        if (rounded_.pitch != rounded_.width) {
            clear_device(stream_, weight, rounded_.rows * rounded_.pitch * static_cast<int64_t>(sizeof(bfloat16)));
        }
        copy<float, bfloat16>(stream_, rounded_.view(parameter_), rounded_.view(weight));
        return weight;
    }

private:
    Stream& stream_;
    float* parameter_;
    RoundedWeight rounded_;
    bool rounds_;
};

// The bias as a graph takes it: a transposed convolution's once for each of its groups of channels.
class GraphBias {
public:
    GraphBias(Stream& stream, const plan::ConvForward& step, const plan::TrainingMemory& m)
        : stream_(stream),
          parameter_(m.parameter_data(*step.bias)),
          channels_(m.parameter(*step.bias).size()),
          repeats_(step.bias_repeats) {
        expects(channels_ * repeats_ == value(m.plan, step.y).shape.c, "a bias for every output channel");
    }

    [[nodiscard]] int64_t scratch_bytes() const {
        return repeats_ == 1 ? 0 : scratch_part<float>(channels_ * repeats_);
    }

    void* ready(ScratchCursor<Device>& scratch) const {
        if (repeats_ == 1) {
            return parameter_;
        }
        auto* repeated = scratch.take<float>(channels_ * repeats_);
        for (int64_t i = 0; i < repeats_; ++i) {
            copy<float, float>(stream_, {parameter_, 1, 1, 1, channels_},
                               {repeated + i * channels_, 1, 1, 1, channels_});
        }
        return repeated;
    }

private:
    Stream& stream_;
    float* parameter_;
    int64_t channels_;
    int64_t repeats_;
};

// A graph's plan, ready to run.
class Planned {
public:
    Planned(Plans& plans, const GraphSpec& graph, const plan::TrainingMemory& m)
        : context_(plans.context()), plan_(plans.plan_for(graph, arithmetic_of(m.plan))) {}

    [[nodiscard]] int64_t scratch_bytes() const { return scratch_part<std::byte>(plan_->workspace_bytes()); }
    [[nodiscard]] EngineName engine_name() const { return plan_->engine_name(); }
    // `tensors` in the order that the graph's comment lists them.
    void run(std::initializer_list<void*> tensors, ScratchCursor<Device>& scratch) const {
        plan_->run(context_, std::span(tensors.begin(), tensors.size()),
                   scratch.take<std::byte>(plan_->workspace_bytes()));
    }

private:
    const Context& context_;
    std::shared_ptr<const Plan> plan_;
};

}  // namespace

GraphSpec graph_of(const plan::ConvForward& step, const plan::TrainingPlan& plan) {
    const ConvGeometry geometry = graph_geometry(step.conv, plan, step.x, step.y);
    if (step.bias) {
        return FusedConvGraph{.conv = geometry, .residual = false, .relu = false, .y_is_float32 = false};
    }
    return ConvForwardGraph{geometry};
}

GraphSpec graph_of(const plan::ConvGradInput& step, const plan::TrainingPlan& plan) {
    expects(step.write == Write::assign, "this back end's traits ask for gradients that are assigned");
    return ConvGradInputGraph{geometry_of(step.conv, plan, step.d_x, step.d_y)};
}

GraphSpec graph_of(const plan::ConvGradWeight& step, const plan::TrainingPlan& plan) {
    return ConvGradWeightGraph{graph_geometry(step.conv, plan, step.x, step.d_y)};
}

Arithmetic arithmetic_of(const plan::TrainingPlan& plan) {
    switch (plan.options.precision) {
        case plan::Precision::f32:
            return Arithmetic::float32;
        case plan::Precision::tf32:
            return Arithmetic::tf32;
        case plan::Precision::bf16:
            return Arithmetic::bfloat16;
        case plan::Precision::f16:
            break;
    }
    throw ContractError("training has no such precision");
}

ConvSteps::Made ConvSteps::operator()(const plan::ConvForward& step) const {
    const Planned planned(plans_, graph_of(step, m_.plan), m_);
    const GraphInput x(stream_, m_.place(step.x), geometry_of(step.conv, m_.plan, step.x, step.y));
    const GraphWeight weight(stream_, step.conv, m_, x.unfolded());
    std::byte* y = m_.place(step.y).data;
    const int64_t bytes = planned.scratch_bytes() + x.scratch_bytes() + weight.scratch_bytes();
    if (!step.bias) {
        const auto run = [=](std::byte* memory) {
            ScratchCursor<Device> scratch({memory, bytes});
            void* input = x.ready(scratch);
            planned.run({input, weight.ready(scratch), y}, scratch);
        };
        return plan::call(bytes, run, planned.engine_name());
    }
    const GraphBias bias(stream_, step, m_);
    const int64_t all = bytes + bias.scratch_bytes();
    const auto run = [=](std::byte* memory) {
        ScratchCursor<Device> scratch({memory, all});
        void* input = x.ready(scratch);
        void* rounded = weight.ready(scratch);
        planned.run({input, rounded, bias.ready(scratch), y}, scratch);
    };
    return plan::call(all, run, planned.engine_name());
}

ConvSteps::Made ConvSteps::operator()(const plan::ConvGradInput& step) const {
    const Planned planned(plans_, graph_of(step, m_.plan), m_);
    const GraphWeight weight(stream_, step.conv, m_, false);
    std::byte* d_y = m_.place(step.d_y).data;
    std::byte* d_x = m_.place(step.d_x).data;
    const int64_t bytes = planned.scratch_bytes() + weight.scratch_bytes();
    const auto run = [=](std::byte* memory) {
        ScratchCursor<Device> scratch({memory, bytes});
        planned.run({d_y, weight.ready(scratch), d_x}, scratch);
    };
    return plan::call(bytes, run, planned.engine_name());
}

ConvSteps::Made ConvSteps::operator()(const plan::ConvGradWeight& step) const {
    const Planned planned(plans_, graph_of(step, m_.plan), m_);
    const GraphInput x(stream_, m_.place(step.x), geometry_of(step.conv, m_.plan, step.x, step.d_y));
    std::byte* d_y = m_.place(step.d_y).data;
    float* gradient = m_.gradient_data(step.conv.weight);
    if (!rounds(m_)) {
        const int64_t bytes = planned.scratch_bytes() + x.scratch_bytes();
        const auto run = [=](std::byte* memory) {
            ScratchCursor<Device> scratch({memory, bytes});
            planned.run({x.ready(scratch), d_y, gradient}, scratch);
        };
        return plan::call(bytes, run, planned.engine_name());
    }
    const RoundedWeight rounded(m_.parameter(step.conv.weight).size(), step.conv, x.unfolded());
    const int64_t bytes = planned.scratch_bytes() + x.scratch_bytes() + rounded.scratch_bytes();
    const auto run = [=, &stream = stream_](std::byte* memory) {
        ScratchCursor<Device> scratch({memory, bytes});
        bfloat16* d_w = rounded.take(scratch);
        planned.run({x.ready(scratch), d_y, d_w}, scratch);
        copy<bfloat16, float>(stream, rounded.view(d_w), rounded.view(gradient));
    };
    return plan::call(bytes, run, planned.engine_name());
}

}  // namespace boneage::cudnn

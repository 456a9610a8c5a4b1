#include "engine/cudnn/training_conv.h"

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
    g.stride = conv.stride;
    g.pad = conv.padding;
    g.x_pixel_stride = x.dense() ? 0 : x.pixel_stride;
    g.y_pixel_stride = y.dense() ? 0 : y.pixel_stride;
    expects(y.shape == plan::Shape{g.n, g.out_h(), g.out_w(), g.k}, "y has the shape of the convolution of x");
    expects(x.type == y.type, "a convolution does not convert");
    const auto& weight = plan.parameters[static_cast<size_t>(conv.weight)];
    expects(weight.parameter.size() == g.k * g.c * g.kernel_h * g.kernel_w, "the weight is the convolution's");
    return g;
}

// The weight as a plan takes it.
class PlannedWeight {
public:
    PlannedWeight(Stream& stream, const plan::ConvShape& conv, const plan::TrainingMemory& m)
        : stream_(stream),
          parameter_(m.parameter_data(conv.weight)),
          size_(m.parameter(conv.weight).size()),
          rounds_(m.plan.options.precision == plan::Precision::bf16) {}

    [[nodiscard]] int64_t scratch_bytes() const { return rounds_ ? scratch_part<bfloat16>(size_) : 0; }

    void* ready(ScratchCursor<Device>& scratch) const {
        if (!rounds_) {
            return parameter_;
        }
        auto* rounded = scratch.take<bfloat16>(size_);
        copy<float, bfloat16>(stream_, {parameter_, 1, 1, 1, size_}, {rounded, 1, 1, 1, size_});
        return rounded;
    }

private:
    Stream& stream_;
    float* parameter_;
    int64_t size_;
    bool rounds_;
};

// The bias as a plan takes it: a transposed convolution's once for each of its groups of channels.
class PlannedBias {
public:
    PlannedBias(Stream& stream, const plan::ConvForward& step, const plan::TrainingMemory& m)
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

// A cuDNN plan and its tensors, in the order its graph's comment lists them: of these, what must be made anew by every
// run is null.
class PlannedConv final : public plan::Runnable {
public:
    PlannedConv(const Context& context, std::shared_ptr<const Plan> plan, std::vector<void*> tensors)
        : context_(context), plan_(std::move(plan)), tensors_(std::move(tensors)) {}

    // The second tensor and the third.
    void make_ready(const PlannedWeight& weight) { weight_.emplace(weight); }
    void make_ready(const PlannedBias& bias) { bias_.emplace(bias); }

    [[nodiscard]] int64_t scratch_bytes() const override {
        return (weight_ ? weight_->scratch_bytes() : 0) + (bias_ ? bias_->scratch_bytes() : 0) +
               scratch_part<std::byte>(plan_->workspace_bytes());
    }
    void run(std::byte* memory) override {
        ScratchCursor<Device> scratch({memory, scratch_bytes()});
        if (weight_) {
            tensors_[1] = weight_->ready(scratch);
        }
        if (bias_) {
            tensors_[2] = bias_->ready(scratch);
        }
        plan_->run(context_, tensors_, scratch.take<std::byte>(plan_->workspace_bytes()));
    }

private:
    const Context& context_;
    std::shared_ptr<const Plan> plan_;
    std::vector<void*> tensors_;
    std::optional<PlannedWeight> weight_;
    std::optional<PlannedBias> bias_;
};

}  // namespace

GraphSpec graph_of(const plan::ConvForward& step, const plan::TrainingPlan& plan) {
    const ConvGeometry geometry = geometry_of(step.conv, plan, step.x, step.y);
    if (step.bias) {
        return FusedConvGraph{.conv = geometry};
    }
    return ConvForwardGraph{geometry};
}

GraphSpec graph_of(const plan::ConvGradInput& step, const plan::TrainingPlan& plan) {
    expects(step.write == Write::assign, "this back end's traits ask for gradients that are assigned");
    return ConvGradInputGraph{geometry_of(step.conv, plan, step.d_x, step.d_y)};
}

GraphSpec graph_of(const plan::ConvGradWeight& step, const plan::TrainingPlan& plan) {
    return ConvGradWeightGraph{geometry_of(step.conv, plan, step.x, step.d_y)};
}

Arithmetic arithmetic_of(const plan::TrainingPlan& plan, bool tf32) {
    switch (plan.options.precision) {
        case plan::Precision::f32:
            return tf32 ? Arithmetic::tf32 : Arithmetic::float32;
        case plan::Precision::tf32:
            return Arithmetic::tf32;
        case plan::Precision::bf16:
            return Arithmetic::bfloat16;
        case plan::Precision::f16:
            break;  // lowering refuses it
    }
    throw ContractError("a precision that training does not know");
}

std::shared_ptr<const Plan> ConvSteps::plan_for(const GraphSpec& graph) const {
    return plans_.plan_for(graph, arithmetic_of(m_.plan, tf32_));
}

ConvSteps::Made ConvSteps::operator()(const plan::ConvForward& step) const {
    std::vector<void*> tensors{m_.place(step.x).data, nullptr};
    if (step.bias) {
        tensors.push_back(nullptr);
    }
    tensors.push_back(m_.place(step.y).data);
    auto made = std::make_unique<PlannedConv>(plans_.context(), plan_for(graph_of(step, m_.plan)), std::move(tensors));
    made->make_ready(PlannedWeight(stream_, step.conv, m_));
    if (step.bias) {
        made->make_ready(PlannedBias(stream_, step, m_));
    }
    return made;
}

ConvSteps::Made ConvSteps::operator()(const plan::ConvGradInput& step) const {
    auto made =
        std::make_unique<PlannedConv>(plans_.context(), plan_for(graph_of(step, m_.plan)),
                                      std::vector<void*>{m_.place(step.d_y).data, nullptr, m_.place(step.d_x).data});
    made->make_ready(PlannedWeight(stream_, step.conv, m_));
    return made;
}

ConvSteps::Made ConvSteps::operator()(const plan::ConvGradWeight& step) const {
    return std::make_unique<PlannedConv>(
        plans_.context(), plan_for(graph_of(step, m_.plan)),
        std::vector<void*>{m_.place(step.x).data, m_.place(step.d_y).data, m_.gradient_data(step.conv.weight)});
}

}  // namespace boneage::cudnn

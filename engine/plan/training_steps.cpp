#include "engine/plan/training_steps.h"

#include <utility>

namespace boneage::plan {
namespace {

struct Touch {
    using T = Touched;
    T operator()(const ConvForward& s) const {
        T t{{s.x}, {s.y}, {}, {s.conv.weight}, {}};
        if (s.bias) {
            t.parameters.push_back(*s.bias);
        }
        return t;
    }
    T operator()(const ConvGradInput& s) const { return writing({s.d_y}, s.d_x, s.write, {s.conv.weight}); }
    T operator()(const ConvGradWeight& s) const { return {{s.x, s.d_y}, {}, {}, {}, {s.conv.weight}}; }
    T operator()(const BiasGrad& s) const { return {{s.d_y}, {}, {}, {}, {s.bias}}; }
    T operator()(const BatchNormForward& s) const {
        T t{{s.x}, {s.y}, {s.norm.batch}, {s.norm.weight, s.norm.bias}, {}};
        if (s.residual) {
            t.reads.push_back(*s.residual);
        }
        return t;
    }
    T operator()(const BatchNormAgain& s) const {
        return {{s.x}, {s.y}, {s.norm.batch}, {s.norm.weight, s.norm.bias}, {}};
    }
    T operator()(const BatchNormBackward& s) const {
        T t{{s.d_y, s.x}, {s.d_x}, {s.norm.batch}, {s.norm.weight}, {s.norm.weight, s.norm.bias}};
        if (s.norm.relu) {
            t.reads.push_back(s.y);
        }
        if (s.d_residual) {
            t.writes.push_back(*s.d_residual);
        }
        return t;
    }
    T operator()(const MaxPoolForward& s) const { return {{s.x}, {s.y}, {s.positions}, {}, {}}; }
    T operator()(const MaxPoolBackward& s) const {
        T t = writing({s.d_y}, s.d_x, s.write, {});
        t.buffers.push_back(s.positions);
        return t;
    }
    T operator()(const AvgPoolForward& s) const { return {{s.x}, {s.y}, {}, {}, {}}; }
    T operator()(const AvgPoolBackward& s) const { return writing({s.d_y}, s.d_x, s.write, {}); }
    T operator()(const LinearForward& s) const { return {{s.x}, {s.y}, {}, {s.weight, s.bias}, {}}; }
    T operator()(const LinearBackward& s) const {
        T t{{s.d_y, s.x}, {}, {}, {}, {}};
        if (s.d_x) {
            t = writing(std::move(t.reads), *s.d_x, s.write, {s.weight});
        }
        t.gradients = {s.weight, s.bias};
        return t;
    }
    T operator()(const ReluBackward& s) const { return {{s.d_y, s.y}, {s.d_y}, {}, {}, {}}; }
    T operator()(const DepthToSpace& s) const { return {{s.x}, {s.y}, {}, {}, {}}; }
    T operator()(const SpaceToDepth& s) const { return {{s.x}, {s.y}, {}, {}, {}}; }
    T operator()(const Copy& s) const { return {{s.x}, {s.y}, {}, {}, {}}; }
    T operator()(const Accumulate& s) const { return writing({s.x}, s.y, Write::accumulate, {}); }
    T operator()(const AbsoluteErrorLoss& s) const {
        return {{s.predictions, s.targets, s.weights}, {s.d_predictions}, {s.loss}, {}, {}};
    }
    T operator()(const SegmentationLossStep& s) const {
        return {{s.logits, s.targets}, {s.d_logits}, {s.loss}, {}, {}};
    }

    static T writing(std::vector<ValueId> reads, ValueId id, Write write, std::vector<ParameterId> parameters) {
        if (write == Write::accumulate) {
            reads.push_back(id);
        }
        return {std::move(reads), {id}, {}, std::move(parameters), {}};
    }
};

struct OpName {
    const char* operator()(const ConvForward&) const { return "conv"; }
    const char* operator()(const ConvGradInput&) const { return "conv gradient, input"; }
    const char* operator()(const ConvGradWeight&) const { return "conv gradient, weight"; }
    const char* operator()(const BiasGrad&) const { return "bias gradient"; }
    const char* operator()(const BatchNormForward&) const { return "batch norm"; }
    const char* operator()(const BatchNormAgain&) const { return "batch norm again"; }
    const char* operator()(const BatchNormBackward&) const { return "batch norm gradient"; }
    const char* operator()(const MaxPoolForward&) const { return "max pool"; }
    const char* operator()(const MaxPoolBackward&) const { return "max pool gradient"; }
    const char* operator()(const AvgPoolForward&) const { return "average pool"; }
    const char* operator()(const AvgPoolBackward&) const { return "average pool gradient"; }
    const char* operator()(const LinearForward&) const { return "linear"; }
    const char* operator()(const LinearBackward&) const { return "linear gradient"; }
    const char* operator()(const ReluBackward&) const { return "ReLU gradient"; }
    const char* operator()(const DepthToSpace&) const { return "depth to space"; }
    const char* operator()(const SpaceToDepth&) const { return "space to depth"; }
    const char* operator()(const Copy&) const { return "copy"; }
    const char* operator()(const Accumulate&) const { return "accumulate"; }
    const char* operator()(const AbsoluteErrorLoss&) const { return "absolute error"; }
    const char* operator()(const SegmentationLossStep&) const { return "cross-entropy and Dice"; }
};

}  // namespace

Touched touched_by(const TrainingStep& step) {
    return std::visit(Touch{}, step);
}

const char* op_name(const TrainingStep& step) {
    return std::visit(OpName{}, step);
}

}  // namespace boneage::plan

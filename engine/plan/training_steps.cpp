#include "engine/plan/training_steps.h"

namespace boneage::plan {
namespace {

struct Touch {
    using T = Touched;
    T operator()(const ConvForward& s) const { return {{s.x, s.y}, {}}; }
    T operator()(const ConvGradInput& s) const { return {{s.d_y, s.d_x}, {}}; }
    T operator()(const ConvGradWeight& s) const { return {{s.x, s.d_y}, {}}; }
    T operator()(const BiasGrad& s) const { return {{s.d_y}, {}}; }
    T operator()(const BatchNormForward& s) const {
        T touched{{s.x, s.y}, {s.norm.batch}};
        if (s.residual) {
            touched.values.push_back(*s.residual);
        }
        return touched;
    }
    T operator()(const BatchNormBackward& s) const {
        T touched{{s.d_y, s.x, s.d_x}, {s.norm.batch}};
        if (s.norm.relu) {
            touched.values.push_back(s.y);
        }
        if (s.d_residual) {
            touched.values.push_back(*s.d_residual);
        }
        return touched;
    }
    T operator()(const MaxPoolForward& s) const { return {{s.x, s.y}, {s.positions}}; }
    T operator()(const MaxPoolBackward& s) const { return {{s.d_y, s.d_x}, {s.positions}}; }
    T operator()(const AvgPoolForward& s) const { return {{s.x, s.y}, {}}; }
    T operator()(const AvgPoolBackward& s) const { return {{s.d_y, s.d_x}, {}}; }
    T operator()(const LinearForward& s) const { return {{s.x, s.y}, {}}; }
    T operator()(const LinearBackward& s) const {
        T touched{{s.d_y, s.x}, {}};
        if (s.d_x) {
            touched.values.push_back(*s.d_x);
        }
        return touched;
    }
    T operator()(const ReluBackward& s) const { return {{s.d_y, s.y}, {}}; }
    T operator()(const DepthToSpace& s) const { return {{s.x, s.y}, {}}; }
    T operator()(const SpaceToDepth& s) const { return {{s.x, s.y}, {}}; }
    T operator()(const Copy& s) const { return {{s.x, s.y}, {}}; }
    T operator()(const Accumulate& s) const { return {{s.x, s.y}, {}}; }
    T operator()(const AbsoluteErrorLoss& s) const {
        return {{s.predictions, s.targets, s.weights, s.d_predictions}, {s.loss}};
    }
    T operator()(const SegmentationLossStep& s) const { return {{s.logits, s.targets, s.d_logits}, {s.loss}}; }
};

struct OpName {
    const char* operator()(const ConvForward&) const { return "conv"; }
    const char* operator()(const ConvGradInput&) const { return "conv gradient, input"; }
    const char* operator()(const ConvGradWeight&) const { return "conv gradient, weight"; }
    const char* operator()(const BiasGrad&) const { return "bias gradient"; }
    const char* operator()(const BatchNormForward&) const { return "batch norm"; }
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

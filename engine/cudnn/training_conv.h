// The convolution steps of training as cuDNN graphs: forward, gradient for the input, gradient for the weight.
#pragma once

#include "engine/cudnn/plans.h"
#include "engine/plan/training_backend.h"

namespace boneage::cudnn {

// The graph of one step of a plan. Throws ContractError for steps that such a graph cannot describe.
GraphSpec graph_of(const plan::ConvForward& step, const plan::TrainingPlan& plan);
GraphSpec graph_of(const plan::ConvGradInput& step, const plan::TrainingPlan& plan);
GraphSpec graph_of(const plan::ConvGradWeight& step, const plan::TrainingPlan& plan);

// What a plan's convolutions compute with.
Arithmetic arithmetic_of(const plan::TrainingPlan& plan);

// Makes the convolution steps of one plan; plan::KernelSteps makes all others. Float32 weights are read where the
// parameters lie, and their gradients written where the gradients do. For bf16 images every run first rounds the
// weights in scratch, and widens their gradients, which are float32 sums rounded to bf16, from there.
class ConvSteps {
public:
    ConvSteps(Stream& stream, Plans& plans, const plan::TrainingMemory& memory)
        : stream_(stream), plans_(plans), m_(memory) {}

    using Made = std::unique_ptr<plan::Runnable>;
    Made operator()(const plan::ConvForward& step) const;
    Made operator()(const plan::ConvGradInput& step) const;
    Made operator()(const plan::ConvGradWeight& step) const;

private:
    [[nodiscard]] std::shared_ptr<const Plan> plan_for(const GraphSpec& graph) const;

    Stream& stream_;
    Plans& plans_;
    const plan::TrainingMemory& m_;
};

}  // namespace boneage::cudnn

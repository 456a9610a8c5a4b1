// A training plan made runnable: owns parameters, gradients, the optimiser's state and the arena.
#pragma once

#include "engine/plan/training_backend.h"
#include "kernels/nn/loss.h"

#include <array>
#include <span>

namespace boneage::plan {

// The flat float32 buffers that outlive a step and make up a training run's state.
enum class State : uint8_t { parameters, first_moment, second_moment, statistics };
inline constexpr std::array kStates{State::parameters, State::first_moment, State::second_moment, State::statistics};
const char* name_of(State state);

class TrainingExecutor {
public:
    // Takes initial values by name from `parameters` and makes all steps. `backend` must outlive the executor.
    TrainingExecutor(TrainingPlan plan, TrainingBackend& backend, const ParameterSource& parameters);
    // Steps point into it.
    TrainingExecutor(const TrainingExecutor&) = delete;
    TrainingExecutor& operator=(const TrainingExecutor&) = delete;

    // [n, h, w, c] float32, to be filled by the caller before every run(): steps reuse the memory once it is read.
    std::span<float> input(std::string_view name);
    // Where an input lies, for callers that work in the back end's memory: then use enqueue().
    [[nodiscard]] Place place(std::string_view input_name) const;

    // Forward, loss and backward: afterwards the loss, the output and all gradients are there.
    void run();
    // One step of Adam with the gradients of the last run().
    void optimise(const AdamParams& params);
    // As run(), for callers whose inputs lie at place() already: queues the steps without copying or waiting.
    void enqueue();

    // Of the last run(): the loss, and what it was computed from. For absolute errors `total` is all there is.
    [[nodiscard]] SegmentationLoss loss() const;
    [[nodiscard]] std::vector<float> output() const;
    // A copy of a kept value as float32, dense.
    [[nodiscard]] std::vector<float> read(std::string_view kept_value) const;

    // By name, in PyTorch's layout: the network as it is now, with its running statistics and batch counters.
    [[nodiscard]] std::vector<float> parameter(std::string_view name) const;
    [[nodiscard]] std::vector<float> gradient(std::string_view name) const;

    // A copy of a state, and the way back; set_state() throws UsageError when the size differs.
    [[nodiscard]] std::vector<float> state(State state) const;
    void set_state(State state, std::span<const float> values);
    // Optimiser steps done.
    [[nodiscard]] int64_t step() const;
    void set_step(int64_t step);

    [[nodiscard]] const TrainingPlan& plan() const { return plan_; }
    // Arena, scratch, parameters, gradients and optimiser; what steps keep of their own is not counted.
    [[nodiscard]] int64_t memory_bytes() const;

private:
    // A flat buffer in the back end's memory.
    struct Flat {
        Memory memory;
        int64_t floats = 0;
        [[nodiscard]] float* data() const { return reinterpret_cast<float*>(memory.get()); }
    };
    Flat allocate_zeros(int64_t floats);
    [[nodiscard]] const Flat& flat(State state) const { return states_[static_cast<size_t>(state)]; }
    [[nodiscard]] std::vector<float> download(const float* from, int64_t floats) const;
    [[nodiscard]] std::vector<float> read_value(ValueId id) const;
    [[nodiscard]] ValueId input_called(std::string_view name) const;
    void load(const ParameterSource& parameters);

    TrainingPlan plan_;
    TrainingBackend& backend_;
    Memory arena_;
    Memory scratch_;
    int64_t scratch_bytes_ = 0;
    std::array<Flat, kStates.size()> states_;
    Flat gradients_;
    Memory adam_state_;
    AdamState adam_;  // as uploaded last
    TrainingMemory memory_;
    std::vector<std::unique_ptr<Runnable>> runnables_;
    std::unique_ptr<Runnable> adam_step_;
    std::map<ValueId, std::vector<float>> staging_;         // inputs, where the host cannot reach the arena
    std::map<std::string, int64_t, std::less<>> counters_;  // what they were at step 0
};

}  // namespace boneage::plan

// A plan made runnable: owns the arena, binds every step to it once, then only runs.
#pragma once

#include "engine/plan/backend.h"
#include "engine/plan/measure.h"

#include <span>

namespace boneage::plan {

class Executor {
public:
    // Reads all weights and makes all steps. The plan must have been lowered with backend.traits(); `backend` must
    // outlive the executor.
    Executor(Plan plan, Backend& backend, const ParameterSource& parameters);

    // [n, h, w, c] float32, to be filled by the caller before every run(): steps reuse the memory once it is read.
    // An input named in Options::rerun, and all inputs a rerun does not name, keep their values across rerun().
    std::span<float> input(std::string_view name);
    // [n, h, w, c] float32, valid after run() or rerun() until the next one.
    [[nodiscard]] std::span<const float> output(std::string_view name) const;
    // A copy of an output or kept value as float32, dense.
    [[nodiscard]] std::vector<float> read(std::string_view name) const;

    // Where an input, output or kept value lies, for callers that work in the back end's memory.
    [[nodiscard]] Place place(std::string_view name) const;

    // Gives all steps the weights of another network of the same plan, where they are: nothing is allocated, and what
    // was recorded stays valid. Only on devices' back ends; see Runnable::reload().
    void reload(const ParameterSource& parameters);

    void run();
    // Runs only the steps that depend on this input; the rest keeps the values of the last run().
    void rerun(std::string_view input_name);

    // As run() and rerun(), for callers whose inputs lie at place() already and who read the outputs there: queues the
    // steps without copying or waiting, so that a device may record them.
    void enqueue();
    void enqueue_rerun(std::string_view input_name);

    // How long every step takes, and all of them. Inputs and outputs are worth nothing afterwards.
    [[nodiscard]] Measurement measured();

    [[nodiscard]] const Plan& plan() const { return plan_; }
    // Arena and scratch; weights belong to the steps.
    [[nodiscard]] int64_t memory_bytes() const;

private:
    [[nodiscard]] const Value& value(ValueId id) const;
    [[nodiscard]] Place place_of(ValueId id) const;
    [[nodiscard]] float* host_data(ValueId id) const;
    [[nodiscard]] ValueId find(const std::vector<ValueId>& among, std::string_view name, const char* kind) const;
    [[nodiscard]] std::span<const int32_t> steps_after(std::string_view input_name) const;
    void enqueue_steps(std::span<const int32_t> steps);
    void run_steps(std::span<const ValueId> changed, std::span<const int32_t> steps);

    Plan plan_;
    Backend& backend_;
    Memory arena_;
    Memory scratch_;
    int64_t scratch_bytes_ = 0;
    std::vector<std::unique_ptr<Runnable>> runnables_;
    std::vector<int32_t> all_steps_;
    std::map<ValueId, std::vector<float>> staging_;  // inputs and outputs, where the host cannot reach the arena
};

}  // namespace boneage::plan

// What runs a training plan: memory of some kind, and a factory of runnable steps over it.
#pragma once

#include "engine/plan/backend.h"
#include "engine/plan/training_plan.h"
#include "kernels/nn/adam.h"
#include "kernels/nn/gradient_norm.h"

namespace boneage::plan {

// Where everything of one plan lies, in the back end's memory.
struct TrainingMemory {
    const TrainingPlan& plan;
    std::byte* arena = nullptr;
    float* parameters = nullptr;  // [plan.parameter_floats]
    float* gradients = nullptr;   // [plan.parameter_floats]
    float* statistics = nullptr;  // [plan.statistic_floats]

    [[nodiscard]] Place place(ValueId id) const {
        const Value& v = plan.values[static_cast<size_t>(id)];
        return {buffer(v.buffer) + v.channel_offset * size_of(v.type), v.shape, v.type, v.pixel_stride};
    }
    [[nodiscard]] std::byte* buffer(BufferId id) const { return arena + plan.buffers[static_cast<size_t>(id)].offset; }
    [[nodiscard]] const net::Parameter& parameter(ParameterId id) const { return place_of(id).parameter; }
    [[nodiscard]] float* parameter_data(ParameterId id) const { return parameters + place_of(id).offset; }
    [[nodiscard]] float* gradient_data(ParameterId id) const { return gradients + place_of(id).offset; }

private:
    [[nodiscard]] const ParameterPlace& place_of(ParameterId id) const {
        return plan.parameters[static_cast<size_t>(id)];
    }
};

// One step of Adam over flat buffers in the back end's memory.
struct AdamBuffers {
    AdamState* state = nullptr;
    float* parameters = nullptr;
    const float* gradients = nullptr;
    float* first_moment = nullptr;
    float* second_moment = nullptr;
    int64_t size = 0;
};

// Clipping of all gradients together.
struct ClipBuffers {
    GradientNorm* norm = nullptr;
    float* gradients = nullptr;
    int64_t size = 0;
    double max_norm = 0;
};

// A moving average, `decay` being one float.
struct AverageBuffers {
    const float* decay = nullptr;
    const float* values = nullptr;
    float* average = nullptr;
    int64_t size = 0;
};

// Reads one piece of the back end's memory after steps, without keeping the steps behind them waiting.
class Reading {
public:
    // How many notes may wait to be taken.
    static constexpr size_t kNotes = 32;

    virtual ~Reading() = default;
    // Notes what lies there once the steps run so far are done.
    virtual void note() = 0;
    // The oldest note that has not been taken; waits for its steps only.
    virtual void take(void* to) = 0;
};

// Everything expensive happens in make(): running allocates nothing. What `memory` points to must stay where it is as
// long as the runnable lives. A back end must outlive what it made, and serves one thread at a time.
class TrainingBackend : public BackendMemory {
public:
    [[nodiscard]] virtual TrainingTraits traits() const = 0;

    [[nodiscard]] virtual std::unique_ptr<Runnable> make(const TrainingStep& step, const TrainingMemory& memory) = 0;
    [[nodiscard]] virtual std::unique_ptr<Runnable> make(const AdamBuffers& at) = 0;
    [[nodiscard]] virtual std::unique_ptr<Runnable> make(const ClipBuffers& at) = 0;
    [[nodiscard]] virtual std::unique_ptr<Runnable> make(const AverageBuffers& at) = 0;

    // A runnable without scratch that does what `body` does, and `body` does the same at every call: it runs runnables
    // of this back end. A device may record it once and launch the recording from then on; here every run calls it.
    [[nodiscard]] virtual std::unique_ptr<Runnable> repeated(std::function<void()> body);
    // Readings of `bytes` bytes at `from`. A device may queue its notes; here note() waits.
    [[nodiscard]] virtual std::unique_ptr<Reading> reading(const std::byte* from, int64_t bytes);
};

}  // namespace boneage::plan

// A training plan made runnable: owns parameters, gradients, the optimiser's state and the arena.
#pragma once

#include "engine/plan/measure.h"
#include "engine/plan/training_backend.h"
#include "kernels/nn/loss.h"

#include <algorithm>
#include <optional>
#include <span>

namespace boneage::plan {

// The flat float32 buffers that outlive a step and make up a training run's state. The averages, of parameters and
// statistics, exist only where they are asked for.
enum class State : uint8_t {
    parameters,
    first_moment,
    second_moment,
    statistics,
    average_parameters,
    average_statistics,
};
const char* name_of(State state);

struct OptimiserOptions {
    double max_gradient_norm = 0;  // gradients that are longer all together are shortened to this; 0: never
    bool averages = false;         // whether there are averages
};

class TrainingExecutor {
public:
    // Takes initial values by name from `parameters` and makes all steps. `backend` must outlive the executor.
    TrainingExecutor(TrainingPlan plan, TrainingBackend& backend, const ParameterSource& parameters,
                     const OptimiserOptions& options = {});
    TrainingExecutor(const TrainingExecutor&) = delete;  // what it made points into it
    TrainingExecutor& operator=(const TrainingExecutor&) = delete;

    // [n, h, w, c] float32, to be filled by the caller before every run(): steps reuse the memory once it is read.
    // Where the host cannot reach the back end's memory, run() uploads the inputs that were ever asked for.
    std::span<float> input(std::string_view name);
    // Where an input lies, for callers that fill it in the back end's memory.
    [[nodiscard]] Place place(std::string_view input_name) const;

    // Forward, loss and backward: afterwards the loss, the output and all gradients are there.
    void run();
    // One step of Adam with the gradients of the last run(), which are clipped before where the options say so.
    void optimise(const AdamParams& params);
    // average = decay * average + (1 - decay) * value, for parameters and statistics (moving_average.h).
    void average(float decay);
    // As run(), for callers whose inputs lie at place() already: queues the steps without copying or waiting.
    void enqueue();

    // run(), optimise() and, where there are averages, average() in one, which a device records and then launches as a
    // whole.
    void train(const AdamParams& params, std::optional<float> average_decay = {});
    // As train(), for callers whose inputs lie at place() already: queues it without waiting. Only parameters that
    // differ from the last ones are copied.
    void enqueue_train(const AdamParams& params, std::optional<float> average_decay = {});
    // Queues a note of the loss as it is once all that is queued so far is done; Reading::kNotes may wait to be taken.
    void note_loss();
    // The oldest note; waits for its steps, not for what was queued behind them.
    [[nodiscard]] SegmentationLoss take_loss();
    // Whether steps are only queued, for a device: then the host does well to queue one while another is computed.
    [[nodiscard]] bool queues() const { return !backend_.host_addressable(); }

    // Of the last run(): the loss, and what it was computed from. For absolute errors `total` is all there is.
    [[nodiscard]] SegmentationLoss loss() const;
    [[nodiscard]] std::vector<float> output() const;
    // A copy of a kept value as float32, dense.
    [[nodiscard]] std::vector<float> read(std::string_view kept_value) const;

    // By name, in PyTorch's layout: the network as it is now, with its running statistics and batch counters.
    [[nodiscard]] std::vector<float> parameter(std::string_view name) const;
    // Likewise, of the last run().
    [[nodiscard]] std::vector<float> gradient(std::string_view name) const;
    // Batches that each of the plan's counters has seen, before this executor too.
    [[nodiscard]] std::vector<int64_t> batches() const;

    // The states there are, in the order of State.
    [[nodiscard]] std::span<const State> states() const { return names_; }
    // A copy of a state, and the way back; set_state() throws UsageError when the size differs. read_state() copies
    // into memory that was used before: to touch 85 MB of new memory takes longer than the copy.
    [[nodiscard]] std::vector<float> state(State state) const;
    void read_state(State state, std::vector<float>& values) const;
    void set_state(State state, std::span<const float> values);
    // Optimiser steps done.
    [[nodiscard]] int64_t step() const;
    void set_step(int64_t step);

    // How long every step takes, and a training step with everything it is made of. What was learned is lost.
    [[nodiscard]] Measurement measured(const AdamParams& params);

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
    [[nodiscard]] const Flat& flat(State state) const {
        return states_[static_cast<size_t>(std::ranges::find(names_, state) - names_.begin())];
    }
    [[nodiscard]] std::vector<float> download(const float* from, int64_t floats) const;
    // One of the parameters that lie in `all`, in PyTorch's layout.
    [[nodiscard]] std::vector<float> read_parameter(const ParameterPlace& place, const float* all) const;
    [[nodiscard]] ValueId input_called(std::string_view name) const;
    void load(const ParameterSource& parameters);
    void make_steps();
    void upload_inputs();
    [[nodiscard]] int64_t loss_bytes() const;
    void set_params(const AdamParams& params);
    void set_decay(float decay);
    void enqueue_optimise();
    void enqueue_average();

    TrainingPlan plan_;
    TrainingBackend& backend_;
    OptimiserOptions options_;
    Memory arena_;
    Memory scratch_;
    int64_t scratch_bytes_ = 0;
    std::vector<State> names_;
    std::vector<Flat> states_;  // in their order
    Flat gradients_;
    Memory adam_state_;
    AdamState adam_;  // what lies in adam_state_, but for the factors
    Memory gradient_norm_;
    Memory decay_;  // one float
    std::optional<float> uploaded_decay_;
    TrainingMemory memory_;
    std::vector<std::unique_ptr<Runnable>> runnables_;
    std::unique_ptr<Runnable> adam_step_;
    std::unique_ptr<Runnable> clip_step_;
    std::vector<std::unique_ptr<Runnable>> average_steps_;
    std::unique_ptr<Runnable> train_step_;
    std::unique_ptr<Reading> loss_reading_;
    std::map<ValueId, std::vector<float>> staging_;  // inputs, where the host cannot reach the arena
    std::vector<int64_t> batches_before_;            // of each of the plan's counters
};

}  // namespace boneage::plan

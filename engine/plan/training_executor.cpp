#include "engine/plan/training_executor.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"

#include <algorithm>
#include <cstring>

namespace boneage::plan {

const char* name_of(State state) {
    switch (state) {
        case State::parameters:
            return "parameters";
        case State::first_moment:
            return "first_moment";
        case State::second_moment:
            return "second_moment";
        case State::statistics:
            return "statistics";
        case State::average_parameters:
            return "average_parameters";
        case State::average_statistics:
            return "average_statistics";
    }
    return "";
}

TrainingExecutor::TrainingExecutor(TrainingPlan plan, TrainingBackend& backend, const ParameterSource& parameters,
                                   const OptimiserOptions& options)
    : plan_(std::move(plan)),
      backend_(backend),
      options_(options),
      arena_(backend.allocate(plan_.arena_bytes)),
      names_{State::parameters, State::first_moment, State::second_moment, State::statistics},
      memory_{plan_} {
    expects(plan_.options.traits == backend.traits(), "the plan was lowered for another back end");
    if (options.averages) {
        names_.insert(names_.end(), {State::average_parameters, State::average_statistics});
    }
    for (const State state : names_) {
        const bool of_statistics = state == State::statistics || state == State::average_statistics;
        states_.push_back(allocate_zeros(of_statistics ? plan_.statistic_floats : plan_.parameter_floats));
    }
    gradients_ = allocate_zeros(plan_.parameter_floats);
    memory_.arena = arena_.get();
    memory_.parameters = flat(State::parameters).data();
    memory_.gradients = gradients_.data();
    memory_.statistics = flat(State::statistics).data();
    load(parameters);
    make_steps();
    set_step(0);
}

void TrainingExecutor::make_steps() {
    const auto keep = [&](std::unique_ptr<Runnable> made) {
        scratch_bytes_ = std::max(scratch_bytes_, made->scratch_bytes());
        return made;
    };
    for (const PlannedTrainingStep& planned : plan_.steps) {
        runnables_.push_back(keep(backend_.make(planned.step, memory_)));
    }
    adam_state_ = backend_.allocate(static_cast<int64_t>(sizeof(AdamState)));
    adam_step_ = keep(backend_.make(AdamBuffers{reinterpret_cast<AdamState*>(adam_state_.get()), memory_.parameters,
                                                gradients_.data(), flat(State::first_moment).data(),
                                                flat(State::second_moment).data(), plan_.parameter_floats}));
    if (options_.max_gradient_norm > 0) {
        gradient_norm_ = backend_.allocate(static_cast<int64_t>(sizeof(GradientNorm)));
        clip_step_ =
            keep(backend_.make(ClipBuffers{reinterpret_cast<GradientNorm*>(gradient_norm_.get()), gradients_.data(),
                                           plan_.parameter_floats, options_.max_gradient_norm}));
    }
    if (options_.averages) {
        decay_ = backend_.allocate(static_cast<int64_t>(sizeof(float)));
        const auto* decay = reinterpret_cast<const float*>(decay_.get());
        average_steps_.push_back(keep(backend_.make(AverageBuffers{
            decay, memory_.parameters, flat(State::average_parameters).data(), plan_.parameter_floats})));
        average_steps_.push_back(keep(backend_.make(AverageBuffers{
            decay, memory_.statistics, flat(State::average_statistics).data(), plan_.statistic_floats})));
    }
    scratch_ = backend_.allocate(scratch_bytes_);
    train_step_ = backend_.repeated([this] {
        enqueue();
        enqueue_optimise();
        enqueue_average();
    });
    loss_reading_ = backend_.reading(memory_.buffer(plan_.loss), loss_bytes());
}

TrainingExecutor::Flat TrainingExecutor::allocate_zeros(int64_t floats) {
    Flat flat{backend_.allocate(floats * size_of(DataType::f32)), floats};
    const std::vector<float> zeros(static_cast<size_t>(floats));
    backend_.upload(flat.memory.get(), zeros.data(), floats * size_of(DataType::f32));
    backend_.synchronize();
    return flat;
}

void TrainingExecutor::load(const ParameterSource& parameters) {
    const auto take = [&](const net::Parameter& parameter) {
        std::vector<float> values = parameters(parameter.name);
        expects(static_cast<int64_t>(values.size()) == parameter.size(), "a parameter has the size of its shape");
        return values;
    };
    std::vector<float> all(static_cast<size_t>(plan_.parameter_floats));
    for (const ParameterPlace& place : plan_.parameters) {
        to_place(place, take(place.parameter).data(), all.data() + place.offset);
    }
    set_state(State::parameters, all);
    std::vector<float> statistics(static_cast<size_t>(plan_.statistic_floats));
    for (const StatisticPlace& place : plan_.statistics) {
        std::ranges::copy(take(place.parameter), statistics.begin() + place.offset);
    }
    set_state(State::statistics, statistics);
    for (const std::string& name : plan_.counters) {
        batches_before_.push_back(static_cast<int64_t>(parameters(name).at(0)));
    }
    if (options_.averages) {
        set_state(State::average_parameters, all);
        set_state(State::average_statistics, statistics);
    }
}

ValueId TrainingExecutor::input_called(std::string_view name) const {
    const auto found = std::ranges::find_if(
        plan_.inputs, [&](ValueId id) { return plan_.values[static_cast<size_t>(id)].name == name; });
    if (found == plan_.inputs.end()) {
        throw UsageError("training " + plan_.net + " takes no input called \"" + std::string(name) + "\"");
    }
    return *found;
}

std::span<float> TrainingExecutor::input(std::string_view name) {
    const ValueId id = input_called(name);
    const Place at = memory_.place(id);
    if (backend_.host_addressable()) {
        return {reinterpret_cast<float*>(at.data), static_cast<size_t>(at.shape.size())};
    }
    std::vector<float>& staged = staging_[id];
    staged.resize(static_cast<size_t>(at.shape.size()));
    return staged;
}

Place TrainingExecutor::place(std::string_view input_name) const {
    return memory_.place(input_called(input_name));
}

void TrainingExecutor::enqueue() {
    for (const auto& runnable : runnables_) {
        runnable->run(scratch_.get());
    }
}

void TrainingExecutor::upload_inputs() {
    for (const auto& [id, values] : staging_) {
        backend_.upload(memory_.place(id).data, values.data(),
                        static_cast<int64_t>(values.size()) * size_of(DataType::f32));
    }
}

void TrainingExecutor::run() {
    upload_inputs();
    enqueue();
    backend_.synchronize();
}

void TrainingExecutor::set_params(const AdamParams& params) {
    if (params != adam_.params) {
        adam_.params = params;
        backend_.upload(adam_state_.get(), &adam_.params, static_cast<int64_t>(sizeof(AdamParams)));
    }
}

void TrainingExecutor::enqueue_optimise() {
    if (clip_step_) {
        clip_step_->run(scratch_.get());
    }
    adam_step_->run(scratch_.get());
}

void TrainingExecutor::optimise(const AdamParams& params) {
    set_params(params);
    enqueue_optimise();
    backend_.synchronize();
    ++adam_.step;
}

void TrainingExecutor::set_decay(float decay) {
    expects(!average_steps_.empty(), "averages were not asked for");
    if (decay != uploaded_decay_) {
        uploaded_decay_ = decay;
        backend_.upload(decay_.get(), &*uploaded_decay_, static_cast<int64_t>(sizeof(float)));
    }
}

void TrainingExecutor::enqueue_average() {
    for (const auto& step : average_steps_) {
        step->run(scratch_.get());
    }
}

void TrainingExecutor::average(float decay) {
    set_decay(decay);
    enqueue_average();
    backend_.synchronize();
}

void TrainingExecutor::enqueue_train(const AdamParams& params, std::optional<float> average_decay) {
    expects(average_decay.has_value() == !average_steps_.empty(), "a decay where there are averages");
    set_params(params);
    if (average_decay) {
        set_decay(*average_decay);
    }
    train_step_->run(nullptr);
    ++adam_.step;
}

void TrainingExecutor::train(const AdamParams& params, std::optional<float> average_decay) {
    upload_inputs();
    enqueue_train(params, average_decay);
    backend_.synchronize();
}

int64_t TrainingExecutor::step() const {
    return adam_.step;
}

void TrainingExecutor::set_step(int64_t step) {
    adam_.step = step;
    backend_.upload(adam_state_.get(), &adam_, static_cast<int64_t>(sizeof(AdamState)));
    backend_.synchronize();
}

std::vector<float> TrainingExecutor::download(const float* from, int64_t floats) const {
    std::vector<float> values(static_cast<size_t>(floats));
    backend_.download(values.data(), reinterpret_cast<const std::byte*>(from), floats * size_of(DataType::f32));
    return values;
}

int64_t TrainingExecutor::loss_bytes() const {
    return static_cast<int64_t>(plan_.options.loss == Loss::segmentation ? sizeof(SegmentationLoss) : sizeof(float));
}

SegmentationLoss TrainingExecutor::loss() const {
    SegmentationLoss loss{};
    backend_.download(&loss, memory_.buffer(plan_.loss), loss_bytes());
    return loss;
}

void TrainingExecutor::note_loss() {
    loss_reading_->note();
}

SegmentationLoss TrainingExecutor::take_loss() {
    SegmentationLoss loss{};
    loss_reading_->take(&loss);
    return loss;
}

std::vector<float> TrainingExecutor::output() const {
    return read_place(backend_, memory_.place(plan_.output));
}

std::vector<float> TrainingExecutor::read(std::string_view kept_value) const {
    for (const ValueId id : plan_.kept) {
        if (plan_.values[static_cast<size_t>(id)].name == kept_value) {
            return read_place(backend_, memory_.place(id));
        }
    }
    throw UsageError("training " + plan_.net + " keeps no value called \"" + std::string(kept_value) + "\"");
}

std::vector<int64_t> TrainingExecutor::batches() const {
    std::vector<int64_t> seen = batches_before_;
    for (int64_t& count : seen) {
        count += step();
    }
    return seen;
}

std::vector<float> TrainingExecutor::parameter(std::string_view name) const {
    if (const ParameterPlace* place = find_parameter(plan_, name)) {
        return read_parameter(*place, flat(State::parameters).data());
    }
    const std::vector<float> statistics = state(State::statistics);
    const std::vector<int64_t> seen = batches();
    return parameters_in(plan_, {}, statistics, seen)(name);
}

std::vector<float> TrainingExecutor::gradient(std::string_view name) const {
    const ParameterPlace* place = find_parameter(plan_, name);
    if (place == nullptr) {
        throw UsageError(plan_.net + " has no trainable parameter called \"" + std::string(name) + "\"");
    }
    return read_parameter(*place, gradients_.data());
}

std::vector<float> TrainingExecutor::read_parameter(const ParameterPlace& place, const float* all) const {
    const std::vector<float> ours = download(all + place.offset, place.parameter.size());
    std::vector<float> theirs(ours.size());
    from_place(place, ours.data(), theirs.data());
    return theirs;
}

std::vector<float> TrainingExecutor::state(State state) const {
    std::vector<float> values;
    read_state(state, values);
    return values;
}

void TrainingExecutor::read_state(State state, std::vector<float>& values) const {
    const Flat& from = flat(state);
    values.resize(static_cast<size_t>(from.floats));
    backend_.download(values.data(), from.memory.get(), from.floats * size_of(DataType::f32));
}

void TrainingExecutor::set_state(State state, std::span<const float> values) {
    if (static_cast<int64_t>(values.size()) != flat(state).floats) {
        throw UsageError("the " + std::string(name_of(state)) + " of another network cannot be taken over");
    }
    backend_.upload(flat(state).memory.get(), values.data(), flat(state).floats * size_of(DataType::f32));
    backend_.synchronize();
}

Measurement TrainingExecutor::measured(const AdamParams& params) {
    const auto decay = average_steps_.empty() ? std::nullopt : std::optional(0.5F);
    train(params, decay);  // so that every step has numbers to compute with
    Measurement measurement;
    measurement.whole = measure(backend_, [&] { enqueue_train(params, decay); });
    measurement.update = measure(backend_, [this] {
        enqueue_optimise();
        enqueue_average();
    });
    measurement.steps = measure_each(backend_, runnables_, scratch_.get());
    return measurement;
}

int64_t TrainingExecutor::memory_bytes() const {
    int64_t floats = gradients_.floats;
    for (const Flat& state : states_) {
        floats += state.floats;
    }
    return plan_.arena_bytes + scratch_bytes_ + floats * size_of(DataType::f32);
}

}  // namespace boneage::plan

#include "engine/plan/executor.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"

#include <algorithm>
#include <numeric>

namespace boneage::plan {
namespace {

// Makes one step, with its weights where it has some.
class Make {
public:
    Make(Backend& backend, const Operands& at, const ParameterSource& parameters)
        : backend_(backend), at_(at), parameters_(parameters) {}

    template <class AnyStep>
    std::unique_ptr<Runnable> operator()(const AnyStep& step) const {
        if constexpr (requires { step.weights; }) {
            return backend_.make(step, at_, load_weights(step, parameters_));
        } else {
            return backend_.make(step, at_);
        }
    }

private:
    Backend& backend_;
    const Operands& at_;
    const ParameterSource& parameters_;
};

}  // namespace

Executor::Executor(Plan plan, Backend& backend, const ParameterSource& parameters)
    : plan_(std::move(plan)), backend_(backend), arena_(backend.allocate(plan_.arena_bytes)) {
    expects(plan_.options.traits == backend.traits(), "the plan was lowered for another back end");
    for (const PlannedStep& planned : plan_.steps) {
        Operands at{place_of(x_of(planned.step)), std::nullopt, place_of(y_of(planned.step))};
        if (const auto residual = residual_of(planned.step)) {
            at.residual = place_of(*residual);
        }
        runnables_.push_back(std::visit(Make(backend_, at, parameters), planned.step));
        scratch_bytes_ = std::max(scratch_bytes_, runnables_.back()->scratch_bytes());
    }
    if (scratch_bytes_ > 0) {
        scratch_ = backend_.allocate(scratch_bytes_);
    }
    all_steps_.resize(plan_.steps.size());
    std::iota(all_steps_.begin(), all_steps_.end(), 0);
    if (!backend_.host_addressable()) {
        for (const auto* list : {&plan_.inputs, &plan_.outputs}) {
            for (const ValueId id : *list) {
                staging_[id].resize(static_cast<size_t>(value(id).shape.size()));
            }
        }
    }
}

const Value& Executor::value(ValueId id) const {
    return plan_.values[static_cast<size_t>(id)];
}

Place Executor::place_of(ValueId id) const {
    const Value& v = value(id);
    const int64_t first = v.channel_block == 1 ? v.channel_offset : v.channel_offset * v.shape.h * v.shape.w;
    const int64_t at = plan_.buffers[static_cast<size_t>(v.buffer)].offset + first * size_of(v.type);
    return {arena_.get() + at, v.shape, v.type, v.pixel_stride, v.channel_block};
}

Place Executor::place(std::string_view name) const {
    return place_of(find_value(plan_, name));
}

float* Executor::host_data(ValueId id) const {
    const auto staged = staging_.find(id);
    return staged != staging_.end() ? const_cast<float*>(staged->second.data())
                                    : reinterpret_cast<float*>(place_of(id).data);
}

ValueId Executor::find(const std::vector<ValueId>& among, std::string_view name, const char* kind) const {
    const auto found = std::ranges::find_if(among, [&](ValueId id) { return value(id).name == name; });
    if (found == among.end()) {
        throw UsageError(plan_.net + " has no " + kind + " called \"" + std::string(name) + "\"");
    }
    return *found;
}

std::span<float> Executor::input(std::string_view name) {
    const ValueId id = find(plan_.inputs, name, "input");
    return {host_data(id), static_cast<size_t>(value(id).shape.size())};
}

std::span<const float> Executor::output(std::string_view name) const {
    const ValueId id = find(plan_.outputs, name, "output");
    return {host_data(id), static_cast<size_t>(value(id).shape.size())};
}

std::vector<float> Executor::read(std::string_view name) const {
    return read_place(backend_, place(name));
}

void Executor::reload(const ParameterSource& parameters) {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
        std::visit(
            [&](const auto& step) {
                if constexpr (requires { step.weights; }) {
                    runnables_[i]->reload(load_weights(step, parameters));
                }
            },
            plan_.steps[i].step);
    }
}

void Executor::run() {
    run_steps(plan_.inputs, all_steps_);
}

std::span<const int32_t> Executor::steps_after(std::string_view input_name) const {
    const auto steps = plan_.reruns.find(std::string(input_name));
    if (steps == plan_.reruns.end()) {
        throw UsageError(plan_.net + " was not planned to be run again from \"" + std::string(input_name) + "\"");
    }
    return steps->second;
}

void Executor::rerun(std::string_view input_name) {
    const ValueId input = find(plan_.inputs, input_name, "input");
    run_steps({&input, 1}, steps_after(input_name));
}

void Executor::enqueue() {
    enqueue_steps(all_steps_);
}

void Executor::enqueue_rerun(std::string_view input_name) {
    enqueue_steps(steps_after(input_name));
}

void Executor::enqueue_steps(std::span<const int32_t> steps) {
    for (const int32_t step : steps) {
        runnables_[static_cast<size_t>(step)]->run(scratch_.get());
    }
}

void Executor::run_steps(std::span<const ValueId> changed, std::span<const int32_t> steps) {
    if (!staging_.empty()) {
        for (const ValueId id : changed) {
            backend_.upload(place_of(id).data, staging_.at(id).data(), value(id).bytes());
        }
    }
    enqueue_steps(steps);
    if (!staging_.empty()) {
        for (const ValueId id : plan_.outputs) {
            backend_.download(staging_.at(id).data(), place_of(id).data, value(id).bytes());
        }
    }
    backend_.synchronize();
}

Measurement Executor::measured() {
    run();  // so that every step has numbers to compute with
    Measurement measurement;
    measurement.whole = measure(backend_, [this] { enqueue(); });
    measurement.steps = measure_each(backend_, runnables_, scratch_.get());
    return measurement;
}

int64_t Executor::memory_bytes() const {
    return plan_.arena_bytes + scratch_bytes_;
}

}  // namespace boneage::plan

#include "engine/plan/liveness.h"

#include "engine/plan/arena.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <set>

namespace boneage::plan {
namespace {

const Value& value(const Plan& plan, ValueId id) {
    return plan.values[static_cast<size_t>(id)];
}

ValueId input_called(const Plan& plan, std::string_view name) {
    const auto known = std::ranges::find_if(plan.inputs, [&](ValueId id) { return value(plan, id).name == name; });
    if (known == plan.inputs.end()) {
        throw UsageError(plan.net + " has no input called \"" + std::string(name) + "\"");
    }
    return *known;
}

std::vector<ValueId> reads(const Step& step) {
    std::vector<ValueId> ids{x_of(step)};
    if (const auto residual = residual_of(step)) {
        ids.push_back(*residual);
    }
    return ids;
}

// Whether two values share elements. Values of one buffer have one pixel stride.
bool overlap(const Value& a, const Value& b) {
    return a.buffer == b.buffer && a.channel_offset < b.channel_offset + b.shape.c &&
           b.channel_offset < a.channel_offset + a.shape.c;
}

std::set<int32_t> exposed_buffers(const Plan& plan) {
    std::set<int32_t> buffers;
    for (const auto* list : {&plan.outputs, &plan.kept}) {
        for (const ValueId id : *list) {
            buffers.insert(value(plan, id).buffer);
        }
    }
    return buffers;
}

// Buffers that must hold their contents whatever part of the plan runs again: what the repeated steps read but do not
// make, the input they start from, and everything the caller may ask for. Taken at all times, because a repeated step
// writes at places that were free when it first ran.
std::set<int32_t> always_taken(const Plan& plan) {
    if (plan.reruns.empty()) {
        return {};
    }
    std::set<int32_t> buffers = exposed_buffers(plan);
    for (const auto& [input, steps] : plan.reruns) {
        buffers.insert(value(plan, input_called(plan, input)).buffer);
        std::vector<ValueId> made;
        for (const int32_t index : steps) {
            const Step& step = plan.steps[static_cast<size_t>(index)].step;
            for (const ValueId id : reads(step)) {
                const Value& read = value(plan, id);
                // A wider value is remade only if each of its slices is; so count channels.
                int64_t remade = 0;
                for (const ValueId other : made) {
                    remade +=
                        overlap(read, value(plan, other)) ? std::min(read.shape.c, value(plan, other).shape.c) : 0;
                }
                if (remade < read.shape.c) {
                    buffers.insert(read.buffer);
                }
            }
            made.push_back(y_of(step));
        }
    }
    return buffers;
}

}  // namespace

void find_reruns(Plan& plan) {
    for (const std::string& input : plan.options.rerun) {
        std::vector<ValueId> changed{input_called(plan, input)};
        std::vector<int32_t> steps;
        for (size_t i = 0; i < plan.steps.size(); ++i) {
            const Step& step = plan.steps[i].step;
            const bool depends = std::ranges::any_of(reads(step), [&](ValueId id) {
                return std::ranges::any_of(changed,
                                           [&](ValueId other) { return overlap(value(plan, id), value(plan, other)); });
            });
            if (depends) {
                steps.push_back(static_cast<int32_t>(i));
                changed.push_back(y_of(step));
            }
        }
        plan.reruns[input] = std::move(steps);
    }
}

void overwrite_residuals(Plan& plan) {
    if (!plan.options.traits.residual_in_place) {
        return;
    }
    std::set<int32_t> kept = always_taken(plan);
    kept.merge(exposed_buffers(plan));
    std::vector<size_t> last_read(plan.buffers.size());
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        for (const ValueId id : reads(plan.steps[i].step)) {
            last_read[static_cast<size_t>(value(plan, id).buffer)] = i;
        }
    }
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        const Step& step = plan.steps[i].step;
        if (!residual_of(step)) {
            continue;
        }
        const Value& residual = value(plan, *residual_of(step));
        Value& y = plan.values[static_cast<size_t>(y_of(step))];
        const int32_t shared = residual.buffer;
        // Both must fill their buffers alone: another slice may live longer.
        const bool alone = residual.dense() && y.dense() &&
                           residual.bytes() == plan.buffers[static_cast<size_t>(shared)].bytes &&
                           y.bytes() == plan.buffers[static_cast<size_t>(y.buffer)].bytes;
        if (alone && residual.type == y.type && residual.channel_block == y.channel_block &&
            last_read[static_cast<size_t>(shared)] == i && !kept.contains(shared) &&
            value(plan, x_of(step)).buffer != shared) {
            last_read[static_cast<size_t>(shared)] = last_read[static_cast<size_t>(y.buffer)];
            if (kept.contains(y.buffer)) {
                kept.insert(shared);
            }
            y.buffer = shared;
        }
    }

    // Numbers the buffers that are left anew.
    std::vector<int32_t> number(plan.buffers.size(), -1);
    std::vector<Buffer> left;
    for (Value& any : plan.values) {
        int32_t& renamed = number[static_cast<size_t>(any.buffer)];
        if (renamed < 0) {
            renamed = static_cast<int32_t>(left.size());
            left.push_back(plan.buffers[static_cast<size_t>(any.buffer)]);
        }
        any.buffer = renamed;
    }
    plan.buffers = std::move(left);
}

void place_buffers(Plan& plan) {
    const auto end = static_cast<int64_t>(plan.steps.size());
    for (Buffer& buffer : plan.buffers) {
        buffer.first = end;
        buffer.last = -1;
    }
    const auto touch = [&](ValueId id, int64_t at) {
        Buffer& buffer = plan.buffers[static_cast<size_t>(value(plan, id).buffer)];
        buffer.first = std::min(buffer.first, at);
        buffer.last = std::max(buffer.last, at);
    };
    for (const ValueId id : plan.inputs) {
        touch(id, -1);
    }
    for (int64_t i = 0; i < end; ++i) {
        const Step& step = plan.steps[static_cast<size_t>(i)].step;
        for (const ValueId id : reads(step)) {
            touch(id, i);
        }
        touch(y_of(step), i);
    }
    for (const int32_t buffer : exposed_buffers(plan)) {
        plan.buffers[static_cast<size_t>(buffer)].last = end;
    }
    for (const int32_t buffer : always_taken(plan)) {
        plan.buffers[static_cast<size_t>(buffer)].first = -1;
        plan.buffers[static_cast<size_t>(buffer)].last = end;
    }
    plan.arena_bytes = arrange(plan.buffers);
    plan.live_bytes = most_live_bytes(plan.buffers);
}

}  // namespace boneage::plan

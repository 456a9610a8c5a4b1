#include "engine/plan/cost_model.h"

#include "kernels/base/error.h"

#include <algorithm>
#include <array>
#include <string>

namespace boneage::plan {
namespace {

// SXM modules but for the L40S.
constexpr std::array<Machine, 4> kMachines{{
    {"h200", 66.9e12, 494.7e12, 989.4e12, 4.8e12, 1.5e-6},
    {"h100", 66.9e12, 494.7e12, 989.4e12, 3.35e12, 1.5e-6},
    {"a100", 19.5e12, 156e12, 312e12, 2.039e12, 1.5e-6},
    {"l40s", 91.6e12, 183e12, 362e12, 0.864e12, 1.5e-6},
}};

bool is_convolution(const Step& step) {
    return std::holds_alternative<FusedConv>(step) || std::holds_alternative<TransposedConv>(step);
}

double peak_flops_per_s(const Machine& machine, Precision precision, const Step& step) {
    if (!is_convolution(step)) {
        return machine.f32_flops_per_s;
    }
    switch (precision) {
        case Precision::f32:
            return machine.f32_flops_per_s;
        case Precision::tf32:
            return machine.tf32_flops_per_s;
        case Precision::bf16:
        case Precision::f16:
            return machine.bf16_flops_per_s;
    }
    return machine.f32_flops_per_s;
}

}  // namespace

std::span<const Machine> machines() {
    return kMachines;
}

const Machine& machine(std::string_view name) {
    const auto found = std::ranges::find(kMachines, name, &Machine::name);
    if (found == kMachines.end()) {
        std::string known;
        for (const Machine& each : kMachines) {
            known.append(known.empty() ? "" : ", ").append(each.name);
        }
        throw UsageError("there are no figures for \"" + std::string(name) + "\"; there are for " + known);
    }
    return *found;
}

double roof_seconds(const Plan& plan, const PlannedStep& step, const Machine& machine) {
    const double peak = peak_flops_per_s(machine, plan.options.precision, step.step);
    const auto bytes = static_cast<double>(step.read_bytes + step.weight_bytes + step.write_bytes);
    return std::max({static_cast<double>(step.flops) / peak, bytes / machine.bytes_per_s, machine.launch_s});
}

double roof_seconds(const Plan& plan, const Machine& machine) {
    double seconds = 0.0;
    for (const PlannedStep& step : plan.steps) {
        seconds += roof_seconds(plan, step, machine);
    }
    return seconds;
}

}  // namespace boneage::plan

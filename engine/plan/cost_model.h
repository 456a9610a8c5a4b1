// How fast a plan could run at best on a machine: a roofline model from data sheets, not a measurement.
#pragma once

#include "engine/plan/plan.h"

#include <span>
#include <string_view>

namespace boneage::plan {

// Peaks of one device as its maker states them: dense arithmetic, no sparsity.
struct Machine {
    std::string_view name;
    double f32_flops_per_s = 0.0;   // without tensor cores: TF32 is off in float32
    double tf32_flops_per_s = 0.0;  // tensor cores, float32 sums
    double bf16_flops_per_s = 0.0;  // the same; float16 is as fast
    double bytes_per_s = 0.0;       // device memory
    double launch_s = 0.0;          // the least that a kernel takes within a CUDA graph
};

// h200, h100, a100, l40s.
std::span<const Machine> machines();
// Throws UsageError naming what there is.
const Machine& machine(std::string_view name);

// The longest of what its arithmetic, its memory traffic (every value once, nothing kept in cache) and a launch take.
double roof_seconds(const Plan& plan, const PlannedStep& step, const Machine& machine);
double roof_seconds(const Plan& plan, const Machine& machine);

}  // namespace boneage::plan

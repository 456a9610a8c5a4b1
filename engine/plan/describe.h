// A plan for people and for programs.
#pragma once

#include "engine/plan/cost_model.h"
#include "engine/plan/measure.h"
#include "engine/plan/training_plan.h"

namespace boneage::plan {

// A table with one row a step (layer, operation, output, work, bytes moved, place in the arena) and the totals below;
// with a machine also the least time that each can take there, labelled as the model it is, and where it was measured
// what each took.
std::string as_table(const Plan& plan, const Machine* machine = nullptr, const Measurement* measured = nullptr);

// The same as a JSON object: "net", "batch", ..., "totals", "steps" (with "flops", "read_bytes", "weight_bytes",
// "write_bytes", "arena_offset", "output").
// With a machine, every step and the totals also have "roof_us", measured ones "measured_us" and steps
// "implementation", which is empty for kernels that there is one of.
std::string as_json(const Plan& plan, const Machine* machine = nullptr, const Measurement* measured = nullptr);

// A step of training likewise: one row a step (layer, operation, what it reads and writes, work, place in the arena),
// then what forward and backward compute and what lies in memory.
std::string as_table(const TrainingPlan& plan, const Measurement* measured = nullptr);

// "net", "training": true, "batch", ..., "loss", "inputs", "totals" (with "forward_flops", "backward_flops" and the
// bytes of everything that memory_bytes() counts) and "steps" (with "backward", "reads", "writes", "parameters",
// "gradients", "flops"); measured ones also have "measured_us" and "implementation", and the totals
// "update_us".
std::string as_json(const TrainingPlan& plan, const Measurement* measured = nullptr);

const char* name_of(Precision precision);
const char* name_of(Loss loss);

}  // namespace boneage::plan

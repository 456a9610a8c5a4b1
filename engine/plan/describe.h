// A plan for people and for programs.
#pragma once

#include "engine/plan/cost_model.h"

namespace boneage::plan {

// A table with one row a step (layer, operation, output, work, bytes moved, place in the arena) and the totals below;
// with a machine also the least time that each can take there, labelled as the model it is.
std::string as_table(const Plan& plan, const Machine* machine = nullptr);

// The same as a JSON object: "net", "batch", ..., "totals", "steps" (with "flops", "read_bytes", "weight_bytes",
// "write_bytes", "arena_offset", "output").
// With a machine, every step and the totals also have "roof_us".
std::string as_json(const Plan& plan, const Machine* machine = nullptr);

const char* name_of(Precision precision);

}  // namespace boneage::plan

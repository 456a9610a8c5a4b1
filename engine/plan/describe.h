// A plan for people and for programs.
#pragma once

#include "engine/plan/plan.h"

namespace boneage::plan {

// A table with one row a step (layer, operation, output, work, bytes moved, place in the arena) and the totals below.
std::string as_table(const Plan& plan);

// The same as a JSON object: "net", "batch", ..., "totals", "steps" (with "flops", "read_bytes", "weight_bytes",
// "write_bytes", "arena_offset", "output").
std::string as_json(const Plan& plan);

const char* name_of(DataType type);
const char* name_of(Precision precision);

}  // namespace boneage::plan

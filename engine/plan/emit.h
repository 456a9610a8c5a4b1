// First pass of lowering: from the graph's ops to steps over values, each in a buffer, buffers not yet placed.
#pragma once

#include "engine/plan/plan.h"

namespace boneage::plan {

// Decides types (what converts where), which values are written straight into a concatenation, and the steps. Every
// value lies in its own buffer but for slices of concatenations. Buffers have their bytes; lifetimes come later.
Plan emit(const net::Graph& graph, const std::vector<Shape>& shapes, const Options& options);

}  // namespace boneage::plan

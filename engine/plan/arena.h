// Fixed places for buffers whose lifetimes are known.
#pragma once

#include "engine/plan/plan.h"

namespace boneage::plan {

// Sets every buffer's `offset`, a multiple of kArenaAlignment, so that buffers taken at the same time never overlap;
// returns the arena's size. Each buffer goes into the smallest gap it fits; of several orders (largest first, longest
// first,
// ..., and exchanges in the best of them) the tightest wins. Deterministic.
int64_t arrange(std::vector<Buffer>& buffers);

// The largest sum of aligned sizes taken at one step: what any arrangement needs at least.
int64_t most_live_bytes(const std::vector<Buffer>& buffers);

}  // namespace boneage::plan

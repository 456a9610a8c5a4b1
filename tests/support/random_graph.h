// Random networks, to try what no real one does: nested and repeated concatenations, outputs that are read on, inputs
// that are outputs, residuals with several readers.
#pragma once

#include "engine/net/graph.h"

namespace boneage::testing {

// A network over "image" of `height` x `width` with 1 to 8 channels and, sometimes, a vector "extra". All values are
// named "v<number>" but for the inputs. The same seed gives the same network.
net::Graph random_graph(uint64_t seed, int64_t height, int64_t width);

// Such networks with one output that training can compare with ages, [n, 1, 1, 1], or with masks, [n, h, w, 1]. ReLUs
// and residuals only where training knows them.
net::Graph random_age_graph(uint64_t seed, int64_t height, int64_t width);
net::Graph random_mask_graph(uint64_t seed, int64_t height, int64_t width);

}  // namespace boneage::testing

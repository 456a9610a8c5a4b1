// Left and right exchanged.
#pragma once

#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"

namespace boneage {

// x(i, y, u, k) and x(i, y, w - 1 - u, k) change places, for every row of every image.
//   x   [n, h, w, c] float
//   In place; allocates nothing. Twins agree exactly: values are moved, not computed.
void mirror(Workers& workers, Activations<float, Host> x);

void mirror(Stream& stream, Activations<float, Device> x);

}  // namespace boneage

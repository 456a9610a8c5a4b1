// The checks of what a kernel reads and writes, for kernels compiled so that they announce each access (announced.cpp).
#pragma once

#include <cstddef>

namespace simt {

enum class Kind { read, write, atomic_read, atomic_write };

// Announces that the running thread is about to touch the `n` bytes at `p`, from the instruction before `place`. Fails
// the launch where they lie outside of what the thread may touch, and where another thread touches one of them too, one
// of the two changes it, not both are atomic, and nothing orders them: in a block a __syncthreads or, in a warp, a
// __syncwarp; between blocks of a launch nothing. Does nothing outside of kernels. Static shared arrays lie side by
// side: an index beyond one is seen by the compiler's own check, a pointer that runs into the next one only by
// AddressSanitizer.
void access(const void* p, std::size_t n, Kind kind, const void* place);

}  // namespace simt

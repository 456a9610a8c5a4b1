// Between the scheduler and the checks of a kernel's memory accesses (accesses.cpp), which only some programs link.
#pragma once

#include <cstddef>
#include <string>

namespace simt {

// What the scheduler tells of what orders accesses.
struct Watch {
    void (*launch_begins)();
    void (*block_begins)();
    void (*barrier_passed)();                         // by all threads of the block that have not returned
    void (*warp_met)(unsigned warp, unsigned lanes);  // these lanes of it, in a __syncwarp
};
inline const Watch* watch = nullptr;

// True while a kernel's own code runs: not the runner's, not the host's.
inline bool in_kernel = false;
// Within a kernel: while one lives, the runner's code runs.
struct OutOfKernel {
    OutOfKernel() { in_kernel = false; }
    ~OutOfKernel() { in_kernel = true; }
    OutOfKernel(const OutOfKernel&) = delete;
    OutOfKernel& operator=(const OutOfKernel&) = delete;
};

// What a kernel's thread may find in memory: its stack and arguments; shared memory, which static variables count as;
// the program's constants; anything else has to be device memory.
enum class Memory { own, shared, constant, global };

// For a kernel's code only. Where the `n` bytes at `p` lie; which thread of its block runs; how it fails, with a
// message that goes on after "thread (0,0,0) ".
Memory memory_of(const void* p, std::size_t n);
unsigned current_thread();
[[noreturn]] void fail_in_kernel(const std::string& message);

}  // namespace simt

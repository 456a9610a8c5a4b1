// The runner's device memory: ordinary heap memory that host code must not touch while no kernel runs.
#pragma once

#include <cstddef>

namespace simt {

// True when the `n` bytes at `p` lie inside one allocation.
bool inside(const void* p, std::size_t n);

struct Allocation {
    const char* start;
    std::size_t bytes;
};
// The last allocation that starts at or before `p`, or an empty one.
Allocation allocation_before(const void* p);

// While one lives, device memory may be read and written; otherwise AddressSanitizer builds report any access.
struct Access {
    Access();
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
};

}  // namespace simt

// The runner's device memory: ordinary heap memory that host code must not touch while no kernel runs.
#pragma once

#include <cstddef>

namespace simt {

// True when the `n` bytes at `p` lie inside one allocation.
bool inside(const void* p, std::size_t n);

// While one lives, device memory may be read and written; otherwise AddressSanitizer builds report any access.
struct Access {
    Access();
    ~Access();
    Access(const Access&) = delete;
    Access& operator=(const Access&) = delete;
};

}  // namespace simt

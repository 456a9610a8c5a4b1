#include "kernels/base/host_memory.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <sys/mman.h>

namespace boneage {

std::byte* allocate_host(int64_t bytes, std::size_t alignment) {
    constexpr std::size_t huge_page = std::size_t{2} << 20;
    if (bytes >= kHugeFrom) {
        alignment = std::max(alignment, huge_page);
    }
    const std::size_t size = (static_cast<std::size_t>(std::max<int64_t>(bytes, 1)) + alignment - 1) & ~(alignment - 1);
    void* memory = std::aligned_alloc(alignment, size);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    if (bytes >= kHugeFrom) {
        // Advice: where it is not taken, all works with small pages.
        static_cast<void>(madvise(memory, size, MADV_HUGEPAGE));
    }
    return static_cast<std::byte*>(memory);
}

void free_host(void* memory) noexcept {
    std::free(memory);
}

}  // namespace boneage

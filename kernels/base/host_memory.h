// Where this process's own large memory comes from.
#pragma once

#include <cstddef>
#include <cstdint>

namespace boneage {

// At least `bytes` of memory, not initialised, aligned to `alignment`, a power of two. From kHugeFrom bytes on it asks
// for huge pages where the system has them: weights and activations are walked in long strides, and with small pages
// the processor spends its time looking up where those lie. Throws std::bad_alloc.
constexpr int64_t kHugeFrom = int64_t{4} << 20;
std::byte* allocate_host(int64_t bytes, std::size_t alignment);
void free_host(void* memory) noexcept;

}  // namespace boneage

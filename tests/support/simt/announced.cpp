// What code compiled with -fsanitize=thread and -fsanitize=bounds calls, in place of the compiler's own libraries:
// kernels announce their accesses to the runner's checks, which know the threads of a launch and what orders them. Host
// code compiled along with them goes on as usual.
#include "accesses.h"
#include "cuda_runtime.h"
#include "watch.h"

using simt::Kind;

#define PLACE __builtin_return_address(0)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_read_range(void* p, unsigned long n) {
    simt::access(p, n, Kind::read, PLACE);
}
void __tsan_write_range(void* p, unsigned long n) {
    simt::access(p, n, Kind::write, PLACE);
}
void __tsan_atomic_thread_fence(int) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#define SIMT_ACCESSES(n)                        \
    void __tsan_read##n(void* p) {              \
        simt::access(p, n, Kind::read, PLACE);  \
    }                                           \
    void __tsan_write##n(void* p) {             \
        simt::access(p, n, Kind::write, PLACE); \
    }
SIMT_ACCESSES(1)
SIMT_ACCESSES(2)
SIMT_ACCESSES(4)
SIMT_ACCESSES(8)
SIMT_ACCESSES(16)

#define SIMT_PLAIN(p) const_cast<const void*>(static_cast<const volatile void*>(p))
#define SIMT_ATOMIC_CHANGE(bits, T, name, builtin)                         \
    T __tsan_atomic##bits##_##name(volatile T* p, T v, int) {              \
        simt::access(SIMT_PLAIN(p), sizeof(T), Kind::atomic_write, PLACE); \
        return __atomic_##builtin(p, v, __ATOMIC_SEQ_CST);                 \
    }
#define SIMT_ATOMIC_EXCHANGE(bits, T, strength, weak)                                                  \
    int __tsan_atomic##bits##_compare_exchange_##strength(volatile T* p, T* expected, T v, int, int) { \
        simt::access(SIMT_PLAIN(p), sizeof(T), Kind::atomic_write, PLACE);                             \
        return __atomic_compare_exchange_n(p, expected, v, weak, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
    }
#define SIMT_ATOMICS(bits, T)                                              \
    T __tsan_atomic##bits##_load(const volatile T* p, int) {               \
        simt::access(SIMT_PLAIN(p), sizeof(T), Kind::atomic_read, PLACE);  \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                       \
    }                                                                      \
    void __tsan_atomic##bits##_store(volatile T* p, T v, int) {            \
        simt::access(SIMT_PLAIN(p), sizeof(T), Kind::atomic_write, PLACE); \
        __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                          \
    }                                                                      \
    SIMT_ATOMIC_CHANGE(bits, T, exchange, exchange_n)                      \
    SIMT_ATOMIC_CHANGE(bits, T, fetch_add, fetch_add)                      \
    SIMT_ATOMIC_CHANGE(bits, T, fetch_sub, fetch_sub)                      \
    SIMT_ATOMIC_CHANGE(bits, T, fetch_and, fetch_and)                      \
    SIMT_ATOMIC_CHANGE(bits, T, fetch_or, fetch_or)                        \
    SIMT_ATOMIC_CHANGE(bits, T, fetch_xor, fetch_xor)                      \
    SIMT_ATOMIC_EXCHANGE(bits, T, strong, false)                           \
    SIMT_ATOMIC_EXCHANGE(bits, T, weak, true)
SIMT_ATOMICS(8, std::uint8_t)
SIMT_ATOMICS(16, std::uint16_t)
SIMT_ATOMICS(32, std::uint32_t)
SIMT_ATOMICS(64, std::uint64_t)

// An index beyond an array whose length the compiler knows; so begins what it tells.
struct OutOfBounds {
    const char* file;
    std::uint32_t line, column;
};
void __ubsan_handle_out_of_bounds_abort(const OutOfBounds* there, unsigned long index) {
    const std::string message = "indexes an array beyond its end, with " + std::to_string(index) + ", at " +
                                there->file + ":" + std::to_string(there->line);
    if (simt::in_kernel)
        simt::fail_in_kernel(message);
    throw simt::Error("the host " + message);
}
}

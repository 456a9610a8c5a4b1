// Stands in for NVIDIA's <cuda_runtime.h> when the .cu sources are compiled as plain C++ for tests on a
// machine without a GPU: the CUDA vocabulary the engine uses, on top of the fiber scheduler in scheduler.cpp.
// Put this directory first on the include path; nothing in the engine's sources mentions it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

// ---- language ----------------------------------------------------------------------------------------
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)
#define __CUDA_ARCH_LIST__ 800, 900
#define __shared__ static  // blocks run one after another, so one copy serves them all

#define SIMT_VEC(T, name, al)                           \
    struct alignas(sizeof(T)) name##1 {                 \
        T x;                                            \
    };                                                  \
    struct alignas(al(2 * sizeof(T))) name##2 {         \
        T x, y;                                         \
    };                                                  \
    struct name##3 {                                    \
        T x, y, z;                                      \
    };                                                  \
    struct alignas(al(4 * sizeof(T))) name##4 {         \
        T x, y, z, w;                                   \
    };                                                  \
    inline name##2 make_##name##2(T x, T y) {           \
        return {x, y};                                  \
    }                                                   \
    inline name##3 make_##name##3(T x, T y, T z) {      \
        return {x, y, z};                               \
    }                                                   \
    inline name##4 make_##name##4(T x, T y, T z, T w) { \
        return {x, y, z, w};                            \
    }
constexpr std::size_t simt_align(std::size_t n) {
    return n < 16 ? n : 16;
}
using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
// clang-format off
SIMT_VEC(signed char, char, simt_align)
SIMT_VEC(unsigned char, uchar, simt_align)
SIMT_VEC(short, short, simt_align)
SIMT_VEC(unsigned short, ushort, simt_align)
SIMT_VEC(int, int, simt_align)
SIMT_VEC(unsigned int, uint, simt_align)
SIMT_VEC(float, float, simt_align)
SIMT_VEC(double, double, simt_align)
// clang-format on
#undef SIMT_VEC

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// ---- scheduler (scheduler.cpp) ----------------------------------------------------------------------------
namespace simt {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class Order { ascending, descending, shuffled };
struct Options {
    Order order = Order::ascending;  // of the threads in a block and of the blocks in the grid
    unsigned seed = 1;               // for Shuffled and for yields
    unsigned yield_every = 0;        // n: about one atomic in n lets other threads run first
    bool strict_exit = true;         // a thread that returned must not be missing at a __syncthreads
};
Options& options();
// What may be wrong with the machine; tests set it.
struct Faults {
    std::vector<int> compute_capabilities{90};                     // of each device there is
    int unavailable = -1;                                          // the device that lets nobody use it
    int shared_bytes = 227 << 10;                                  // the most a block may opt in to
    bool no_cudnn = false;                                         // for tests/support/cudnn_simt.cpp
    bool old_driver = false;                                       // the driver is older than the runtime needs
    std::atomic<bool> lost = false;                                // the device answers nothing any more
    std::atomic<std::size_t> device_bytes = ~std::size_t{0} >> 1;  // no more than so many are allocated at a time
    std::atomic<std::size_t> pinned_bytes = ~std::size_t{0} >> 1;  // nor so many of the host's pinned in one piece
    std::atomic<int> waits = 1 << 30;                              // for events, after which the device is lost
    std::atomic<int> graphs = 1 << 30;                             // made, after which there is no memory for another
};
Faults& faults();
std::size_t device_bytes_in_use();
struct Counters {
    std::uint64_t launches, blocks, threads, switches, barriers, collectives;
    std::atomic<std::uint64_t> spins;  // waits for an event with which the host would keep its core busy
};
Counters& counters();

struct Site {
    const char* file;
    int line;
};
#define SIMT_SITE ::simt::Site site = {__builtin_FILE(), __builtin_LINE()}

using Finish = void (*)(const unsigned long long* value, const int* source, unsigned mask, unsigned long long* result);
int barrier(int predicate, int kind, const char* name, Site);  // kind: 0 sync, 1 count, 2 and, 3 or
unsigned long long collective(unsigned mask, unsigned long long value, int source, Finish, const char* name, Site);
void maybe_yield();
void* dynamic_shared();
// Fails where `p` points into shared memory: what a kernel calls works on global memory alone.
void global_only(const void* p, const char* name, Site);
// Runs `body` on `context`, the kernel with its arguments, as every thread of the grid.
void run(dim3 grid, dim3 block, std::size_t shared_bytes, void (*body)(void*), void* context,
         std::size_t context_bytes);
bool is_device_pointer(const void*);
int lane();
inline void device_fence(bool) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

template <class T>
unsigned long long bits(T v) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
    unsigned long long b = 0;
    std::memcpy(&b, &v, sizeof v);
    return b;
}
template <class T>
T from(unsigned long long b) {
    T v;
    std::memcpy(&v, &b, sizeof v);
    return v;
}

inline void gather(const unsigned long long* value, const int* source, unsigned mask, unsigned long long* result) {
    for (int l = 0; l < 32; ++l)
        if (mask >> l & 1)  // a lane outside the mask has no defined value: hand out garbage
            result[l] = (mask >> source[l] & 1) ? value[source[l]] : 0xa5a5a5a5a5a5a5a5ull;
}
inline void ballot(const unsigned long long* value, const int*, unsigned mask, unsigned long long* result) {
    unsigned long long b = 0;
    for (int l = 0; l < 32; ++l)
        if ((mask >> l & 1) && value[l])
            b |= 1ull << l;
    for (int l = 0; l < 32; ++l)
        if (mask >> l & 1)
            result[l] = b;
}

}  // namespace simt

// ---- barriers and warp collectives -------------------------------------------------------------------
inline void __syncthreads(SIMT_SITE) {
    simt::barrier(0, 0, "__syncthreads", site);
}
inline int __syncthreads_count(int p, SIMT_SITE) {
    return simt::barrier(p, 1, "__syncthreads_count", site);
}
inline int __syncthreads_and(int p, SIMT_SITE) {
    return simt::barrier(p, 2, "__syncthreads_and", site);
}
inline int __syncthreads_or(int p, SIMT_SITE) {
    return simt::barrier(p, 3, "__syncthreads_or", site);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_SITE) {
    simt::collective(mask, 0, 0, simt::ballot, "__syncwarp", site);
}
inline unsigned __ballot_sync(unsigned mask, int p, SIMT_SITE) {
    return (unsigned)simt::collective(mask, p != 0, 0, simt::ballot, "__ballot_sync", site);
}
inline int __any_sync(unsigned mask, int p, SIMT_SITE) {
    return simt::collective(mask, p != 0, 0, simt::ballot, "__any_sync", site) != 0;
}
inline int __all_sync(unsigned mask, int p, SIMT_SITE) {
    return simt::collective(mask, p == 0, 0, simt::ballot, "__all_sync", site) == 0;
}

template <class T>
T __shfl_sync(unsigned mask, T v, int src, int width = 32, SIMT_SITE) {
    const int l = simt::lane(), base = l & ~(width - 1);
    return simt::from<T>(
        simt::collective(mask, simt::bits(v), base + (src & (width - 1)), simt::gather, "__shfl_sync", site));
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32, SIMT_SITE) {
    const int l = simt::lane(), s = l + (int)delta;
    return simt::from<T>(
        simt::collective(mask, simt::bits(v), s / width == l / width ? s : l, simt::gather, "__shfl_down_sync", site));
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32, SIMT_SITE) {
    const int l = simt::lane(), s = l - (int)delta;
    return simt::from<T>(
        simt::collective(mask, simt::bits(v), s >= (l & ~(width - 1)) ? s : l, simt::gather, "__shfl_up_sync", site));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int lane_mask, int width = 32, SIMT_SITE) {
    const int l = simt::lane(), s = l ^ lane_mask;
    return simt::from<T>(simt::collective(mask, simt::bits(v), s < (l & ~(width - 1)) + width ? s : l, simt::gather,
                                          "__shfl_xor_sync", site));
}

// ---- atomics (relaxed, as on the device) ---------------------------------------------------------------
template <class T, class F>
T simt_update(T* p, F f) {
    simt::maybe_yield();
    T old;
    __atomic_load(p, &old, __ATOMIC_RELAXED);
    for (T next = f(old); !__atomic_compare_exchange(p, &old, &next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);)
        next = f(old);
    return old;
}
template <class T>
using SimtSame = std::common_type_t<T>;  // a non-deduced context
template <class T>
T atomicAdd(T* p, SimtSame<T> v) {
    return simt_update(p, [v](T o) { return T(o + v); });
}
template <class T>
T atomicSub(T* p, SimtSame<T> v) {
    return simt_update(p, [v](T o) { return T(o - v); });
}
template <class T>
T atomicMin(T* p, SimtSame<T> v) {
    return simt_update(p, [v](T o) { return std::min(o, v); });
}
template <class T>
T atomicMax(T* p, SimtSame<T> v) {
    return simt_update(p, [v](T o) { return std::max(o, v); });
}
template <class T>
T atomicAnd(T* p, SimtSame<T> v) {
    return simt_update(p, [v](T o) { return T(o & v); });
}
template <class T>
T atomicOr(T* p, SimtSame<T> v) {
    return simt_update(p, [v](T o) { return T(o | v); });
}
template <class T>
T atomicExch(T* p, SimtSame<T> v) {
    return simt_update(p, [v](T) { return v; });
}
template <class T>
T atomicCAS(T* p, SimtSame<T> expected, SimtSame<T> v) {
    return simt_update(p, [=](T o) { return o == expected ? v : o; });
}
inline void __threadfence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
inline void __threadfence_block() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

// ---- device functions ----------------------------------------------------------------------------------
using std::max;
using std::min;
template <class T>
T __ldg(const T* p, SIMT_SITE) {
    simt::global_only(p, "__ldg", site);
    return *p;
}
template <class T>
T __ldca(const T* p, SIMT_SITE) {
    simt::global_only(p, "__ldca", site);
    return *p;
}
template <class T>
void __stwb(T* p, T v, SIMT_SITE) {
    simt::global_only(p, "__stwb", site);
    *p = v;
}
inline int __popc(unsigned v) {
    return __builtin_popcount(v);
}
inline int __clz(int v) {
    return v ? __builtin_clz((unsigned)v) : 32;
}
inline int __ffs(int v) {
    return __builtin_ffs(v);
}
// The lower word of high:low shifted right by shift % 32.
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return (unsigned)(((unsigned long long)high << 32 | low) >> (shift % 32));
}
// Four of the eight bytes of high:low, by the lowest three bits of each of the selector's lower four digits.
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector) {
    const unsigned long long bytes = (unsigned long long)high << 32 | low;
    unsigned result = 0;
    for (int i = 0; i < 4; ++i) {
        result |= (unsigned)(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xff) << (8 * i);
    }
    return result;
}
// The larger and the smaller of each half.
inline unsigned __vmaxu2(unsigned a, unsigned b) {
    return std::max(a & 0xffffu, b & 0xffffu) | std::max(a >> 16, b >> 16) << 16;
}
inline unsigned __vminu2(unsigned a, unsigned b) {
    return std::min(a & 0xffffu, b & 0xffffu) | std::min(a >> 16, b >> 16) << 16;
}
inline float rsqrtf(float v) {
    return 1.0f / std::sqrt(v);
}
inline float __saturatef(float v) {
    return v > 0 ? (v < 1 ? v : 1.0f) : 0.0f;
}
inline float __fdividef(float a, float b) {
    return a / b;
}
// Unfused and rounded once each: this side is compiled with -ffp-contract=off.
inline float __fadd_rn(float a, float b) {
    return a + b;
}
inline float __fsub_rn(float a, float b) {
    return a - b;
}
inline float __fmul_rn(float a, float b) {
    return a * b;
}
inline float __fdiv_rn(float a, float b) {
    return a / b;
}
inline double __dadd_rn(double a, double b) {
    return a + b;
}
inline double __dmul_rn(double a, double b) {
    return a * b;
}
inline int __float2int_rn(float v) {
    return (int)std::nearbyint(v);
}
inline float __int_as_float(int v) {
    return simt::from<float>(simt::bits(v));
}
inline int __float_as_int(float v) {
    return simt::from<int>(simt::bits(v));
}

// ---- runtime API ---------------------------------------------------------------------------------------
enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorCudartUnloading = 4,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorDevicesUnavailable = 46,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorUnknown = 999,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
};
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
struct CUstream_st;
struct CUevent_st;
struct CUgraph_st;
struct CUgraphExec_st;
using cudaStream_t = CUstream_st*;
using cudaEvent_t = CUevent_st*;
using cudaGraph_t = CUgraph_st*;
using cudaGraphExec_t = CUgraphExec_st*;
struct cudaLaunchAttribute {};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    std::size_t dynamicSmemBytes = 0;
    cudaStream_t stream = nullptr;
    cudaLaunchAttribute* attrs = nullptr;
    unsigned numAttrs = 0;
};
struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount, l2CacheSize;
    std::size_t totalGlobalMem, sharedMemPerBlockOptin;
};
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2;
cudaError_t cudaMalloc(void** p, std::size_t bytes);
template <class T>
cudaError_t cudaMalloc(T** p, std::size_t bytes) {
    return cudaMalloc(reinterpret_cast<void**>(p), bytes);
}
cudaError_t cudaFree(void* p);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t = nullptr);
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t = nullptr);
inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t n, cudaMemcpyKind k) {
    return cudaMemcpyAsync(to, from, n, k);
}
inline cudaError_t cudaMemset(void* to, int v, std::size_t n) {
    return cudaMemsetAsync(to, v, n);
}
cudaError_t cudaStreamSynchronize(cudaStream_t);
inline cudaError_t cudaDeviceSynchronize() {
    return cudaSuccess;
}
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t);

namespace simt {
// Does `work` now, or keeps it for the graph that `stream` is recording.
cudaError_t enqueue(cudaStream_t stream, std::function<cudaError_t()> work);
// A kernel may have 48 KiB of dynamic shared memory, or as much as it was opted in to.
cudaError_t opt_in(const void* kernel, int bytes);
std::size_t shared_limit(const void* kernel);
}  // namespace simt

// Graphs hold what was queued while their stream recorded; launching one does it all.
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal };
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode);
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t*);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t*, cudaGraph_t, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t);
cudaError_t cudaGraphDestroy(cudaGraph_t);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t);
cudaError_t cudaLaunchHostFunc(cudaStream_t, void (*)(void*), void*);

// One device, whose work is done by the time a call returns: streams and events have nothing to order.
cudaError_t cudaGetDeviceCount(int*);
cudaError_t cudaSetDevice(int);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp*, int);
cudaError_t cudaDriverGetVersion(int*);
cudaError_t cudaRuntimeGetVersion(int*);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t*, unsigned);
cudaError_t cudaStreamDestroy(cudaStream_t);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t*, unsigned);
cudaError_t cudaEventDestroy(cudaEvent_t);
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t);
cudaError_t cudaEventSynchronize(cudaEvent_t);
cudaError_t cudaEventElapsedTime(float*, cudaEvent_t, cudaEvent_t);
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned);
cudaError_t cudaMallocHost(void**, std::size_t);
cudaError_t cudaFreeHost(void*);
template <class... P>
cudaError_t cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute, int bytes) {
    return simt::opt_in(reinterpret_cast<const void*>(kernel), bytes);
}

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* c, void (*kernel)(P...), A&&... args) {
    const dim3 g = c->gridDim, b = c->blockDim;
    if (!g.x || !g.y || !g.z || !b.x || !b.y || !b.z || b.x > 1024 || b.y > 1024 || b.z > 64 ||
        b.x * b.y * b.z > 1024 || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535 ||
        c->dynamicSmemBytes > simt::shared_limit(reinterpret_cast<const void*>(kernel)))
        return cudaErrorInvalidConfiguration;
    struct Call {
        void (*kernel)(P...);
        std::tuple<P...> params;
    } call{kernel, {std::forward<A>(args)...}};
    const auto check = [](const auto& p) {
        if constexpr (std::is_pointer_v<std::decay_t<decltype(p)>>)
            if (p && !simt::is_device_pointer(p))
                throw simt::Error("kernel launched with a pointer that is not device memory");
    };
    std::apply([&](const auto&... p) { (check(p), ...); }, call.params);
    return simt::enqueue(c->stream, [g, b, shared = c->dynamicSmemBytes, call]() mutable {
        simt::run(
            g, b, shared,
            [](void* x) {
                auto* made = static_cast<Call*>(x);
                std::apply(made->kernel, made->params);
            },
            &call, sizeof call);
        return cudaSuccess;
    });
}

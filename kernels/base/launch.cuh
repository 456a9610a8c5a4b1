// Kernel launches, checked CUDA calls and the few device helpers that every `.cu` shares. One spelling serves nvcc and
// the host-side runner of the tests, so no kernel file contains an #ifdef.
#pragma once

#include "kernels/base/error.h"
#include "kernels/base/stream.h"

#include <cuda_runtime.h>
#include <string>
#include <utility>

namespace boneage {

// Throws DeviceError (OutOfDeviceMemory for that case) in one sentence with the call, the place, CUDA's own words and
// what to do.
inline void cuda_check(cudaError_t status, const char* call, const char* file, int line) {
    if (status == cudaSuccess) [[likely]] {
        return;
    }
    // What is thrown here must not be found again by whoever asks for the last error next.
    static_cast<void>(cudaGetLastError());
    const std::string what =
        std::string(cudaGetErrorString(status)) + " in " + call + " (" + file + ":" + std::to_string(line) + ")";
    if (status == cudaErrorMemoryAllocation) {
        throw no_device_memory(what);
    }
    failure_is_known();
    throw DeviceError("the GPU failed: " + what +
                      "; nvidia-smi tells whether it is still there, and --device cpu "
                      "goes on without it");
}

#define CUDA_CHECK(call) ::boneage::cuda_check((call), #call, __FILE__, __LINE__)

constexpr unsigned blocks_for(int64_t n, int64_t per_block) {
    return static_cast<unsigned>(ceil_div(n, per_block));
}

// What a block may have of dynamic shared memory without asking.
constexpr size_t kPlainSharedBytes = 48 << 10;

// Launch{grid, block, stream}(kernel, arguments...): typed, checked, without the <<<>>> that only nvcc parses.
// A grid with a zero side launches nothing: empty batches need no special case. With more shared memory than
// kPlainSharedBytes the kernel is opted in to it first, every time, because that holds for one device; a kernel always
// asks for the same, since another thread may just be launching it.
struct Launch {
    dim3 grid;
    dim3 block;
    const Stream& stream;
    size_t shared_bytes = 0;

    template <class... Params, class... Args>
    void operator()(void (*kernel)(Params...), Args&&... args) const {
        if (grid.x == 0 || grid.y == 0 || grid.z == 0) {
            return;
        }
        if (shared_bytes > kPlainSharedBytes) {
            // No operation of the stream, which may be recording a graph.
            CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                            static_cast<int>(shared_bytes)));
        }
        cudaLaunchConfig_t config{};
        config.gridDim = grid;
        config.blockDim = block;
        config.dynamicSmemBytes = shared_bytes;
        config.stream = stream.native();
        CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(std::forward<Args>(args))...));
    }
};

namespace {

// Dynamic shared memory of the launch.
#ifdef __CUDACC__
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
    extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[];
    return reinterpret_cast<T*>(dynamic_shared_bytes);
}
#else
template <class T>
T* dynamic_shared() {
    return static_cast<T*>(simt::dynamic_shared());
}
#endif

// A load that another thread may be racing with an atomic.
#ifdef __CUDACC__
template <class T>
__device__ __forceinline__ T load_relaxed(const T* p) {
    return *const_cast<const volatile T*>(p);
}
#else
template <class T>
T load_relaxed(const T* p) {
    simt::maybe_yield();
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}
#endif

constexpr unsigned kAllLanes = 0xffffffffU;  // of a warp

template <class T>
__device__ __forceinline__ T warp_sum(T v) {
    for (int d = 16; d > 0; d >>= 1) {
        v += __shfl_down_sync(kAllLanes, v, static_cast<unsigned>(d));
    }
    return v;
}

// Sum over a block of whole warps, valid in thread 0.
template <class T>
__device__ T block_sum(T v) {
    __shared__ T partial[32];
    const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    const unsigned lane = thread & 31U;
    const unsigned warp = thread >> 5U;
    const unsigned warps = (blockDim.x * blockDim.y * blockDim.z) >> 5U;
    v = warp_sum(v);
    if (lane == 0) {
        partial[warp] = v;
    }
    __syncthreads();
    if (warp == 0) {
        v = warp_sum(lane < warps ? partial[lane] : T(0));
    }
    __syncthreads();  // `partial` may be reused by the next call
    return v;
}

}  // namespace
}  // namespace boneage

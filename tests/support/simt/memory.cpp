#include "memory.h"

#include "cuda_runtime.h"
#include "sanitizer.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

namespace {

// Threads may allocate while another runs kernels.
std::recursive_mutex mutex;
std::map<const char*, std::size_t> allocations;
std::size_t allocated = 0;
std::map<const void*, std::size_t> opted_in;  // bytes of shared memory, by kernel

constexpr std::size_t padded(std::size_t n) {
    return (n + 255) / 256 * 256;
}

// What a call answers that has nothing else to say.
cudaError_t answer() {
    return simt::faults().lost ? cudaErrorUnknown : cudaSuccess;
}

thread_local cudaError_t last_error = cudaSuccess;

void device_access([[maybe_unused]] bool allowed) {
#ifdef SIMT_ASAN
    const std::lock_guard lock(mutex);
    for (auto& [p, n] : allocations) {
        allowed ? __asan_unpoison_memory_region(p, n) : __asan_poison_memory_region(p, n);
    }
#endif
}

}  // namespace

namespace simt {

Faults& faults() {
    static Faults all;
    return all;
}

std::size_t device_bytes_in_use() {
    const std::lock_guard lock(mutex);
    return allocated;
}

Access::Access() {
    device_access(true);
}
Access::~Access() {
    device_access(false);
}

Allocation allocation_before(const void* p) {
    const std::lock_guard lock(mutex);
    const auto next = allocations.upper_bound(static_cast<const char*>(p));
    return next == allocations.begin() ? Allocation{} : Allocation{std::prev(next)->first, std::prev(next)->second};
}

bool inside(const void* p, std::size_t n) {
    const auto [start, bytes] = allocation_before(p);
    return start && static_cast<const char*>(p) + n <= start + bytes;
}

bool is_device_pointer(const void* p) {
    return inside(p, 1);
}

}  // namespace simt

cudaError_t cudaMalloc(void** p, std::size_t bytes) {
    *p = nullptr;
    if (simt::faults().lost)
        return last_error = cudaErrorUnknown;
    if (!bytes)
        return cudaSuccess;
    const std::lock_guard lock(mutex);
    if (allocated + bytes > simt::faults().device_bytes)
        return last_error = cudaErrorMemoryAllocation;
    auto* q = static_cast<char*>(std::aligned_alloc(256, padded(bytes)));
    if (!q)
        return last_error = cudaErrorMemoryAllocation;
    std::memset(q, 0xcd, bytes);  // fresh device memory holds garbage, not zeros
    allocations[q] = bytes;
    allocated += bytes;
#ifdef SIMT_ASAN
    __asan_poison_memory_region(q, padded(bytes));
#endif
    *p = q;
    return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
    if (!p)
        return cudaSuccess;
    const std::lock_guard lock(mutex);
    auto it = allocations.find(static_cast<char*>(p));
    if (it == allocations.end())
        return cudaErrorInvalidValue;
#ifdef SIMT_ASAN
    __asan_unpoison_memory_region(p, padded(it->second));
#endif
    allocated -= it->second;
    allocations.erase(it);
    std::free(p);
    return answer();
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t n, cudaMemcpyKind kind, cudaStream_t stream) {
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (n && kind != cudaMemcpyDefault && (simt::inside(to, n) != to_device || simt::inside(from, n) != from_device))
        return cudaErrorInvalidValue;
    return simt::enqueue(stream, [=] {
        simt::Access access;
        if (n > 0)  // copying nothing may name no memory
            std::memmove(to, from, n);
        return cudaSuccess;
    });
}
cudaError_t cudaMemsetAsync(void* to, int v, std::size_t n, cudaStream_t stream) {
    if (n && !simt::inside(to, n))
        return cudaErrorInvalidValue;
    return simt::enqueue(stream, [=] {
        simt::Access access;
        std::memset(to, v, n);
        return cudaSuccess;
    });
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*body)(void*), void* context) {
    return simt::enqueue(stream, [=] {
        simt::Access access;
        body(context);
        return cudaSuccess;
    });
}

cudaError_t cudaGetLastError() {
    return std::exchange(last_error, cudaSuccess);
}
const char* cudaGetErrorString(cudaError_t e) {
    switch (e) {
        case cudaSuccess:
            return "no error";
        case cudaErrorMemoryAllocation:
            return "out of memory";
        case cudaErrorInvalidConfiguration:
            return "invalid configuration argument";
        case cudaErrorUnknown:
            return "unknown error";
        case cudaErrorNoDevice:
            return "no CUDA-capable device is detected";
        case cudaErrorDevicesUnavailable:
            return "CUDA-capable device(s) is/are busy or unavailable";
        case cudaErrorInsufficientDriver:
            return "CUDA driver version is insufficient for CUDA runtime version";
        default:
            return "invalid argument";
    }
}

using Works = std::vector<std::function<cudaError_t()>>;
struct CUstream_st {
    bool records = false;
    bool broken = false;  // the recording, by what may not be recorded
    Works recorded;
};
struct CUgraph_st {
    Works works;
};
struct CUgraphExec_st {
    Works works;
};

cudaError_t simt::enqueue(cudaStream_t stream, std::function<cudaError_t()> work) {
    if (simt::faults().lost)
        return cudaErrorUnknown;
    if (stream == nullptr || !stream->records)
        return work();
    stream->recorded.push_back(std::move(work));
    return cudaSuccess;
}
cudaError_t simt::opt_in(const void* kernel, int bytes) {
    if (bytes < 0 || bytes > simt::faults().shared_bytes)
        return last_error = cudaErrorInvalidValue;
    const std::lock_guard lock(mutex);
    opted_in[kernel] = std::size_t(bytes);
    return answer();
}
std::size_t simt::shared_limit(const void* kernel) {
    const std::lock_guard lock(mutex);
    const auto found = opted_in.find(kernel);
    return std::max(std::size_t{48} << 10, found == opted_in.end() ? 0 : found->second);
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (simt::faults().lost)
        return cudaErrorUnknown;
    if (stream->records)
        return cudaErrorInvalidValue;
    stream->records = true;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    if (!stream->records)
        return cudaErrorInvalidValue;
    stream->records = false;
    Works works = std::exchange(stream->recorded, {});
    *graph = nullptr;
    if (std::exchange(stream->broken, false))
        return cudaErrorStreamCaptureInvalidated;
    if (simt::faults().lost)
        return cudaErrorUnknown;
    *graph = new CUgraph_st{std::move(works)};
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    if (simt::faults().lost)
        return cudaErrorUnknown;
    if (simt::faults().graphs-- <= 0)
        return last_error = cudaErrorMemoryAllocation;
    *executable = new CUgraphExec_st{graph->works};
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    for (auto& work : executable->works)
        if (const cudaError_t status = simt::enqueue(stream, work); status != cudaSuccess)
            return status;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    if (!graph)
        return cudaErrorInvalidValue;
    delete graph;
    return answer();
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete executable;
    return answer();
}

struct CUevent_st {
    unsigned flags;
    std::chrono::steady_clock::time_point reached{};
};

cudaError_t cudaGetDeviceCount(int* count) {
    *count = static_cast<int>(simt::faults().compute_capabilities.size());
    if (simt::faults().old_driver)
        return cudaErrorInsufficientDriver;
    return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaSetDevice(int ordinal) {
    if (ordinal < 0 || ordinal >= static_cast<int>(simt::faults().compute_capabilities.size()))
        return cudaErrorInvalidValue;
    return ordinal == simt::faults().unavailable ? cudaErrorDevicesUnavailable : cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int ordinal) {
    if (ordinal < 0 || ordinal >= static_cast<int>(simt::faults().compute_capabilities.size()))
        return cudaErrorInvalidValue;
    const int capability = simt::faults().compute_capabilities[static_cast<std::size_t>(ordinal)];
    *properties = {"CUDA kernels on the CPU",
                   capability / 10,
                   capability % 10,
                   4,
                   1 << 20,
                   std::size_t{1} << 32,
                   std::size_t(simt::faults().shared_bytes)};
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
    *version = simt::faults().old_driver ? 11080 : 13000;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = 13000;
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = new CUstream_st;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    delete stream;
    return answer();
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    *event = new CUevent_st{flags};
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return answer();
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
    event->reached = std::chrono::steady_clock::now();
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    if (simt::faults().lost)
        return cudaErrorUnknown;
    if (stream == nullptr || !stream->records)
        return cudaSuccess;
    stream->broken = true;
    return cudaErrorStreamCaptureUnsupported;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    simt::counters().spins += (event->flags & cudaEventBlockingSync) == 0;
    if (simt::faults().waits-- <= 0)
        simt::faults().lost = true;
    return answer();
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    if (((start->flags | end->flags) & cudaEventDisableTiming) != 0)
        return cudaErrorInvalidResourceHandle;
    *milliseconds = std::chrono::duration<float, std::milli>(end->reached - start->reached).count();
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void** p, std::size_t bytes) {
    *p = bytes > simt::faults().pinned_bytes ? nullptr : std::aligned_alloc(256, padded(bytes ? bytes : 1));
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* p) {
    std::free(p);
    return answer();
}

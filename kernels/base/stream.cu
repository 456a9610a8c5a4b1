#include "kernels/base/launch.cuh"
#include "kernels/base/stream.h"

#include <atomic>
#include <cstdio>
#include <nvtx3/nvToolsExt.h>

namespace boneage {
namespace {

// nvcc lists what it compiles for, oldest first: 800, 900. What is newer runs these kernels too.
constexpr int kBuiltFor[] = {__CUDA_ARCH_LIST__};
constexpr int kLeastCapability = kBuiltFor[0] / 10;

// "8.0"
std::string capability_text(int capability) {
    return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

// Once a device has failed, every call fails, and one sentence about it is enough.
std::atomic<bool> known_failure = false;

// Destructors report and go on.
void log_failure(cudaError_t status, const char* call) {
    // At process exit the driver may already be gone; there is nothing left to release then.
    if (status != cudaSuccess && status != cudaErrorCudartUnloading && !known_failure.exchange(true)) {
        std::fprintf(stderr, "boneage: %s: %s\n", call, cudaGetErrorString(status));
    }
}

DeviceProperties read_properties(int ordinal) {
    cudaDeviceProp raw{};
    CUDA_CHECK(cudaGetDeviceProperties(&raw, ordinal));
    DeviceProperties device;
    device.ordinal = ordinal;
    device.name = raw.name;
    device.compute_capability = 10 * raw.major + raw.minor;
    device.multiprocessors = raw.multiProcessorCount;
    device.memory_bytes = static_cast<int64_t>(raw.totalGlobalMem);
    device.l2_bytes = raw.l2CacheSize;
    device.shared_bytes_per_block = static_cast<int64_t>(raw.sharedMemPerBlockOptin);
    CUDA_CHECK(cudaDriverGetVersion(&device.driver_version));
    return device;
}

}  // namespace

int cuda_device_count() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaErrorNoDevice) {
        return 0;
    }
    if (status == cudaErrorInsufficientDriver) {
        int driver = 0;
        int runtime = 0;
        CUDA_CHECK(cudaDriverGetVersion(&driver));
        CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
        if (driver == 0) {
            return 0;  // no driver at all: a machine without a GPU
        }
        throw DeviceError("the NVIDIA driver here supports CUDA " + std::to_string(driver / 1000) + "." +
                          std::to_string(driver % 1000 / 10) + ", this program needs " +
                          std::to_string(runtime / 1000) + "." + std::to_string(runtime % 1000 / 10) +
                          ": update the driver or use --device cpu");
    }
    CUDA_CHECK(status);
    return count;
}

DeviceProperties usable_device(int ordinal) {
    const int count = cuda_device_count();
    if (count == 0) {
        throw DeviceError("this machine has no GPU that CUDA can use; give --device cpu or auto");
    }
    if (ordinal < 0 || ordinal >= count) {
        throw DeviceError("there is no GPU " + std::to_string(ordinal) + "; GPUs here are numbered from 0 to " +
                          std::to_string(count - 1));
    }
    DeviceProperties device = read_properties(ordinal);
    if (device.compute_capability < kLeastCapability) {
        throw DeviceError(device.name + " has compute capability " + capability_text(device.compute_capability) +
                          ", this program needs " + capability_text(kLeastCapability) +
                          " or newer: use another GPU or --device cpu");
    }
    return device;
}

void failure_is_known() noexcept {
    known_failure = true;
}

void use_device(int ordinal) {
    CUDA_CHECK(cudaSetDevice(ordinal));
}

void destroy_stream(CUstream_st* stream) {
    log_failure(cudaStreamDestroy(stream), "cudaStreamDestroy");
}
void destroy_event(CUevent_st* event) {
    log_failure(cudaEventDestroy(event), "cudaEventDestroy");
}

Stream::Stream(int ordinal) : device_(usable_device(ordinal)) {
    use_device(ordinal);
    cudaStream_t stream = nullptr;
    CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    handle_ = Handle<CUstream_st, destroy_stream>(stream);
}

void Stream::synchronize() const {
    CUDA_CHECK(cudaStreamSynchronize(native()));
}

Event::Event() : Event(cudaEventBlockingSync | cudaEventDisableTiming) {}

Event::Event(unsigned flags) {
    cudaEvent_t event = nullptr;
    CUDA_CHECK(cudaEventCreateWithFlags(&event, flags));
    handle_ = Handle<CUevent_st, destroy_event>(event);
}

void Event::record(const Stream& stream) {
    CUDA_CHECK(cudaEventRecord(handle_.get(), stream.native()));
}
void Event::block(const Stream& stream) const {
    CUDA_CHECK(cudaStreamWaitEvent(stream.native(), handle_.get(), 0));
}
void Event::synchronize() const {
    CUDA_CHECK(cudaEventSynchronize(handle_.get()));
}

TimedEvent::TimedEvent() : Event(cudaEventDefault) {}

double TimedEvent::milliseconds_since(const TimedEvent& start) const {
    float elapsed = 0;
    CUDA_CHECK(cudaEventElapsedTime(&elapsed, start.native(), native()));
    return elapsed;
}

void destroy_graph(CUgraphExec_st* graph) {
    log_failure(cudaGraphExecDestroy(graph), "cudaGraphExecDestroy");
}

CapturedGraph::CapturedGraph(const Stream& stream, const std::function<void()>& body) {
    // Thread-local: other threads may allocate while this one records.
    CUDA_CHECK(cudaStreamBeginCapture(stream.native(), cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
        body();
    } catch (...) {
        // Capturing must end for the stream to be of use again; what went wrong is already being thrown.
        cudaStreamEndCapture(stream.native(), &graph);
        if (graph != nullptr) {
            log_failure(cudaGraphDestroy(graph), "cudaGraphDestroy");
        }
        throw;
    }
    CUDA_CHECK(cudaStreamEndCapture(stream.native(), &graph));
    cudaGraphExec_t executable = nullptr;
    const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
    log_failure(cudaGraphDestroy(graph), "cudaGraphDestroy");
    CUDA_CHECK(status);
    handle_ = Handle<CUgraphExec_st, destroy_graph>(executable);
}

void CapturedGraph::launch(const Stream& stream) const {
    CUDA_CHECK(cudaGraphLaunch(handle_.get(), stream.native()));
}

ProfileRange::ProfileRange(const char* name) {
    nvtxRangePushA(name);
}
ProfileRange::~ProfileRange() {
    nvtxRangePop();
}

void* allocate_device(int64_t bytes) {
    void* memory = nullptr;
    CUDA_CHECK(cudaMalloc(&memory, static_cast<size_t>(bytes)));
    return memory;
}

void free_device(void* memory) noexcept {
    log_failure(cudaFree(memory), "cudaFree");
}

void* allocate_pinned(int64_t bytes) {
    void* memory = nullptr;
    const cudaError_t status = cudaMallocHost(&memory, static_cast<size_t>(bytes));
    if (status == cudaErrorMemoryAllocation) {
        throw OutOfPinnedMemory("this machine has not " + std::to_string(bytes >> 10) +
                                " KiB of memory left that the GPU can copy from: free some, give a smaller --batch, "
                                "or --device cpu");
    }
    CUDA_CHECK(status);
    return memory;
}

void free_pinned(void* memory) noexcept {
    log_failure(cudaFreeHost(memory), "cudaFreeHost");
}

void copy_to_device(const Stream& stream, void* to, const void* from, int64_t bytes) {
    CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream.native()));
}

void copy_to_host(const Stream& stream, void* to, const void* from, int64_t bytes) {
    CUDA_CHECK(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream.native()));
}

void clear_device(const Stream& stream, void* memory, int64_t bytes) {
    CUDA_CHECK(cudaMemsetAsync(memory, 0, static_cast<size_t>(bytes), stream.native()));
}

}  // namespace boneage

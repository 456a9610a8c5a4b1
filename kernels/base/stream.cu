#include "kernels/base/launch.cuh"
#include "kernels/base/stream.h"

#include <atomic>
#include <cstdio>
#include <nvtx3/nvToolsExt.h>

namespace boneage {
namespace {

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
    int memory_clock_khz = 0;
    int bus_bits = 0;
    CUDA_CHECK(cudaDeviceGetAttribute(&memory_clock_khz, cudaDevAttrMemoryClockRate, ordinal));
    CUDA_CHECK(cudaDeviceGetAttribute(&bus_bits, cudaDevAttrGlobalMemoryBusWidth, ordinal));
    DeviceProperties device;
    device.ordinal = ordinal;
    device.name = raw.name;
    device.compute_capability = 10 * raw.major + raw.minor;
    device.multiprocessors = raw.multiProcessorCount;
    device.memory_bytes = static_cast<int64_t>(raw.totalGlobalMem);
    device.l2_bytes = raw.l2CacheSize;
    device.shared_bytes_per_block = static_cast<int64_t>(raw.sharedMemPerBlockOptin);
    // Double data rate: two transfers a clock.
    device.memory_bytes_per_second = 2.0 * memory_clock_khz * 1e3 * bus_bits / 8;
    CUDA_CHECK(cudaDriverGetVersion(&device.driver_version));
    return device;
}

}  // namespace

std::vector<DeviceProperties> cuda_devices() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaErrorNoDevice) {
        return {};
    }
    if (status == cudaErrorInsufficientDriver) {
        int driver = 0;
        int runtime = 0;
        CUDA_CHECK(cudaDriverGetVersion(&driver));
        CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
        if (driver == 0) {
            return {};  // no driver at all: a machine without a GPU
        }
        throw DeviceError("the NVIDIA driver here supports CUDA " + std::to_string(driver / 1000) + "." +
                          std::to_string(driver % 1000 / 10) + ", this program needs " +
                          std::to_string(runtime / 1000) + "." + std::to_string(runtime % 1000 / 10) +
                          ": update the driver or use --device cpu");
    }
    CUDA_CHECK(status);
    std::vector<DeviceProperties> devices;
    for (int ordinal = 0; ordinal < count; ++ordinal) {
        devices.push_back(read_properties(ordinal));
    }
    return devices;
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

Stream::Stream(int ordinal) {
    const std::vector<DeviceProperties> devices = cuda_devices();
    if (ordinal < 0 || ordinal >= static_cast<int>(devices.size())) {
        throw DeviceError("there is no CUDA device " + std::to_string(ordinal) + "; this machine has " +
                          std::to_string(devices.size()));
    }
    device_ = devices[static_cast<size_t>(ordinal)];
    use_device(ordinal);
    cudaStream_t stream = nullptr;
    CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    handle_ = Handle<CUstream_st, destroy_stream>(stream);
}

void Stream::synchronize() const {
    CUDA_CHECK(cudaStreamSynchronize(native()));
}

Event::Event() {
    cudaEvent_t event = nullptr;
    CUDA_CHECK(cudaEventCreate(&event));
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

double Event::milliseconds_since(const Event& start) const {
    float elapsed = 0;
    CUDA_CHECK(cudaEventElapsedTime(&elapsed, start.handle_.get(), handle_.get()));
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
    CUDA_CHECK(cudaMallocHost(&memory, static_cast<size_t>(bytes)));
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

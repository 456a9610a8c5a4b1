#include "bench/gpu/device_scene.h"

#include <cuda_runtime.h>

namespace boneage::bench {
namespace {

constexpr int64_t kCopyBytes = int64_t{512} << 20;
constexpr int kCopies = 20;

// Why there is no device to run on; empty when there is one.
std::string missing_device() {
    try {
        return cuda_device_count() == 0 ? "this machine has no CUDA device" : "";
    } catch (const DeviceError& error) {
        return error.what();
    }
}

}  // namespace

TimedDevice::TimedDevice() : flush_(4 * stream_.device().l2_bytes) {}

double TimedDevice::milliseconds(const CapturedGraph& graph) {
    // The flush keeps the device busy while the host queues the rest, so that no launch is waited for.
    clear_device(stream_, flush_.data(), flush_.size());
    begin_.record(stream_);
    graph.launch(stream_);
    end_.record(stream_);
    end_.synchronize();
    return end_.milliseconds_since(begin_);
}

double TimedDevice::copy_bytes_per_second() {
    if (!copy_bytes_per_second_) {
        const Buffer<std::byte, Device> from(kCopyBytes);
        const Buffer<std::byte, Device> to(kCopyBytes);
        clear_device(stream_, from.data(), kCopyBytes);
        const CapturedGraph graph(stream_, [&] {
            const cudaError_t status =
                cudaMemcpyAsync(to.data(), from.data(), kCopyBytes, cudaMemcpyDeviceToDevice, stream_.native());
            if (status != cudaSuccess) {
                throw DeviceError(std::string("copying within device memory: ") + cudaGetErrorString(status));
            }
        });
        std::vector<double> times;
        for (int i = 0; i < kCopies; ++i) {
            times.push_back(milliseconds(graph));
        }
        copy_bytes_per_second_ = 2 * static_cast<double>(kCopyBytes) / (quantile(times, 0.5) / 1000);
    }
    return *copy_bytes_per_second_;
}

TimedDevice* timed_device(benchmark::State& state) {
    if (const std::string why = missing_device(); !why.empty()) {
        state.SkipWithError(why.c_str());
        return nullptr;
    }
    static TimedDevice device;
    return &device;
}

double time_graph(benchmark::State& state, TimedDevice& device, const CapturedGraph& graph) {
    std::vector<double> times;
    for (auto _ : state) {
        times.push_back(device.milliseconds(graph));
        state.SetIterationTime(times.back() / 1000);
    }
    state.counters["median_us"] = 1000 * quantile(times, 0.5);
    state.counters["p10_us"] = 1000 * quantile(times, 0.1);
    state.counters["p90_us"] = 1000 * quantile(times, 0.9);
    return quantile(times, 0.5);
}

void on_device(const std::string& name, const std::function<DeviceWork(Stream&)>& make) {
    benchmark::RegisterBenchmark(name.c_str(),
                                 [make](benchmark::State& state) {
                                     TimedDevice* const device = timed_device(state);
                                     if (device == nullptr) {
                                         return;
                                     }
                                     const DeviceWork work = make(device->stream());
                                     work.queue();  // loads the kernels, which recording would not
                                     const CapturedGraph graph(device->stream(), work.queue);
                                     const double bytes_per_second =
                                         static_cast<double>(work.bytes) / (time_graph(state, *device, graph) / 1000);
                                     state.counters["GB_per_s"] = bytes_per_second / 1e9;
                                     state.counters["copy_GB_per_s"] = device->copy_bytes_per_second() / 1e9;
                                     state.counters["share_of_copy"] =
                                         bytes_per_second / device->copy_bytes_per_second();
                                 })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
}

}  // namespace boneage::bench

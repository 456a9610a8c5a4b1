// How kernels are timed on a GPU: a batch of 16 full-size radiographs, work recorded as a graph and timed between two
// events with a cold L2, and what it moves as a share of what copying device memory reaches on the same device.
#pragma once

#include "bench/kernels/radiograph.h"
#include "kernels/base/error.h"
#include "kernels/base/stream.h"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace boneage::bench {

inline constexpr int64_t kImages = 16;

// The stream of all benchmarks, and what they are compared with.
class TimedDevice {
public:
    TimedDevice();
    Stream& stream() { return stream_; }
    // Milliseconds that the graph takes when nothing of its data is in L2.
    double milliseconds(const CapturedGraph& graph);
    // Bytes read and written a second by a copy within device memory, measured when first asked for.
    double copy_bytes_per_second();

private:
    Stream stream_;
    Buffer<std::byte, Device> flush_;  // several times as large as L2
    TimedEvent begin_, end_;
    std::optional<double> copy_bytes_per_second_;
};

// The device of all benchmarks, made when first asked for. Null where there is none; the benchmark then ends in an
// error that says why.
TimedDevice* timed_device(benchmark::State& state);

// Runs the graph until the benchmark has enough, and reports the median, 10th and 90th percentile; returns the median
// in milliseconds.
double time_graph(benchmark::State& state, TimedDevice& device, const CapturedGraph& graph);

// Work to be timed: what it reads and writes at least, and a call that queues it. The call owns its memory.
struct DeviceWork {
    int64_t bytes;
    std::function<void()> queue;
};

// Registers a benchmark of what make(stream) returns; nothing touches the device before the benchmark runs. Without a
// device it is reported as an error that says why.
void on_device(const std::string& name, const std::function<DeviceWork(Stream&)>& make);

// kImages images of one size with rows aligned as the engine's are, and the array that describes them.
template <class T>
class DeviceImages {
public:
    DeviceImages(Stream& stream, int64_t height, int64_t width, int64_t count = kImages)
        : height_(height), width_(width) {
        const int64_t stride = round_up(width, kScratchAlignment / static_cast<int64_t>(sizeof(T)));
        pixels_ = Buffer<T, Device>(count * height * stride);
        clear_device(stream, pixels_.data(), pixels_.size() * static_cast<int64_t>(sizeof(T)));
        for (int64_t i = 0; i < count; ++i) {
            images_.emplace_back(pixels_.data() + i * height * stride, height, width, stride);
        }
        const std::vector<Image<const T, Device>> const_images(images_.begin(), images_.end());
        table_ = Buffer<Image<T, Device>, Device>(count);
        const_table_ = Buffer<Image<const T, Device>, Device>(count);
        copy_to_device(stream, table_.data(), images_.data(), bytes_of(table_));
        copy_to_device(stream, const_table_.data(), const_images.data(), bytes_of(const_table_));
        stream.synchronize();
    }
    // The same picture in every image.
    DeviceImages(Stream& stream, const cv::Mat& picture) : DeviceImages(stream, picture.rows, picture.cols) {
        for (const Image<T, Device>& image : images_) {
            for (int y = 0; y < picture.rows; ++y) {
                copy_to_device(stream, image.row(y), picture.ptr<T>(y), width_ * static_cast<int64_t>(sizeof(T)));
            }
        }
        stream.synchronize();
    }

    [[nodiscard]] Batch<T, Device> view() const { return {table_.data(), table_.size(), height_, width_}; }
    [[nodiscard]] Batch<const T, Device> const_view() const {
        return {const_table_.data(), const_table_.size(), height_, width_};
    }
    // Of all pixels.
    [[nodiscard]] int64_t bytes() const { return table_.size() * height_ * width_ * static_cast<int64_t>(sizeof(T)); }

private:
    template <class E>
    static int64_t bytes_of(const Buffer<E, Device>& buffer) {
        return buffer.size() * static_cast<int64_t>(sizeof(E));
    }

    int64_t height_, width_;
    Buffer<T, Device> pixels_;
    std::vector<Image<T, Device>> images_;
    Buffer<Image<T, Device>, Device> table_;
    Buffer<Image<const T, Device>, Device> const_table_;
};

template <class T, class... Args>
std::shared_ptr<DeviceImages<T>> device_images(Stream& stream, Args&&... args) {
    return std::make_shared<DeviceImages<T>>(stream, std::forward<Args>(args)...);
}

// Device memory that a work's call owns: uninitialised, or a copy of `values`.
template <class T>
std::shared_ptr<Buffer<T, Device>> device_memory(int64_t size) {
    return std::make_shared<Buffer<T, Device>>(size);
}
template <class T>
std::shared_ptr<Buffer<T, Device>> device_memory(Stream& stream, const std::vector<T>& values) {
    auto memory = device_memory<T>(static_cast<int64_t>(values.size()));
    copy_to_device(stream, memory->data(), values.data(), memory->size() * static_cast<int64_t>(sizeof(T)));
    stream.synchronize();
    return memory;
}
inline Bytes<Device> bytes_of(const Buffer<std::byte, Device>& memory) {
    return {memory.data(), memory.size()};
}

}  // namespace boneage::bench

// Batches of images on a device whose sizes change from run to run while launches stay as they were recorded: kernels
// find sizes and addresses in tables that lie in device memory and are rewritten by one copy before each run.
#pragma once

#include "kernels/base/stream.h"
#include "kernels/base/view.h"

namespace boneage::pipeline {

// The layout of all tables of a pipeline: they lie in one piece of memory, once on the device and once, pinned, with
// every batch under way.
class TableLayout {
public:
    // Returns where a table of `bytes` bytes begins.
    int64_t reserve(int64_t bytes) {
        const int64_t offset = size_;
        size_ += round_up(bytes, kScratchAlignment);
        return offset;
    }
    [[nodiscard]] int64_t size() const { return size_; }

private:
    int64_t size_ = 0;
};

// A typed array in the tables.
template <class T>
class Table {
public:
    Table(TableLayout& layout, int64_t count)
        : offset_(layout.reserve(count * static_cast<int64_t>(sizeof(T)))), count_(count) {}

    // The array in one of the copies of the tables.
    [[nodiscard]] T* in(std::byte* tables) const { return reinterpret_cast<T*>(tables + offset_); }
    [[nodiscard]] int64_t count() const { return count_; }

private:
    int64_t offset_;
    int64_t count_;
};

// The descriptors of a batch of images, for kernels that write them and for those that only read.
template <class T>
class ImageTable {
public:
    ImageTable(TableLayout& layout, int64_t count) : images_(layout, count), const_images_(layout, count) {}

    void describe(std::byte* host_tables, int64_t i, const Image<T, Device>& image) const {
        images_.in(host_tables)[i] = image;
        const_images_.in(host_tables)[i] = image;
    }
    [[nodiscard]] Image<T, Device> described(std::byte* host_tables, int64_t i) const {
        return images_.in(host_tables)[i];
    }

    // Bounds for the sizes that launches are made for.
    [[nodiscard]] Batch<T, Device> batch(std::byte* device_tables, int64_t max_height, int64_t max_width) const {
        return {images_.in(device_tables), images_.count(), max_height, max_width};
    }
    [[nodiscard]] Batch<const T, Device> const_batch(std::byte* device_tables, int64_t max_height,
                                                     int64_t max_width) const {
        return {const_images_.in(device_tables), const_images_.count(), max_height, max_width};
    }

private:
    Table<Image<T, Device>> images_;
    Table<Image<const T, Device>> const_images_;
};

// `count` images of up to height x width with memory of their own, rows aligned for 16-byte accesses.
template <class T>
class DeviceImages {
public:
    DeviceImages(TableLayout& layout, int64_t count, int64_t height, int64_t width)
        : table_(layout, count),
          height_(height),
          width_(width),
          stride_(round_up(width * static_cast<int64_t>(sizeof(T)), kScratchAlignment) /
                  static_cast<int64_t>(sizeof(T))),
          memory_(count * height * stride_) {}

    // Image i is height x width from the next run on; 0x0: there is none.
    void describe(std::byte* host_tables, int64_t i, int64_t height, int64_t width) const {
        table_.describe(host_tables, i, {memory_.data() + i * height_ * stride_, height, width, stride_});
    }
    [[nodiscard]] const ImageTable<T>& table() const { return table_; }
    [[nodiscard]] const Buffer<T, Device>& memory() const { return memory_; }
    [[nodiscard]] Batch<T, Device> batch(std::byte* device_tables) const {
        return table_.batch(device_tables, height_, width_);
    }
    [[nodiscard]] Batch<const T, Device> const_batch(std::byte* device_tables) const {
        return table_.const_batch(device_tables, height_, width_);
    }

private:
    ImageTable<T> table_;
    int64_t height_;
    int64_t width_;
    int64_t stride_;
    Buffer<T, Device> memory_;
};

}  // namespace boneage::pipeline

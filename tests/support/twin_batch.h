// A batch of images in host and in device memory, for tests that hold a device twin against the CPU twin.
#pragma once

#include "tests/support/device_images.h"

#include <string>
#include <vector>

namespace boneage::testing {

using Sizes = std::vector<std::pair<int64_t, int64_t>>;  // [h, w]

// awkward_sizes() with an image of no pixels among them, which a device kernel must leave alone.
inline Sizes sizes_with_an_empty_one() {
    Sizes sizes = awkward_sizes();
    sizes.insert(sizes.begin() + 3, {0, 0});
    return sizes;
}

template <class T>
class TwinBatch {
public:
    TwinBatch(Stream& stream, const Sizes& sizes, const RowLayout& layout)
        : device_(stream, sizes, layout.row_bytes, layout.offset_elements) {
        for (const auto& [height, width] : sizes) {
            images_.emplace_back(height, width);
            max_height_ = std::max(max_height_, height);
            max_width_ = std::max(max_width_, width);
        }
        describe();
    }

    // make(height, width, index) gives the pixels of both sides.
    template <class Make>
    TwinBatch& fill(const Make& make) {
        for (size_t i = 0; i < images_.size(); ++i) {
            const Image<T, Host> old = images_[i].view();
            images_[i] = make(old.height, old.width, i);
            device_.upload(i, images_[i].view());
        }
        describe();
        return *this;
    }
    TwinBatch& fill_random(uint64_t seed) {
        return fill([&](int64_t h, int64_t w, size_t i) { return random_image<T>(h, w, seed + i); });
    }

    [[nodiscard]] int64_t count() const { return static_cast<int64_t>(images_.size()); }
    [[nodiscard]] Batch<T, Host> host() const { return {views_.data(), count(), max_height_, max_width_}; }
    [[nodiscard]] Batch<const T, Host> const_host() const {
        return {const_views_.data(), count(), max_height_, max_width_};
    }
    [[nodiscard]] Batch<T, Device> device() const { return device_.view(); }
    [[nodiscard]] Batch<const T, Device> const_device() const { return device_.const_view(); }

    [[nodiscard]] PaddedImage<T> download(size_t index) const { return device_.download(index); }

    // Fails where the two sides differ, or where the device wrote outside the images.
    void expect_twins_equal(const std::string& what) {
        for (size_t i = 0; i < images_.size(); ++i) {
            if (!images_[i].view().empty()) {
                expect_equal<T>(device_.download(i).view(), images_[i].mat(), what + ", image " + std::to_string(i));
            }
        }
        device_.check_guards();
    }

private:
    void describe() {
        views_.clear();
        const_views_.clear();
        for (PaddedImage<T>& image : images_) {
            views_.push_back(image.view());
            const_views_.push_back(image.view());
        }
    }

    DeviceBatch<T> device_;
    std::vector<PaddedImage<T>> images_;
    std::vector<Image<T, Host>> views_;
    std::vector<Image<const T, Host>> const_views_;
    int64_t max_height_ = 0;
    int64_t max_width_ = 0;
};

// An array in device memory.
template <class T>
Buffer<T, Device> to_device(const Stream& stream, const std::vector<T>& values) {
    Buffer<T, Device> memory(static_cast<int64_t>(values.size()));
    copy_to_device(stream, memory.data(), values.data(), memory.size() * static_cast<int64_t>(sizeof(T)));
    stream.synchronize();
    return memory;
}

template <class T>
std::vector<T> to_host(const Stream& stream, const Buffer<T, Device>& memory) {
    std::vector<T> values(static_cast<size_t>(memory.size()));
    copy_to_host(stream, values.data(), memory.data(), memory.size() * static_cast<int64_t>(sizeof(T)));
    stream.synchronize();
    return values;
}

}  // namespace boneage::testing

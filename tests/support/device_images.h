// Batches of images on a device, for tests: the same code runs on a GPU and on the CPU runner in tests/support/simt.
#pragma once

#include "kernels/base/stream.h"
#include "tests/support/images.h"

#include <vector>

namespace boneage::testing {

// Owns copies in device memory of images of different sizes, and the device array that describes them.
// `row_bytes` is what a row's length is rounded up to: 256 for what the engine allocates, 1 for rows that no vector
// access may assume to be aligned. Every row's padding and the ends of the allocation hold a pattern that
// check_guards() expects to find untouched.
template <class T>
class DeviceBatch {
public:
    DeviceBatch(Stream& stream, const std::vector<std::pair<int64_t, int64_t>>& sizes, int64_t row_bytes = 256,
                int64_t offset_elements = 0)
        : stream_(stream) {
        int64_t total = offset_elements;
        std::vector<int64_t> begins;
        for (const auto& [height, width] : sizes) {
            const int64_t stride = round_up(width * static_cast<int64_t>(sizeof(T)) + (row_bytes == 1 ? 3 : 0),
                                            std::max<int64_t>(row_bytes, sizeof(T))) /
                                   static_cast<int64_t>(sizeof(T));
            begins.push_back(total);
            shapes_.emplace_back(nullptr, height, width, stride);
            total += round_up(height * stride, row_bytes == 1 ? 1 : 256 / static_cast<int64_t>(sizeof(T)));
        }
        pixels_ = Buffer<T, Device>(total + 64);
        host_.assign(static_cast<size_t>(total + 64), kPoison);
        copy_to_device(stream_, pixels_.data(), host_.data(), bytes());
        for (size_t i = 0; i < shapes_.size(); ++i) {
            shapes_[i].data = pixels_.data() + begins[i];
            max_height_ = std::max(max_height_, shapes_[i].height);
            max_width_ = std::max(max_width_, shapes_[i].width);
        }
        table_ = Buffer<Image<T, Device>, Device>(static_cast<int64_t>(shapes_.size()));
        const_table_ = Buffer<Image<const T, Device>, Device>(static_cast<int64_t>(shapes_.size()));
        const std::vector<Image<const T, Device>> const_shapes(shapes_.begin(), shapes_.end());
        copy_to_device(stream_, table_.data(), shapes_.data(),
                       table_.size() * static_cast<int64_t>(sizeof(shapes_[0])));
        copy_to_device(stream_, const_table_.data(), const_shapes.data(),
                       table_.size() * static_cast<int64_t>(sizeof(shapes_[0])));
        stream_.synchronize();
    }

    [[nodiscard]] Batch<T, Device> view() const {
        return {table_.data(), static_cast<int64_t>(shapes_.size()), max_height_, max_width_};
    }
    [[nodiscard]] Batch<const T, Device> const_view() const {
        return {const_table_.data(), static_cast<int64_t>(shapes_.size()), max_height_, max_width_};
    }

    void upload(size_t index, Image<const T, Host> image) {
        for (int64_t y = 0; y < image.height; ++y) {
            copy_to_device(stream_, shapes_[index].row(y), image.row(y), image.width * static_cast<int64_t>(sizeof(T)));
        }
        stream_.synchronize();
    }

    PaddedImage<T> download(size_t index) const {
        const Image<T, Device>& from = shapes_[index];
        PaddedImage<T> image(from.height, from.width);
        for (int64_t y = 0; y < from.height; ++y) {
            copy_to_host(stream_, image.view().row(y), from.row(y), from.width * static_cast<int64_t>(sizeof(T)));
        }
        stream_.synchronize();
        return image;
    }

    // Fails when anything outside the images was written.
    void check_guards() {
        copy_to_host(stream_, host_.data(), pixels_.data(), bytes());
        stream_.synchronize();
        for (const Image<T, Device>& shape : shapes_) {
            for (int64_t y = 0; y < shape.height; ++y) {
                const auto begin = host_.begin() + (shape.row(y) - pixels_.data());
                std::fill(begin, begin + shape.width, kPoison);
            }
        }
        for (size_t i = 0; i < host_.size(); ++i) {
            ASSERT_EQ(host_[i], kPoison) << "memory outside the images was written, element " << i;
        }
    }

private:
    static constexpr T kPoison = static_cast<T>(0xA5);
    [[nodiscard]] int64_t bytes() const { return pixels_.size() * static_cast<int64_t>(sizeof(T)); }

    Stream& stream_;
    std::vector<Image<T, Device>> shapes_;
    std::vector<T> host_;
    Buffer<T, Device> pixels_;
    Buffer<Image<T, Device>, Device> table_;
    Buffer<Image<const T, Device>, Device> const_table_;
    int64_t max_height_ = 0;
    int64_t max_width_ = 0;
};

// How device tests lay out their rows: as the engine does, and as nothing that is aligned.
struct RowLayout {
    int64_t row_bytes;
    int64_t offset_elements;
};
inline constexpr RowLayout kRowLayouts[] = {{256, 0}, {1, 1}};

}  // namespace boneage::testing

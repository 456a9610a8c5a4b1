// Tensors in device memory, for tests: the same code runs on a GPU and on the CPU runner in tests/support/simt.
#pragma once

#include "kernels/base/stream.h"
#include "tests/support/tensors.h"

#include <cstring>
#include <ostream>
#include <vector>

namespace boneage::testing {

// Where a device tensor's elements lie: `gap` elements between a pixel's last channel and the next pixel's first, and
// `offset` elements before the first of all.
struct PixelLayout {
    int64_t gap = 0;
    int64_t offset = 0;
};
inline std::ostream& operator<<(std::ostream& out, const PixelLayout& layout) {
    return out << "gap " << layout.gap << ", offset " << layout.offset;
}

// Dense and aligned; a slice that is still aligned to 16 bytes; nothing aligned at all.
inline constexpr PixelLayout kPixelLayouts[] = {{0, 0}, {16, 8}, {3, 1}};

// A tensor in device memory between guards. Every element starts as a pattern of bytes, and downloading fails when one
// that belongs to no pixel has changed.
template <class T>
class DeviceTensor {
public:
    DeviceTensor(Stream& stream, std::array<int64_t, 4> shape, PixelLayout layout = {})
        : stream_(stream), layout_(layout), shape_(shape) {
        const int64_t elements = layout.offset + pixels() * step() + kGuard;
        memory_ = Buffer<T, Device>(elements);
        staging_.resize(static_cast<size_t>(elements));
        std::memset(staging_.data(), kPoison, bytes());
        copy_to_device(stream_, memory_.data(), staging_.data(), static_cast<int64_t>(bytes()));
        stream_.synchronize();
    }
    DeviceTensor(Stream& stream, const OwnedTensor<T>& values, PixelLayout layout = {})
        : DeviceTensor(stream, values.shape(), layout) {
        for (int64_t p = 0; p < pixels(); ++p) {
            std::memcpy(staged(p), &values[p * shape_[3]], static_cast<size_t>(shape_[3]) * sizeof(T));
        }
        copy_to_device(stream_, memory_.data(), staging_.data(), static_cast<int64_t>(bytes()));
        stream_.synchronize();
    }

    [[nodiscard]] Activations<T, Device> view() const {
        return {memory_.data() + layout_.offset, shape_[0], shape_[1], shape_[2], shape_[3], step()};
    }
    [[nodiscard]] Activations<const T, Device> const_view() const { return view(); }
    // Of a layout without gaps.
    [[nodiscard]] Tensor<T, Device> tensor() const {
        return {memory_.data() + layout_.offset, shape_[0], shape_[1], shape_[2], shape_[3]};
    }
    [[nodiscard]] Tensor<const T, Device> const_tensor() const { return tensor(); }

    [[nodiscard]] OwnedTensor<T> download() {
        copy_to_host(stream_, staging_.data(), memory_.data(), static_cast<int64_t>(bytes()));
        stream_.synchronize();
        OwnedTensor<T> values(shape_);
        for (int64_t p = 0; p < pixels(); ++p) {
            std::memcpy(&values[p * shape_[3]], staged(p), static_cast<size_t>(shape_[3]) * sizeof(T));
            std::memset(staged(p), kPoison, static_cast<size_t>(shape_[3]) * sizeof(T));
        }
        const auto* byte = reinterpret_cast<const unsigned char*>(staging_.data());
        const auto touched = std::find_if(byte, byte + bytes(), [](unsigned char b) { return b != kPoison; });
        EXPECT_EQ(touched - byte, static_cast<int64_t>(bytes())) << "a byte outside the tensor was written";
        return values;
    }

private:
    static constexpr unsigned char kPoison = 0xA5;
    static constexpr int64_t kGuard = 64;

    [[nodiscard]] int64_t pixels() const { return shape_[0] * shape_[1] * shape_[2]; }
    [[nodiscard]] int64_t step() const { return shape_[3] + layout_.gap; }
    [[nodiscard]] size_t bytes() const { return staging_.size() * sizeof(T); }
    T* staged(int64_t pixel) { return staging_.data() + layout_.offset + pixel * step(); }

    Stream& stream_;
    PixelLayout layout_;
    std::array<int64_t, 4> shape_;
    std::vector<T> staging_;
    Buffer<T, Device> memory_;
};

}  // namespace boneage::testing

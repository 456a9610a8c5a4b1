// Radiographs on their way through a device: their pixels in pinned memory and on the device, and their answers.
#pragma once

#include "kernels/base/stream.h"
#include "kernels/base/view.h"
#include "kernels/image/resize.h"

#include <optional>
#include <variant>
#include <vector>

namespace boneage::pipeline {

// The type of the pixels of a batch.
enum class PixelType : uint8_t { u8, u16 };
template <class P>
inline constexpr PixelType kPixelType = sizeof(P) == 1 ? PixelType::u8 : PixelType::u16;

// Device memory that the pixels of so many radiographs of a usual size take.
int64_t usual_bytes(int64_t capacity);

// Up to `capacity` images of one pixel type. Serves one thread at a time, but images that were reserved may be filled
// by several threads at once.
class ImageBatch {
public:
    // On device `ordinal`.
    ImageBatch(int ordinal, int64_t capacity, int64_t table_bytes, int64_t answer_bytes);

    // Pinned memory for one more image, rows aligned, to be filled with its pixels before the batch is started.
    // Nothing when the batch is full, has images of the other type, or has no room left; an empty batch makes room for
    // any image. `true_size`, where given, is the size before somebody squashed the radiograph to this one. Throws
    // OutOfMemory when there is none to be had.
    template <class P>
    std::optional<Image<P, Host>> reserve(int64_t height, int64_t width,
                                          const std::optional<ImageSize>& true_size = std::nullopt);

    [[nodiscard]] int64_t count() const { return static_cast<int64_t>(slots_.size()); }
    [[nodiscard]] int64_t capacity() const { return capacity_; }
    [[nodiscard]] bool full() const { return count() == capacity_; }
    [[nodiscard]] PixelType type() const { return type_; }
    // Forgets all images; their memory is kept for the next ones.
    void clear() { slots_.clear(); }

private:
    friend class DevicePipeline;
    template <class P>
    friend class DeviceLane;

    struct Slot {
        int64_t offset = 0;  // of the first pixel, in bytes
        int64_t height = 0;
        int64_t width = 0;
        int64_t stride = 0;  // in pixels
        ImageSize shape;     // whose aspect the canvas gets
    };
    [[nodiscard]] int64_t used_bytes() const;
    void grow(int64_t bytes);

    int ordinal_;
    int64_t capacity_;
    PixelType type_ = PixelType::u8;
    std::vector<Slot> slots_;
    PinnedBuffer<std::byte> pixels_;
    Buffer<std::byte, Device> device_pixels_;
    PinnedBuffer<std::byte> tables_;
    PinnedBuffer<std::byte> answers_;
    Event copied_;  // the pixels are on the device
    Event done_;    // the answers are here
};

}  // namespace boneage::pipeline

#include "engine/pipeline/image_batch.h"

#include "kernels/base/error.h"

#include <algorithm>

namespace boneage::pipeline {
namespace {

// Room is made for a whole batch of the first image's size, up to this.
constexpr int64_t kMostRoom = int64_t{256} << 20;
constexpr int64_t kUsualImage = int64_t{4} << 20;  // 8-bit and 2,000 pixels a side, or thereabouts

}  // namespace

int64_t usual_bytes(int64_t capacity) {
    return std::min(capacity * kUsualImage, kMostRoom);
}

ImageBatch::ImageBatch(int ordinal, int64_t capacity, int64_t table_bytes, int64_t answer_bytes)
    : ordinal_(ordinal), capacity_(capacity), tables_(table_bytes), answers_(answer_bytes) {
    slots_.reserve(static_cast<size_t>(capacity));
}

int64_t ImageBatch::used_bytes() const {
    if (slots_.empty()) {
        return 0;
    }
    const Slot& last = slots_.back();
    return last.offset + last.height * last.stride * (type_ == PixelType::u8 ? 1 : 2);
}

void ImageBatch::grow(int64_t bytes) {
    use_device(ordinal_);
    // What is there is given back first, so that the largest image needs room for itself alone.
    pixels_ = {};
    device_pixels_ = {};
    // The device's first: whether there is room is what pixels_ says.
    device_pixels_ = Buffer<std::byte, Device>(bytes);
    pixels_ = PinnedBuffer<std::byte>(bytes);
}

template <class P>
std::optional<Image<P, Host>> ImageBatch::reserve(int64_t height, int64_t width,
                                                  const std::optional<ImageSize>& true_size) {
    expects(height >= 1 && width >= 1, "an image has at least one pixel");
    if (full() || (count() > 0 && type_ != kPixelType<P>)) {
        return std::nullopt;
    }
    const int64_t row_bytes = round_up(width * static_cast<int64_t>(sizeof(P)), kScratchAlignment);
    const int64_t bytes = height * row_bytes;
    if (slots_.empty() && bytes > pixels_.size()) {
        const int64_t wanted = std::max(bytes, std::min(bytes * capacity_, kMostRoom));
        try {
            grow(wanted);
        } catch (const OutOfMemory&) {
            if (wanted == bytes) {
                throw;
            }
            grow(bytes);  // a batch of one
        }
    }
    const int64_t offset = used_bytes();
    if (offset + bytes > pixels_.size()) {
        return std::nullopt;
    }
    type_ = kPixelType<P>;
    const int64_t stride = row_bytes / static_cast<int64_t>(sizeof(P));
    slots_.push_back({offset, height, width, stride, true_size.value_or(ImageSize{height, width})});
    return Image<P, Host>(reinterpret_cast<P*>(pixels_.data() + offset), height, width, stride);
}

template std::optional<Image<uint8_t, Host>> ImageBatch::reserve(int64_t, int64_t, const std::optional<ImageSize>&);
template std::optional<Image<uint16_t, Host>> ImageBatch::reserve(int64_t, int64_t, const std::optional<ImageSize>&);

}  // namespace boneage::pipeline

// Uploads of a few bytes that wait for nothing: from memory that is not pinned, a device may copy only after its stream
// has come to a halt. Present in CUDA builds only.
#pragma once

#include "kernels/base/stream.h"

#include <algorithm>
#include <array>

namespace boneage::plan {

// The bytes are put into one of two halves of pinned memory and copied from there in the stream's order; while the
// device empties one half, the other is filled.
class StagedUploads {
public:
    // What is larger is not staged.
    static constexpr int64_t kMost = 64 << 10;

    // `stream` must outlive this.
    explicit StagedUploads(const Stream& stream) : stream_(stream) {}

    // `from` may be written to again once this returns. `bytes` is at most kMost.
    void copy(void* to, const void* from, int64_t bytes) {
        if (used_ + bytes > kMost) {
            halves_[half_].emptied.record(stream_);
            half_ = 1 - half_;
            used_ = 0;
            halves_[half_].emptied.synchronize();
        }
        Half& half = halves_[half_];
        if (half.memory.size() == 0) {
            half.memory = PinnedBuffer<std::byte>(kMost);
        }
        std::byte* staged = half.memory.data() + used_;
        std::copy_n(static_cast<const std::byte*>(from), bytes, staged);
        copy_to_device(stream_, to, staged, bytes);
        used_ += bytes;
    }

private:
    struct Half {
        PinnedBuffer<std::byte> memory;
        Event emptied;
    };

    const Stream& stream_;
    std::array<Half, 2> halves_;
    size_t half_ = 0;
    int64_t used_ = 0;
};

}  // namespace boneage::plan

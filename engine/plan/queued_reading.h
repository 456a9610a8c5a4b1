// Notes of a device's memory, queued on its stream. Present in CUDA builds only.
#pragma once

#include "engine/plan/training_backend.h"
#include "kernels/base/error.h"
#include "kernels/base/stream.h"

#include <array>
#include <cstring>

namespace boneage::plan {

class QueuedReading final : public Reading {
public:
    // `stream` must outlive this.
    QueuedReading(const Stream& stream, const std::byte* from, int64_t bytes) : stream_(stream), from_(from) {
        for (Note& note : notes_) {
            note.bytes = PinnedBuffer<std::byte>(bytes);
        }
    }

    void note() override {
        expects(noted_ - taken_ < kNotes, "a note must be taken before another one");
        Note& note = notes_[noted_++ % kNotes];
        copy_to_host(stream_, note.bytes.data(), from_, note.bytes.size());
        note.made.record(stream_);
    }
    void take(void* to) override {
        expects(taken_ < noted_, "there is no note to take");
        const Note& note = notes_[taken_++ % kNotes];
        note.made.synchronize();
        std::memcpy(to, note.bytes.data(), static_cast<size_t>(note.bytes.size()));
    }

private:
    struct Note {
        PinnedBuffer<std::byte> bytes;
        Event made;
    };

    const Stream& stream_;
    const std::byte* from_;
    std::array<Note, kNotes> notes_;
    size_t noted_ = 0;
    size_t taken_ = 0;
};

}  // namespace boneage::plan

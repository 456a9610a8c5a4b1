// Work on a GPU that is queued again and again, as a CUDA graph. Present in CUDA builds only.
#pragma once

#include "engine/plan/backend.h"
#include "kernels/base/stream.h"

namespace boneage::plan {

// Calls `body` the first time, because libraries load their kernels when they first need them; records it the second
// time, and from then on only launches the recording. `body` must queue the same work at every call, on `stream`, and
// neither wait nor allocate.
class Recorded final : public Runnable {
public:
    Recorded(const Stream& stream, std::function<void()> body) : stream_(stream), body_(std::move(body)) {}

    void run(std::byte* /*scratch*/) override {
        if (!has_run_) {
            body_();
            has_run_ = true;
            return;
        }
        if (graph_.empty()) {
            graph_ = CapturedGraph(stream_, body_);
        }
        graph_.launch(stream_);
    }

private:
    const Stream& stream_;
    std::function<void()> body_;
    CapturedGraph graph_;
    bool has_run_ = false;
};

}  // namespace boneage::plan

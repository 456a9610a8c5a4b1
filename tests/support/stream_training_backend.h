// Training on the CUDA-on-CPU runner: the project's kernels as a GPU would run them, and a CPU back end's convolutions
// in the stream's order. A whole step is recorded into a graph as on a GPU.
#pragma once

#include "engine/plan/kernel_steps.h"
#include "engine/plan/queued_reading.h"
#include "engine/plan/recorded.h"
#include "tests/support/stream_backend.h"

namespace boneage::testing {

class StreamTrainingBackend : public plan::OnStream<plan::TrainingBackend> {
public:
    // `inner` makes the convolutions.
    StreamTrainingBackend(plan::TrainingBackend& inner, Stream& stream) : OnStream(stream), inner_(inner) {}

    [[nodiscard]] plan::TrainingTraits traits() const override { return inner_.traits(); }

    using Made = std::unique_ptr<plan::Runnable>;
    [[nodiscard]] Made make(const plan::TrainingStep& step, const plan::TrainingMemory& memory) override {
        return std::visit(
            [&](const auto& any) -> Made {
                const plan::KernelSteps<Stream, Device> kernels(stream_, memory);
                if constexpr (requires { kernels(any); }) {
                    return kernels(any);
                } else {
                    return std::make_unique<Queued>(inner_.make(step, memory), stream_);
                }
            },
            step);
    }
    [[nodiscard]] Made make(const plan::AdamBuffers& at) override {
        return plan::make_kernel_step<Device>(stream_, at);
    }
    [[nodiscard]] Made make(const plan::ClipBuffers& at) override {
        return plan::make_kernel_step<Device>(stream_, at);
    }
    [[nodiscard]] Made make(const plan::AverageBuffers& at) override {
        return plan::make_kernel_step<Device>(stream_, at);
    }
    [[nodiscard]] Made repeated(std::function<void()> body) override {
        return std::make_unique<plan::Recorded>(stream_, std::move(body));
    }
    [[nodiscard]] std::unique_ptr<plan::Reading> reading(const std::byte* from, int64_t bytes) override {
        return std::make_unique<plan::QueuedReading>(stream_, from, bytes);
    }

private:
    plan::TrainingBackend& inner_;
};

}  // namespace boneage::testing

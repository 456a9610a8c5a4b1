#include "engine/cudnn/training_backend.h"

#include "engine/cudnn/training_conv.h"
#include "engine/plan/kernel_steps.h"
#include "engine/plan/on_stream.h"
#include "engine/plan/queued_reading.h"
#include "engine/plan/recorded.h"

namespace boneage::cudnn {
namespace {

class GpuTrainingBackend final : public plan::OnStream<plan::TrainingBackend> {
public:
    GpuTrainingBackend(Stream& stream, const TrainingBackendOptions& options)
        : OnStream(stream), plans_(stream, {options.autotune, {}, options.preparing}) {}

    [[nodiscard]] plan::TrainingTraits traits() const override { return kTrainingTraits; }

    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::TrainingStep& step,
                                                       const plan::TrainingMemory& memory) override {
        const ConvSteps convolutions(stream_, plans_, memory);
        return std::visit(
            [&](const auto& any) -> std::unique_ptr<plan::Runnable> {
                if constexpr (requires { convolutions(any); }) {
                    return convolutions(any);
                } else {
                    return plan::KernelSteps<Stream, Device>(stream_, memory)(any);
                }
            },
            step);
    }
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::AdamBuffers& at) override {
        return plan::make_kernel_step<Device>(stream_, at);
    }
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::ClipBuffers& at) override {
        return plan::make_kernel_step<Device>(stream_, at);
    }
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::AverageBuffers& at) override {
        return plan::make_kernel_step<Device>(stream_, at);
    }
    [[nodiscard]] std::unique_ptr<plan::Runnable> repeated(std::function<void()> body) override {
        return std::make_unique<plan::Recorded>(stream_, std::move(body));
    }
    [[nodiscard]] std::unique_ptr<plan::Reading> reading(const std::byte* from, int64_t bytes) override {
        return std::make_unique<plan::QueuedReading>(stream_, from, bytes);
    }

private:
    Plans plans_;
};

}  // namespace

std::unique_ptr<plan::TrainingBackend> make_training_backend(Stream& stream, const TrainingBackendOptions& options) {
    return std::make_unique<GpuTrainingBackend>(stream, options);
}

}  // namespace boneage::cudnn

#include "engine/cudnn/training_backend.h"

#include "engine/cudnn/training_conv.h"
#include "engine/plan/kernel_steps.h"
#include "engine/plan/recorded.h"

namespace boneage::cudnn {
namespace {

class GpuTrainingBackend final : public plan::TrainingBackend {
public:
    GpuTrainingBackend(Stream& stream, const TrainingBackendOptions& options)
        : stream_(stream), plans_(stream, {options.autotune, {}, options.preparing}) {}

    [[nodiscard]] plan::TrainingTraits traits() const override { return kTrainingTraits; }

    [[nodiscard]] plan::Memory allocate(int64_t bytes) override {
        return {static_cast<std::byte*>(allocate_device(bytes)), [](std::byte* memory) { free_device(memory); }};
    }
    [[nodiscard]] bool host_addressable() const override { return false; }
    void upload(std::byte* to, const void* from, int64_t bytes) override { copy_to_device(stream_, to, from, bytes); }
    void download(void* to, const std::byte* from, int64_t bytes) override {
        copy_to_host(stream_, to, from, bytes);
        stream_.synchronize();
    }
    void synchronize() override { stream_.synchronize(); }

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

private:
    Stream& stream_;
    Plans plans_;
};

}  // namespace

std::unique_ptr<plan::TrainingBackend> make_training_backend(Stream& stream, const TrainingBackendOptions& options) {
    return std::make_unique<GpuTrainingBackend>(stream, options);
}

}  // namespace boneage::cudnn

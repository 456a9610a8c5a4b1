#include "engine/onednn/training_backend.h"

#include "engine/onednn/training_conv.h"
#include "engine/onednn/winograd.h"
#include "engine/plan/kernel_steps.h"
#include "engine/plan/on_host.h"

namespace boneage::onednn {
namespace {

class CpuTrainingBackend final : public plan::OnHost<plan::TrainingBackend> {
public:
    CpuTrainingBackend(int threads, Convolutions convolutions) : team_(threads), convolutions_(convolutions) {}

    [[nodiscard]] plan::TrainingTraits traits() const override { return {.conv_accumulates = false}; }

    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::TrainingStep& step,
                                                       const plan::TrainingMemory& memory) override {
        return std::visit(
            [&](const auto& any) -> std::unique_ptr<plan::Runnable> {
                if constexpr (requires { make_training_step(team_, any, memory); }) {
                    return convolutions_ == Convolutions::winograd && winograd_fits(any, memory)
                               ? make_winograd_step(team_, any, memory)
                               : make_training_step(team_, any, memory);
                } else {
                    return plan::KernelSteps<Workers, Host>(team_.workers(), memory)(any);
                }
            },
            step);
    }
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::AdamBuffers& at) override {
        return plan::make_kernel_step<Host>(team_.workers(), at);
    }
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::ClipBuffers& at) override {
        return plan::make_kernel_step<Host>(team_.workers(), at);
    }
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::AverageBuffers& at) override {
        return plan::make_kernel_step<Host>(team_.workers(), at);
    }

private:
    Team team_;
    Convolutions convolutions_;
};

}  // namespace

std::unique_ptr<plan::TrainingBackend> make_training_backend(int threads, Convolutions convolutions) {
    return std::make_unique<CpuTrainingBackend>(threads, convolutions);
}

}  // namespace boneage::onednn

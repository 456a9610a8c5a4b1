#include "engine/onednn/training_backend.h"

#include "engine/onednn/training_conv.h"
#include "engine/plan/kernel_steps.h"

#include <cstring>
#include <new>

namespace boneage::onednn {
namespace {

class CpuTrainingBackend final : public plan::TrainingBackend {
public:
    explicit CpuTrainingBackend(int threads) : team_(threads) {}

    [[nodiscard]] plan::TrainingTraits traits() const override { return {.conv_accumulates = false}; }

    [[nodiscard]] plan::Memory allocate(int64_t bytes) override {
        const std::align_val_t alignment{plan::kArenaAlignment};
        return {static_cast<std::byte*>(::operator new(static_cast<size_t>(std::max<int64_t>(bytes, 1)), alignment)),
                [alignment](std::byte* memory) { ::operator delete(memory, alignment); }};
    }
    [[nodiscard]] bool host_addressable() const override { return true; }
    void upload(std::byte* to, const void* from, int64_t bytes) override {
        std::memcpy(to, from, static_cast<size_t>(bytes));
    }
    void download(void* to, const std::byte* from, int64_t bytes) override {
        std::memcpy(to, from, static_cast<size_t>(bytes));
    }
    void synchronize() override {}

    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::TrainingStep& step,
                                                       const plan::TrainingMemory& memory) override {
        return std::visit(
            [&](const auto& any) -> std::unique_ptr<plan::Runnable> {
                if constexpr (requires { make_training_step(team_, any, memory); }) {
                    return make_training_step(team_, any, memory);
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
};

}  // namespace

std::unique_ptr<plan::TrainingBackend> make_training_backend(int threads) {
    return std::make_unique<CpuTrainingBackend>(threads);
}

}  // namespace boneage::onednn

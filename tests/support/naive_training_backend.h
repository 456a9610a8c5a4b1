// A training back end that takes nothing for granted: convolutions are plain loops in double precision, and memory that
// a plan calls free holds NaN.
#pragma once

#include "engine/plan/training_backend.h"
#include "kernels/base/workers.h"

namespace boneage::testing {

// Before a buffer's first step and after its last one, and in scratch before every step, all bytes are those of NaN: a
// value read before it is written or after it may be overwritten, and a gradient added to nothing, show. `traits` are
// whatever the test wants plans lowered for; all are honoured. All kernels that are not convolutions are the project's.
// Makes the steps of one plan, in order.
class NaiveTrainingBackend : public plan::TrainingBackend {
public:
    explicit NaiveTrainingBackend(plan::TrainingTraits traits = {}, bool host_addressable = true)
        : traits_(traits), host_addressable_(host_addressable) {}

    [[nodiscard]] plan::TrainingTraits traits() const override { return traits_; }
    [[nodiscard]] plan::Memory allocate(int64_t bytes) override;
    [[nodiscard]] bool host_addressable() const override { return host_addressable_; }
    void upload(std::byte* to, const void* from, int64_t bytes) override;
    void download(void* to, const std::byte* from, int64_t bytes) override;
    void synchronize() override {}
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::TrainingStep& step,
                                                       const plan::TrainingMemory& memory) override;
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::AdamBuffers& at) override;
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::ClipBuffers& at) override;
    [[nodiscard]] std::unique_ptr<plan::Runnable> make(const plan::AverageBuffers& at) override;

private:
    plan::TrainingTraits traits_;
    bool host_addressable_;
    int64_t made_ = 0;
    Workers workers_{1};
};

}  // namespace boneage::testing

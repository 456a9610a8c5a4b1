// A back end of plain loops in double precision: the reference for others, and the means to run any plan in tests.
#pragma once

#include "engine/plan/backend.h"

namespace boneage::testing {

// Runs every step one element at a time and rounds once, when it stores. Fresh memory holds NaN, so that a value read
// before it is written shows. `traits` are whatever the test wants plans lowered for; all are honoured.
class NaiveBackend : public plan::Backend {
public:
    explicit NaiveBackend(plan::Traits traits = {}, bool host_addressable = true)
        : traits_(traits), host_addressable_(host_addressable) {}

    [[nodiscard]] plan::Traits traits() const override { return traits_; }
    [[nodiscard]] plan::Memory allocate(int64_t bytes) override;
    [[nodiscard]] bool host_addressable() const override { return host_addressable_; }
    void upload(std::byte* to, const void* from, int64_t bytes) override;
    void download(void* to, const std::byte* from, int64_t bytes) override;
    void synchronize() override {}

    using Made = std::unique_ptr<plan::Runnable>;
    Made make(const plan::FusedConv& step, const plan::Operands& at, const plan::Weights& weights) override;
    Made make(const plan::MaxPool& step, const plan::Operands& at) override;
    Made make(const plan::GlobalAvgPool& step, const plan::Operands& at) override;
    Made make(const plan::Linear& step, const plan::Operands& at, const plan::Weights& weights) override;
    Made make(const plan::TransposedConv& step, const plan::Operands& at, const plan::Weights& weights) override;
    Made make(const plan::DepthToSpace& step, const plan::Operands& at) override;
    Made make(const plan::Copy& step, const plan::Operands& at) override;

private:
    plan::Traits traits_;
    bool host_addressable_;
};

}  // namespace boneage::testing

// A CPU back end on the CUDA-on-CPU runner: its steps run in a stream's order, on device memory, and are recorded into
// graphs as a GPU's would be.
#pragma once

#include "engine/plan/backend.h"
#include "kernels/base/stream.h"

#include <cuda_runtime.h>

namespace boneage::testing {

// A CPU back end's step, done in a stream's order.
class Queued : public plan::Runnable {
public:
    Queued(std::unique_ptr<plan::Runnable> inner, const Stream& stream) : inner_(std::move(inner)), stream_(stream) {}
    [[nodiscard]] int64_t scratch_bytes() const override { return inner_->scratch_bytes(); }
    void run(std::byte* scratch) override {
        scratch_ = scratch;  // one area for the whole plan: the same at every call
        cudaLaunchHostFunc(
            stream_.native(),
            [](void* self) {
                auto* step = static_cast<Queued*>(self);
                step->inner_->run(step->scratch_);
            },
            this);
    }

private:
    std::unique_ptr<plan::Runnable> inner_;
    const Stream& stream_;
    std::byte* scratch_ = nullptr;
};

class StreamBackend : public plan::Backend {
public:
    StreamBackend(plan::Backend& inner, const Stream& stream) : inner_(inner), stream_(stream) {}

    [[nodiscard]] plan::Traits traits() const override { return inner_.traits(); }
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

    using Made = std::unique_ptr<plan::Runnable>;
    Made make(const plan::FusedConv& step, const plan::Operands& at, const plan::Weights& weights) override {
        return queued(inner_.make(step, at, weights));
    }
    Made make(const plan::MaxPool& step, const plan::Operands& at) override { return queued(inner_.make(step, at)); }
    Made make(const plan::GlobalAvgPool& step, const plan::Operands& at) override {
        return queued(inner_.make(step, at));
    }
    Made make(const plan::Linear& step, const plan::Operands& at, const plan::Weights& weights) override {
        return queued(inner_.make(step, at, weights));
    }
    Made make(const plan::TransposedConv& step, const plan::Operands& at, const plan::Weights& weights) override {
        return queued(inner_.make(step, at, weights));
    }
    Made make(const plan::DepthToSpace& step, const plan::Operands& at) override {
        return queued(inner_.make(step, at));
    }
    Made make(const plan::Copy& step, const plan::Operands& at) override { return queued(inner_.make(step, at)); }

private:
    [[nodiscard]] Made queued(Made inner) const { return std::make_unique<Queued>(std::move(inner), stream_); }

    plan::Backend& inner_;
    const Stream& stream_;
};

}  // namespace boneage::testing

// A CPU back end on the CUDA-on-CPU runner: its steps run in a stream's order, on device memory, and are recorded into
// graphs as a GPU's would be.
#pragma once

#include "engine/plan/on_stream.h"

#include <cuda_runtime.h>

namespace boneage::testing {

// A CPU back end's step, done in a stream's order.
class Queued : public plan::Runnable {
public:
    // `remake` makes it with other weights.
    using Remake = std::function<std::unique_ptr<plan::Runnable>(const plan::Weights& weights)>;
    Queued(std::unique_ptr<plan::Runnable> inner, const Stream& stream, Remake remake = {})
        : inner_(std::move(inner)), stream_(stream), remake_(std::move(remake)) {}
    void reload(const plan::Weights& weights) override {
        stream_.synchronize();
        inner_ = remake_(weights);
    }
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
    Remake remake_;
    std::byte* scratch_ = nullptr;
};

class StreamBackend : public plan::OnStream<plan::Backend> {
public:
    StreamBackend(plan::Backend& inner, Stream& stream) : OnStream(stream), inner_(inner) {}

    [[nodiscard]] plan::Traits traits() const override { return inner_.traits(); }

    using Made = std::unique_ptr<plan::Runnable>;
    Made make(const plan::FusedConv& step, const plan::Operands& at, const plan::Weights& weights) override {
        return queued(step, at, weights);
    }
    Made make(const plan::MaxPool& step, const plan::Operands& at) override { return queued(inner_.make(step, at)); }
    Made make(const plan::GlobalAvgPool& step, const plan::Operands& at) override {
        return queued(inner_.make(step, at));
    }
    Made make(const plan::Linear& step, const plan::Operands& at, const plan::Weights& weights) override {
        return queued(step, at, weights);
    }
    Made make(const plan::TransposedConv& step, const plan::Operands& at, const plan::Weights& weights) override {
        return queued(step, at, weights);
    }
    Made make(const plan::DepthToSpace& step, const plan::Operands& at) override {
        return queued(inner_.make(step, at));
    }
    Made make(const plan::Copy& step, const plan::Operands& at) override { return queued(inner_.make(step, at)); }

private:
    [[nodiscard]] Made queued(Made inner) const { return std::make_unique<Queued>(std::move(inner), stream_); }
    template <class Step>
    [[nodiscard]] Made queued(const Step& step, const plan::Operands& at, const plan::Weights& weights) {
        const auto make = [this, step, at](const plan::Weights& any) { return inner_.make(step, at, any); };
        return std::make_unique<Queued>(make(weights), stream_, make);
    }

    plan::Backend& inner_;
};

}  // namespace boneage::testing

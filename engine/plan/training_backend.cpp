#include "engine/plan/training_backend.h"

#include "kernels/base/error.h"

#include <cstring>
#include <queue>
#include <vector>

namespace boneage::plan {
namespace {

class Repeated final : public Runnable {
public:
    explicit Repeated(std::function<void()> body) : body_(std::move(body)) {}
    void run(std::byte* /*scratch*/) override { body_(); }

private:
    std::function<void()> body_;
};

class WaitingReading final : public Reading {
public:
    WaitingReading(BackendMemory& memory, const std::byte* from, int64_t bytes)
        : memory_(memory), from_(from), bytes_(bytes) {}

    void note() override {
        expects(notes_.size() < kNotes, "a note must be taken before another one");
        notes_.emplace(static_cast<size_t>(bytes_));
        memory_.download(notes_.back().data(), from_, bytes_);
    }
    void take(void* to) override {
        expects(!notes_.empty(), "there is no note to take");
        std::memcpy(to, notes_.front().data(), notes_.front().size());
        notes_.pop();
    }

private:
    BackendMemory& memory_;
    const std::byte* from_;
    int64_t bytes_;
    std::queue<std::vector<std::byte>> notes_;
};

}  // namespace

std::unique_ptr<Runnable> TrainingBackend::repeated(std::function<void()> body) {
    return std::make_unique<Repeated>(std::move(body));
}

std::unique_ptr<Reading> TrainingBackend::reading(const std::byte* from, int64_t bytes) {
    return std::make_unique<WaitingReading>(*this, from, bytes);
}

}  // namespace boneage::plan

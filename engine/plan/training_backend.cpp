#include "engine/plan/training_backend.h"

namespace boneage::plan {
namespace {

class Repeated final : public Runnable {
public:
    explicit Repeated(std::function<void()> body) : body_(std::move(body)) {}
    void run(std::byte* /*scratch*/) override { body_(); }

private:
    std::function<void()> body_;
};

}  // namespace

std::unique_ptr<Runnable> TrainingBackend::repeated(std::function<void()> body) {
    return std::make_unique<Repeated>(std::move(body));
}

}  // namespace boneage::plan

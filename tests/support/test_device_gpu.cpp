#include "engine/cudnn/backend.h"
#include "tests/support/test_device.h"

namespace boneage::testing {
namespace {

class Gpu : public TestDevice {
public:
    Stream& stream() override { return stream_; }
    plan::Backend& backend() override { return *backend_; }
    // Sums are made in another order there; PARITY's 1e-5 of ages up to a few hundred months.
    [[nodiscard]] double age_tolerance() const override { return 5e-3; }

private:
    Stream stream_;
    std::unique_ptr<plan::Backend> backend_ = cudnn::make_backend(stream_);
};

}  // namespace

std::unique_ptr<TestDevice> make_test_device() {
    return std::make_unique<Gpu>();
}

}  // namespace boneage::testing

#include "engine/onednn/backend.h"
#include "tests/support/stream_backend.h"
#include "tests/support/test_device.h"

namespace boneage::testing {
namespace {

class Runner : public TestDevice {
public:
    Stream& stream() override { return stream_; }
    plan::Backend& backend() override { return backend_; }
    [[nodiscard]] double age_tolerance() const override { return 0.0; }

private:
    std::unique_ptr<plan::Backend> inner_ = onednn::make_backend({});
    Stream stream_;
    StreamBackend backend_{*inner_, stream_};
};

}  // namespace

std::unique_ptr<TestDevice> make_test_device() {
    return std::make_unique<Runner>();
}

}  // namespace boneage::testing

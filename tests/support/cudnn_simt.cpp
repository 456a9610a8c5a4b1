// Stands in for engine/cudnn where its users are tested on the CUDA-on-CPU runner: oneDNN's steps in a stream's order.
#include "engine/cudnn/backend.h"
#include "engine/cudnn/training_backend.h"
#include "engine/onednn/backend.h"
#include "kernels/base/error.h"
#include "tests/support/stream_backend.h"

namespace boneage::cudnn {
namespace {

class OwningBackend final : public testing::StreamBackend {
public:
    OwningBackend(std::unique_ptr<plan::Backend> inner, Stream& stream)
        : StreamBackend(*inner, stream), owned_(std::move(inner)) {}

private:
    std::unique_ptr<plan::Backend> owned_;
};

}  // namespace

void require_library() {
    if (simt::faults().no_cudnn) {
        throw DeviceError("cuDNN 9 cannot be loaded: install it");
    }
}

std::unique_ptr<plan::Backend> make_backend(Stream& stream, const BackendOptions& /*options*/) {
    require_library();
    return std::make_unique<OwningBackend>(onednn::make_backend({}), stream);
}

std::unique_ptr<plan::TrainingBackend> make_training_backend(Stream& /*stream*/,
                                                             const TrainingBackendOptions& /*options*/) {
    throw ContractError("nothing trains with this");
}

std::string describe() {
    require_library();
    return "no cuDNN";
}

}  // namespace boneage::cudnn

// What builds without CUDA say of GPUs.
#include "engine/gpu.h"

namespace boneage::session {
namespace {

[[noreturn]] void refuse() {
    throw DeviceError(
        "this program was built without CUDA; give --device cpu or auto, or build it with the CUDA toolkit installed "
        "and cmake --preset release -DBONEAGE_CUDA=ON");
}

}  // namespace

int gpu_count() {
    return 0;
}

void require_gpu(int /*ordinal*/, GpuWork /*work*/) {
    refuse();
}

std::unique_ptr<GpuScorer> make_gpu_scorer(const pipeline::Models& /*models*/, const Options& /*options*/,
                                           int /*ordinal*/) {
    refuse();
}

std::shared_ptr<pipeline::Applier> make_gpu_applier(int /*ordinal*/) {
    refuse();
}

std::unique_ptr<GpuTraining> make_gpu_training(int /*ordinal*/, const GpuTrainingOptions& /*options*/) {
    refuse();
}

std::string gpu_name(int /*ordinal*/) {
    refuse();
}

}  // namespace boneage::session

// What builds without CUDA say of GPUs.
#include "engine/gpu.h"

namespace boneage::session {

int gpu_count() {
    return 0;
}

std::string why_no_gpu() {
    return "this program was built without CUDA; give --device cpu or auto, or build it with the CUDA toolkit "
           "installed "
           "and cmake --preset release -DBONEAGE_CUDA=ON";
}

std::unique_ptr<GpuScorer> make_gpu_scorer(const pipeline::Models& /*models*/, const Options& /*options*/,
                                           int /*ordinal*/) {
    throw DeviceError(why_no_gpu());
}

std::shared_ptr<pipeline::Applier> make_gpu_applier(int /*ordinal*/) {
    throw DeviceError(why_no_gpu());
}

std::unique_ptr<GpuTraining> make_gpu_training(int /*ordinal*/, const GpuTrainingOptions& /*options*/) {
    throw DeviceError(why_no_gpu());
}

std::string gpu_name(int /*ordinal*/) {
    throw DeviceError(why_no_gpu());
}

plan::Traits gpu_traits() {
    throw DeviceError(why_no_gpu());
}

plan::TrainingTraits gpu_training_traits() {
    throw DeviceError(why_no_gpu());
}

}  // namespace boneage::session

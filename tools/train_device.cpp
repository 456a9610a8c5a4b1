#include "tools/train_device.h"

#include "engine/errors.h"
#include "engine/onednn/backend.h"
#include "engine/onednn/training_backend.h"
#include "tools/convolutions_option.h"
#include "tools/options.h"

#include <cstdio>

namespace boneage::tools {

TrainDevice::TrainDevice(const TrainOptions& options) : preparation_(options.autotune) {
    check_convolutions(options.convolutions, options.device);
    const std::optional<int> gpu = choose_gpu(options.device);
    check_autotune(options.autotune, options.device, gpu);
    const onednn::Convolutions convolutions = choose_convolutions(options.convolutions, gpu);
    if (!gpu) {
        const int threads = threads_of(options);
        backend_ = onednn::make_training_backend(threads, convolutions);
        judge_ = onednn::make_backend({.threads = threads, .convolutions = convolutions});
        description_ = onednn::describe(options.precision);
        return;
    }
    gpu_ = session::make_gpu_training(*gpu, {.autotune = options.autotune,
                                             .tf32 = options.precision == plan::Precision::tf32,
                                             .preparing = [this](std::string_view) { preparation_.step(); }});
    description_ = gpu_->describe();
}

void TrainDevice::prepare(train::Course& course, const plan::ParameterSource& parameters) {
    if (gpu_) {
        course.prepare_judging(parameters);
        prepared();
    }
}

}  // namespace boneage::tools

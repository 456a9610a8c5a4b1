#include "tools/train_device.h"

#include "engine/errors.h"
#include "engine/onednn/backend.h"
#include "engine/onednn/training_backend.h"
#include "tools/options.h"

#include <cstdio>

namespace boneage::tools {

TrainDevice::TrainDevice(const TrainOptions& options) : preparation_(options.autotune) {
    if (options.convolutions && options.device.starts_with("cuda")) {
        throw UsageError("--convolutions says how processors compute; leave it out with --device " + options.device);
    }
    const std::optional<int> gpu = choose_gpu(options.device);
    check_autotune(options.autotune, options.device, gpu);
    if (!gpu) {
        const int threads = threads_of(options);
        backend_ =
            onednn::make_training_backend(threads, options.convolutions.value_or(onednn::Convolutions::winograd));
        judge_ = onednn::make_backend({.threads = threads});
        description_ = onednn::describe(options.precision);
        return;
    }
    if (options.convolutions) {
        std::fprintf(stderr, "--convolutions has no effect: a GPU computes\n");
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

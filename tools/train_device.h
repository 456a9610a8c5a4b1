// What a training, or its measurement, computes with, as --device says: the processors, or a GPU.
#pragma once

#include "engine/gpu.h"
#include "engine/plan/training_backend.h"
#include "engine/train/course.h"
#include "tools/progress.h"
#include "tools/train_options.h"

#include <memory>
#include <string>

namespace boneage::tools {

class TrainDevice {
public:
    // Throws UsageError when options contradict each other, DeviceError when they ask for a GPU that cannot be used.
    explicit TrainDevice(const TrainOptions& options);
    TrainDevice(const TrainDevice&) = delete;  // what it made points into it
    TrainDevice& operator=(const TrainDevice&) = delete;

    [[nodiscard]] bool on_gpu() const { return gpu_ != nullptr; }
    // "oneDNN 2.6.3 on AVX2", or the GPU.
    [[nodiscard]] const std::string& describe() const { return description_; }
    plan::TrainingBackend& backend() { return gpu_ ? gpu_->backend() : *backend_; }
    // What runs the network to judge it.
    plan::Backend& judge() { return gpu_ ? gpu_->judge() : *judge_; }
    // Where batches of the cache are made, as courses take it: nothing for the host.
    template <class Cache>
    [[nodiscard]] auto batches(const Cache& cache) const {
        return gpu_ ? gpu_->batches(cache) : nullptr;
    }
    // To be called once the training's steps are made: on a GPU what judging needs is made as well, so that all that
    // takes minutes the first time comes before the first epoch.
    void prepare(train::Course& course, const plan::ParameterSource& parameters);
    // To be called instead where nothing more needs to be made.
    void prepared() { preparation_.finish(); }

private:
    Preparation preparation_;
    std::unique_ptr<session::GpuTraining> gpu_;
    std::unique_ptr<plan::TrainingBackend> backend_;  // these two without a GPU
    std::unique_ptr<plan::Backend> judge_;
    std::string description_;
};

}  // namespace boneage::tools

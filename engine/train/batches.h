// Makes a training's batches where the pictures of its cache lie: in this process's memory, or in a device's.
#pragma once

#include "engine/plan/training_executor.h"
#include "engine/train/age_cache.h"
#include "engine/train/mask_cache.h"
#include "kernels/base/workers.h"
#include "kernels/image/augment.h"

#include <memory>
#include <vector>

namespace boneage::train {

// A batch as the host decides it: the same wherever it is made.
struct BatchDraw {
    // An input of the network besides its pictures, one value after another.
    struct Input {
        const char* name;
        std::vector<float> values;
    };

    std::vector<int32_t> pictures;  // a sample's place in the cache
    AugmentDraws draws;             // what changes the pictures, within `augment`
    AugmentParams augment;
    std::vector<Input> inputs;
};

class Batches {
public:
    virtual ~Batches() = default;
    // Fills the executor's inputs at their places: "image", what the pictures' masks say in "targets" where the cache
    // has some, and the batch's own. On a device it queues that before the coming step and waits for nothing. The same
    // bits wherever it is done.
    virtual void make(const BatchDraw& batch, plan::TrainingExecutor& executor) = 0;
};

// In this process, where the executor must work as well. `cache` and `workers` must outlive what is made.
std::unique_ptr<Batches> batches_on_host(const AgeCache& cache, Workers& workers);
std::unique_ptr<Batches> batches_on_host(const MaskCache& cache, Workers& workers);

// On a device, which gets a copy of all pictures now. `stream` is the one that the executor's back end works on, and
// must outlive what is made. Throws OutOfDeviceMemory when there is no room for the pictures. Present in CUDA builds
// only.
std::unique_ptr<Batches> batches_on_device(const AgeCache& cache, Stream& stream);
std::unique_ptr<Batches> batches_on_device(const MaskCache& cache, Stream& stream);

}  // namespace boneage::train

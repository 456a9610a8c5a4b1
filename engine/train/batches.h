// Makes a training's batches, and judges by pictures, where those of its cache lie: in this process's memory, or in a
// device's.
#pragma once

#include "engine/pipeline/verdict.h"
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

// The pictures an epoch is judged by, and the network that estimates their ages.
struct JudgedAges {
    std::vector<int64_t> pictures;  // places in the cache, at least one
    net::ResNet34Spec network;
    plan::Precision precision = plan::Precision::f32;
    int64_t batch = 16;  // pictures that go through the network together; the same bits whatever it is
};

class AgeJudge {
public:
    virtual ~AgeJudge() = default;
    // Makes what estimate() would otherwise make the first time, where it is kept.
    virtual void prepare(const plan::ParameterSource& parameters) = 0;
    // The age of every picture, as scoring estimates it with these weights. The same bits wherever it is done.
    [[nodiscard]] virtual std::vector<pipeline::Ages> estimate(const plan::ParameterSource& parameters) = 0;
};

class AgeBatches : public Batches {
public:
    // `backend` works in the memory that batches are made in; it and this must outlive what is made. On a device the
    // network stays there from the first time on, and so do its answers until the last picture has one.
    [[nodiscard]] virtual std::unique_ptr<AgeJudge> judge(const JudgedAges& judged, plan::Backend& backend) = 0;
};

// In this process, where the executor must work as well. `cache` and `workers` must outlive what is made.
std::unique_ptr<AgeBatches> batches_on_host(const AgeCache& cache, Workers& workers);
std::unique_ptr<Batches> batches_on_host(const MaskCache& cache, Workers& workers);

// On a device, which gets a copy of all pictures now. `stream` is the one that the executor's back end works on, and
// must outlive what is made. Throws OutOfDeviceMemory when there is no room for the pictures. Present in CUDA builds
// only.
std::unique_ptr<AgeBatches> batches_on_device(const AgeCache& cache, Stream& stream);
std::unique_ptr<Batches> batches_on_device(const MaskCache& cache, Stream& stream);

}  // namespace boneage::train

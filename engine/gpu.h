// The GPUs of this machine, and scoring and training on one of them. Builds without CUDA have none.
#pragma once

#include "engine/pipeline/apply.h"
#include "engine/pipeline/pipeline.h"
#include "engine/plan/training_backend.h"
#include "engine/row_order.h"
#include "engine/session.h"
#include "engine/train/batches.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace boneage::session {

// How many GPUs there are, of use or not: see require_gpu(). Throws DeviceError when the driver is too old.
int gpu_count();

// What a GPU is for: networks need cuDNN, operations on images do without.
enum class GpuWork : uint8_t { images, networks };

// Throws DeviceError saying what to do when GPU `ordinal` cannot be used for that: it is not there, it is older than
// what this program was built for, it fails or lets no further program in, or the driver or a library is too old or
// missing.
void require_gpu(int ordinal, GpuWork work);

class GpuScorer {
public:
    virtual ~GpuScorer() = default;
    // "NVIDIA H200, 64 radiographs at a time, cuDNN 9.19".
    [[nodiscard]] virtual std::string describe() const = 0;
    // Gives `order` a row for every input; see score_on_device().
    virtual void score(std::span<const Input> inputs, std::span<const std::string> folders, int decoders,
                       RowOrder& order) = 0;
    // Images that run together: fewer than asked for where the device has no room for so many.
    [[nodiscard]] virtual int64_t batch() const = 0;
    // As Facts has them.
    [[nodiscard]] virtual std::vector<std::string> cautions() const = 0;
};

// Throws DeviceError saying what to do when GPU `ordinal` cannot be used.
std::unique_ptr<GpuScorer> make_gpu_scorer(const pipeline::Models& models, const Options& options, int ordinal);
// Needs cuDNN only once it segments.
std::shared_ptr<pipeline::Applier> make_gpu_applier(int ordinal);

struct GpuTrainingOptions {
    bool autotune = false;  // measure cuDNN's engines instead of trusting its heuristics
    bool tf32 = false;      // whether judge() may round float32 to TF32
    // Called with the name of every convolution that cuDNN prepares, which takes long the first time.
    std::function<void(std::string_view convolution)> preparing;
};

// A GPU to train on. Everything is queued on its stream, where inputs may be made too, at TrainingExecutor::place().
class GpuTraining {
public:
    virtual ~GpuTraining() = default;
    // "NVIDIA H200, cuDNN 9.19.0".
    [[nodiscard]] virtual std::string describe() const = 0;
    virtual plan::TrainingBackend& backend() = 0;
    // Runs what has been learned, on the same stream.
    virtual plan::Backend& judge() = 0;
    virtual Stream& stream() = 0;
    // Where the pictures of a cache, which must outlive it, lie and batches are made. Throws OutOfDeviceMemory when
    // there is no room for them.
    virtual std::unique_ptr<train::AgeBatches> batches(const train::AgeCache& cache) = 0;
    virtual std::unique_ptr<train::Batches> batches(const train::MaskCache& cache) = 0;
};

// Throws DeviceError saying what to do when GPU `ordinal` cannot be used.
std::unique_ptr<GpuTraining> make_gpu_training(int ordinal, const GpuTrainingOptions& options);

// "NVIDIA H200", for people.
std::string gpu_name(int ordinal);

}  // namespace boneage::session

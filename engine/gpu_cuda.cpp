// The GPUs of CUDA builds.
#include "engine/cudnn/backend.h"
#include "engine/cudnn/training_backend.h"
#include "engine/device_scoring.h"
#include "engine/gpu.h"

#include <cstdio>

namespace boneage::session {
namespace {

constexpr int64_t kBatch = 64;  // by default: from here on more images at a time gain little

class CudaScorer : public GpuScorer {
public:
    CudaScorer(const pipeline::Models& models, const Options& options, int ordinal)
        : stream_(ordinal),
          backend_(cudnn::make_backend(stream_, {.tf32 = options.precision == plan::Precision::tf32,
                                                 .autotune = options.autotune,
                                                 .preparing = options.preparing,
                                                 .other_engine = [this](std::string_view why) { note_other(why); }})),
          wanted_(options.batch.value_or(kBatch)),
          pipeline_(
              make_largest_pipeline(models, *backend_, stream_,
                                    {.batch = wanted_, .precision = options.precision, .mirror = options.mirror})) {}

    [[nodiscard]] std::string describe() const override {
        std::string text = stream_.device().name + ", " + cudnn::describe() + ", " + std::to_string(batch()) +
                           " radiographs at a time";
        if (batch() < wanted_) {
            text += " (there is no memory for " + std::to_string(wanted_) + ")";
        }
        return text;
    }

    [[nodiscard]] int64_t batch() const override { return pipeline_->batch(); }

    [[nodiscard]] std::vector<std::string> cautions() const override {
        if (others_ == 0) {
            return {};
        }
        return {"cuDNN refused " + std::to_string(others_) + (others_ == 1 ? " convolution" : " convolutions") +
                " the engine of other batch sizes, so the last bits of ages may depend on --batch (" + why_other_ +
                ")"};
    }

    void score(std::span<const Input> inputs, std::span<const std::string> folders, int decoders,
               RowOrder& order) override {
        score_on_device(*pipeline_, inputs, folders, decoders, order);
    }

private:
    void note_other(std::string_view why) {
        if (++others_ == 1) {
            why_other_ = why;
        }
    }

    int64_t others_ = 0;  // convolutions that another engine computes than at other batch sizes
    std::string why_other_;
    Stream stream_;
    std::unique_ptr<plan::Backend> backend_;
    int64_t wanted_;
    std::unique_ptr<pipeline::DevicePipeline> pipeline_;
};

class CudaTraining : public GpuTraining {
public:
    CudaTraining(int ordinal, const GpuTrainingOptions& options)
        : stream_(ordinal),
          backend_(cudnn::make_training_backend(stream_, {options.autotune, options.preparing})),
          judge_(cudnn::make_backend(
              stream_, {.tf32 = options.tf32, .autotune = options.autotune, .preparing = options.preparing})) {}

    [[nodiscard]] std::string describe() const override { return stream_.device().name + ", " + cudnn::describe(); }
    plan::TrainingBackend& backend() override { return *backend_; }
    plan::Backend& judge() override { return *judge_; }
    Stream& stream() override { return stream_; }
    std::unique_ptr<train::AgeBatches> batches(const train::AgeCache& cache) override {
        return train::batches_on_device(cache, stream_);
    }
    std::unique_ptr<train::Batches> batches(const train::MaskCache& cache) override {
        return train::batches_on_device(cache, stream_);
    }

private:
    Stream stream_;
    std::unique_ptr<plan::TrainingBackend> backend_;
    std::unique_ptr<plan::Backend> judge_;
};

}  // namespace

int gpu_count() {
    return cuda_device_count();
}

void require_gpu(int ordinal, GpuWork work) {
    usable_device(ordinal);
    use_device(ordinal);
    if (work == GpuWork::networks) {
        cudnn::require_library();
    }
}

std::unique_ptr<GpuScorer> make_gpu_scorer(const pipeline::Models& models, const Options& options, int ordinal) {
    return std::make_unique<CudaScorer>(models, options, ordinal);
}

std::shared_ptr<pipeline::Applier> make_gpu_applier(int ordinal) {
    struct Owner {
        explicit Owner(int number)
            : stream(number), applier(pipeline::make_applier(stream, [this]() -> plan::Backend& {
                  if (!backend) {
                      backend = cudnn::make_backend(stream);
                  }
                  return *backend;
              })) {}
        Stream stream;
        std::unique_ptr<plan::Backend> backend;
        std::unique_ptr<pipeline::Applier> applier;
    };
    const auto owner = std::make_shared<Owner>(ordinal);
    return {owner, owner->applier.get()};
}

std::unique_ptr<GpuTraining> make_gpu_training(int ordinal, const GpuTrainingOptions& options) {
    return std::make_unique<CudaTraining>(ordinal, options);
}

std::string gpu_name(int ordinal) {
    return usable_device(ordinal).name;
}

}  // namespace boneage::session

// Teaching ages: pictures of a cache, drawn by age category, changed at random, judged as scoring does it.
#pragma once

#include "engine/train/age_cache.h"
#include "engine/train/batches.h"
#include "engine/train/course.h"
#include "engine/train/sampler.h"
#include "kernels/image/augment.h"

#include <optional>

namespace boneage::train {

struct AgeCourseOptions {
    net::ResNet34Spec network;
    uint64_t seed = 1;
    AugmentParams augment;
    // 1: every age category is drawn equally often, 0: every sample is; see WeightedSampler. Nothing: no drawing, every
    // sample once an epoch.
    std::optional<double> balance = 1;
    double category_months = 24;
    int64_t repeats = 1;  // draws of every picture in an epoch
    // Share of the samples whose sex is withheld, so that the network also learns to do without.
    double unknown_sex = 0.1;
    int64_t judged_batch = 16;
    plan::Precision judged_precision = plan::Precision::f32;
};

// What the judgement's `more` is called: the MAE when no sex is told, where the network takes one.
inline constexpr const char* kUnknownSexMae = "val_mae_months_unknown_sex";

class AgeCourse final : public Course {
public:
    // `backend` judges; it and `cache` must outlive this. `batches` says where batches of `cache` are made, and where
    // `backend` works: on the host unless it is given. Throws UsageError when the cache has no training or no
    // validation samples.
    AgeCourse(const AgeCache& cache, const AgeCourseOptions& options, plan::Backend& backend, int threads,
              std::unique_ptr<AgeBatches> batches = nullptr);

    [[nodiscard]] std::vector<int64_t> epoch(int64_t epoch) const override;
    void fill(std::span<const int64_t> samples, uint64_t first_draw, plan::TrainingExecutor& executor) override;
    [[nodiscard]] Judgement judge(const plan::ParameterSource& parameters) override;
    void prepare_judging(const plan::ParameterSource& parameters) override { judge_->prepare(parameters); }
    [[nodiscard]] Better better() const override { return Better::lower; }
    [[nodiscard]] std::string metric_name() const override { return "MAE"; }
    [[nodiscard]] std::string metric_unit() const override { return "months"; }
    [[nodiscard]] double loss_scale() const override { return cache_.recipe().age.deviation_months; }
    [[nodiscard]] std::string loss_unit() const override { return "months"; }
    [[nodiscard]] bool has_loss_terms() const override { return false; }
    [[nodiscard]] std::vector<int64_t> draws_per_category(std::span<const int64_t> samples) const override;
    [[nodiscard]] std::string fingerprint() const override;

    [[nodiscard]] int64_t training_samples() const { return static_cast<int64_t>(training_.size()); }
    [[nodiscard]] int64_t validation_samples() const { return static_cast<int64_t>(validation_.size()); }
    // How an epoch is drawn; nothing when it is not.
    [[nodiscard]] std::optional<SamplingReport> sampling(int64_t epoch) const;

private:
    [[nodiscard]] std::vector<int64_t> drawn(int64_t epoch) const;

    const AgeCache& cache_;
    AgeCourseOptions options_;
    Workers workers_;
    std::unique_ptr<AgeBatches> batches_;
    std::vector<int64_t> training_;  // places in the cache
    std::vector<int64_t> validation_;
    std::unique_ptr<AgeJudge> judge_;
    std::optional<WeightedSampler> sampler_;
};

}  // namespace boneage::train

// Teaching masks: random patches of a cache's pictures, judged on whole pictures as scoring segments them.
#pragma once

#include "engine/pipeline/segmenter.h"
#include "engine/train/batches.h"
#include "engine/train/course.h"
#include "engine/train/mask_cache.h"
#include "kernels/image/augment.h"

namespace boneage::train {

struct MaskCourseOptions {
    net::UnetSpec network;
    uint64_t seed = 1;
    AugmentParams augment;
    int64_t repeats = 8;   // patches of every picture in an epoch
    int64_t hold_out = 5;  // every so-manieth picture, by the order of ids, is judged by and never trained on
    plan::Precision judged_precision = plan::Precision::f32;
};

// What the judgement's `more` is called besides the mean Dice coefficient of the segmenter's own masks.
inline constexpr const char* kLargestDice = "val_dice_largest";  // holes filled, largest component kept
inline constexpr const char* kWorstDice = "val_dice_worst";      // of one picture

// 2 |a and b| / (|a| + |b|) over pixels of at least 128; 1 for two empty masks.
double dice(Image<const uint8_t, Host> a, Image<const uint8_t, Host> b);

class MaskCourse final : public Course {
public:
    // `backend` judges; it and `cache` must outlive this. `batches` says where batches of `cache` are made: on the host
    // unless it is given. Throws UsageError when there are too few pictures to hold any out.
    MaskCourse(const MaskCache& cache, const MaskCourseOptions& options, plan::Backend& backend, int threads,
               std::unique_ptr<Batches> batches = nullptr);

    [[nodiscard]] std::vector<int64_t> epoch(int64_t epoch) const override;
    void fill(std::span<const int64_t> samples, uint64_t first_draw, plan::TrainingExecutor& executor) override;
    [[nodiscard]] Judgement judge(const plan::ParameterSource& parameters) override;
    void prepare_judging(const plan::ParameterSource& parameters) override { judged_network(parameters); }
    [[nodiscard]] Better better() const override { return Better::higher; }
    [[nodiscard]] std::string metric_name() const override { return "Dice"; }
    [[nodiscard]] std::string metric_unit() const override { return ""; }
    [[nodiscard]] double loss_scale() const override { return 1; }
    [[nodiscard]] std::string loss_unit() const override { return ""; }
    [[nodiscard]] bool has_loss_terms() const override { return true; }
    [[nodiscard]] std::vector<int64_t> draws_per_category(std::span<const int64_t> /*samples*/) const override {
        return {};
    }
    [[nodiscard]] std::string fingerprint() const override;

    [[nodiscard]] int64_t training_samples() const { return static_cast<int64_t>(training_.size()); }
    [[nodiscard]] int64_t validation_samples() const { return static_cast<int64_t>(validation_.size()); }

private:
    pipeline::Segmenter judged_network(const plan::ParameterSource& parameters);

    const MaskCache& cache_;
    MaskCourseOptions options_;
    plan::Backend& backend_;
    Workers workers_;
    HostScratch scratch_;
    std::unique_ptr<Batches> batches_;
    std::vector<int64_t> training_;  // places in the cache
    std::vector<int64_t> validation_;
};

}  // namespace boneage::train

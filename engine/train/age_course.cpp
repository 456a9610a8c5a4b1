#include "engine/train/age_course.h"

#include "engine/pipeline/age_network.h"
#include "kernels/base/error.h"
#include "kernels/base/rng.h"

#include <algorithm>
#include <cmath>

namespace boneage::train {
namespace {

// Draws of this file never meet those of augment(), whose streams are plain counters.
constexpr uint64_t kSexStream = uint64_t{1} << 62;

std::vector<double> ages_of(const AgeCache& cache, std::span<const int64_t> samples) {
    std::vector<double> ages;
    ages.reserve(samples.size());
    for (const int64_t i : samples) {
        ages.push_back(cache.ages_months()[static_cast<size_t>(i)]);
    }
    return ages;
}

// "; here it says validation": what splits are called that are none of ours; empty where there are none.
std::string other_splits(const AgeCache& cache) {
    std::string names;
    for (size_t i = kValSplit + 1; i < cache.split_names().size(); ++i) {
        const std::string& name = cache.split_names()[i];
        names += name.empty() ? "" : (names.empty() ? "; here it says " : ", ") + name;
    }
    return names;
}

}  // namespace

AgeCourse::AgeCourse(const AgeCache& cache, const AgeCourseOptions& options, plan::Backend& backend, int threads,
                     std::unique_ptr<AgeBatches> batches)
    : cache_(cache),
      options_(options),
      workers_(threads),
      batches_(batches ? std::move(batches) : batches_on_host(cache, workers_)),
      training_(cache.of_split(kTrainSplit)),
      validation_(cache.of_split(kValSplit)) {
    if (training_.empty() || validation_.empty()) {
        throw UsageError("the cache has " + std::to_string(training_.size()) + " training and " +
                         std::to_string(validation_.size()) +
                         " validation pictures; prepare it from labels with a column split that says train or val" +
                         other_splits(cache));
    }
    judge_ = batches_->judge({validation_, options.network, options.judged_precision, options.judged_batch}, backend);
    if (options.balance) {
        const std::vector<double> ages = ages_of(cache_, training_);
        sampler_.emplace(ages, age_edges(ages, options.category_months), *options.balance);
    }
}

std::vector<int64_t> AgeCourse::drawn(int64_t epoch) const {
    return sampler_ ? sampler_->epoch(options_.seed, epoch, training_samples() * options_.repeats)
                    : shuffled(training_samples(), options_.repeats, options_.seed, epoch);
}

std::vector<int64_t> AgeCourse::epoch(int64_t epoch) const {
    std::vector<int64_t> samples = drawn(epoch);
    for (int64_t& sample : samples) {
        sample = training_[static_cast<size_t>(sample)];
    }
    return samples;
}

std::optional<SamplingReport> AgeCourse::sampling(int64_t epoch) const {
    return sampler_ ? std::optional(sampler_->report(drawn(epoch))) : std::nullopt;
}

std::vector<int64_t> AgeCourse::draws_per_category(std::span<const int64_t> samples) const {
    if (!sampler_) {
        return {};
    }
    std::vector<int64_t> drawn(samples.begin(), samples.end());
    for (int64_t& sample : drawn) {
        sample = std::ranges::lower_bound(training_, sample) - training_.begin();
    }
    return sampler_->count(drawn);
}

void AgeCourse::fill(std::span<const int64_t> samples, uint64_t first_draw, plan::TrainingExecutor& executor) {
    BatchDraw batch;
    batch.pictures.assign(samples.begin(), samples.end());
    batch.draws = {options_.seed, first_draw};
    batch.augment = options_.augment;

    const pipeline::Recipe::Age& scale = cache_.recipe().age;
    std::vector<float> targets;
    for (const int64_t sample : samples) {
        const double age = cache_.ages_months()[static_cast<size_t>(sample)];
        targets.push_back(static_cast<float>((age - scale.mean_months) / scale.deviation_months));
    }
    batch.inputs = {{"targets", std::move(targets)}, {"weights", std::vector<float>(samples.size(), 1.0F)}};
    if (options_.network.sex_input) {
        std::vector<float> sexes;
        for (size_t i = 0; i < samples.size(); ++i) {
            const bool withheld =
                static_cast<double>(Rng(options_.seed, kSexStream | (first_draw + i)).uniform()) < options_.unknown_sex;
            sexes.push_back(withheld ? 0.0F : cache_.sexes()[static_cast<size_t>(samples[i])]);
        }
        batch.inputs.push_back({"sex", std::move(sexes)});
    }
    batches_->make(batch, executor);
}

Judgement AgeCourse::judge(const plan::ParameterSource& parameters) {
    const std::vector<pipeline::Ages> ages = judge_->estimate(parameters);
    double error = 0;
    double error_unknown = 0;
    for (size_t i = 0; i < ages.size(); ++i) {
        const auto at = static_cast<size_t>(validation_[i]);
        const double truth = cache_.ages_months()[at];
        const float sex = cache_.sexes()[at];
        const double mean = (ages[i].if_male + ages[i].if_female) / 2;
        const double answer = sex == pipeline::kMale     ? ages[i].if_male
                              : sex == pipeline::kFemale ? ages[i].if_female
                                                         : mean;
        error += std::abs(answer - truth);
        error_unknown += std::abs(mean - truth);
    }
    const auto count = static_cast<double>(validation_.size());
    Judgement judgement{error / count, {}};
    if (options_.network.sex_input) {
        judgement.more[kUnknownSexMae] = error_unknown / count;
    }
    return judgement;
}

std::string AgeCourse::fingerprint() const {
    return "ages " + std::to_string(cache_.checksum()) + ", " + std::to_string(training_.size()) + " + " +
           std::to_string(validation_.size()) + " pictures, seed " + std::to_string(options_.seed) + ", augmented " +
           text_of(options_.augment) + ", balance " + (options_.balance ? std::to_string(*options_.balance) : "off") +
           " over " + std::to_string(options_.category_months) + " months, unknown sex " +
           std::to_string(options_.unknown_sex) + ", " + std::to_string(options_.repeats) + " draws of each";
}

}  // namespace boneage::train

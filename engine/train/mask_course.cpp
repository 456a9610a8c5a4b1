#include "engine/train/mask_course.h"

#include "engine/pipeline/stages.h"
#include "engine/train/sampler.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace boneage::train {

double dice(Image<const uint8_t, Host> a, Image<const uint8_t, Host> b) {
    expects(same_size(a, b), "masks to compare have one size");
    int64_t both = 0;
    int64_t either = 0;
    for (int64_t y = 0; y < a.height; ++y) {
        for (int64_t x = 0; x < a.width; ++x) {
            const int in_a = a.at(y, x) >= 128 ? 1 : 0;
            const int in_b = b.at(y, x) >= 128 ? 1 : 0;
            both += in_a * in_b;
            either += in_a + in_b;
        }
    }
    return either == 0 ? 1.0 : 2.0 * static_cast<double>(both) / static_cast<double>(either);
}

MaskCourse::MaskCourse(const MaskCache& cache, const MaskCourseOptions& options, plan::Backend& backend, int threads,
                       std::unique_ptr<Batches> batches)
    : cache_(cache),
      options_(options),
      backend_(backend),
      workers_(threads),
      batches_(batches ? std::move(batches) : batches_on_host(cache, workers_)) {
    std::vector<int64_t> order(static_cast<size_t>(cache.count()));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::ranges::sort(order, {}, [&](int64_t i) { return cache.ids()[static_cast<size_t>(i)]; });
    for (size_t i = 0; i < order.size(); ++i) {
        const bool held_out = static_cast<int64_t>(i + 1) % options.hold_out == 0;
        (held_out ? validation_ : training_).push_back(order[i]);
    }
    if (validation_.empty() || training_.empty()) {
        throw UsageError(
            "of " + std::to_string(cache.count()) + " pictures with masks none can be held out to judge by: " +
            (cache.count() < 2 ? "prepare more"
                               : "one of every " + std::to_string(options.hold_out) +
                                     " is; prepare more, or give --hold-out " + std::to_string(cache.count())));
    }
}

std::vector<int64_t> MaskCourse::epoch(int64_t epoch) const {
    std::vector<int64_t> samples = shuffled(training_samples(), options_.repeats, options_.seed, epoch);
    for (int64_t& sample : samples) {
        sample = training_[static_cast<size_t>(sample)];
    }
    return samples;
}

void MaskCourse::fill(std::span<const int64_t> samples, uint64_t first_draw, plan::TrainingExecutor& executor) {
    BatchDraw batch;
    batch.pictures.assign(samples.begin(), samples.end());
    batch.draws = {options_.seed, first_draw};
    batch.augment = options_.augment;
    batches_->make(batch, executor);
}

pipeline::Segmenter MaskCourse::judged_network(const plan::ParameterSource& parameters) {
    return {{options_.network, parameters}, cache_.recipe().segment, backend_, options_.judged_precision};
}

Judgement MaskCourse::judge(const plan::ParameterSource& parameters) {
    pipeline::Segmenter segmenter = judged_network(parameters);
    HostImage<uint8_t> found;
    double total = 0;
    double total_largest = 0;
    double worst = 1;
    for (const int64_t i : validation_) {
        const Image<const uint8_t, Host> picture = cache_.picture(i);
        found.reshape(picture.height, picture.width);
        if (!segmenter.segment<uint8_t>(workers_, picture, found.view())) {
            return {std::numeric_limits<double>::quiet_NaN(), {}};  // not numbers: no epoch to keep
        }
        const double raw = dice(found.view(), cache_.mask(i));
        total += raw;
        worst = std::min(worst, raw);
        const pipeline::Tools tools{workers_, scratch_};
        pipeline::fill(tools, found.view());
        pipeline::largest(tools, found.view());
        total_largest += dice(found.view(), cache_.mask(i));
    }
    const auto count = static_cast<double>(validation_.size());
    return {total / count, {{kLargestDice, total_largest / count}, {kWorstDice, worst}}};
}

std::string MaskCourse::fingerprint() const {
    return "masks " + std::to_string(cache_.checksum()) + ", " + std::to_string(training_.size()) + " + " +
           std::to_string(validation_.size()) + " pictures, seed " + std::to_string(options_.seed) + ", augmented " +
           text_of(options_.augment) + ", " + std::to_string(options_.repeats) + " patches of each, one of " +
           std::to_string(options_.hold_out) + " held out";
}

}  // namespace boneage::train

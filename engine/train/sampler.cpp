#include "engine/train/sampler.h"

#include "kernels/base/error.h"
#include "kernels/base/rng.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <utility>

namespace boneage::train {
namespace {

constexpr uint64_t kSamplerStreams = uint64_t{1} << 63U;

Rng rng_of(uint64_t seed, int64_t epoch) {
    expects(epoch >= 0, "epochs count from 0");
    return Rng(seed, kSamplerStreams | static_cast<uint64_t>(epoch));
}

// Uniform in [0, 1) with 53 random bits.
double uniform(Rng& rng) {
    const uint64_t high = rng.next_u32();
    const uint64_t low = rng.next_u32();
    return static_cast<double>((high << 32U | low) >> 11U) * 0x1p-53;
}

// Uniform among 0 .. count - 1, without the bias of a remainder: words that would favour some are drawn again.
uint64_t below(Rng& rng, uint64_t count) {
    expects(count > 0 && count < uint64_t{1} << 32U, "a data set has fewer than 2^32 samples");
    const uint64_t surplus = (uint64_t{1} << 32U) % count;
    uint64_t product = 0;
    do {
        product = rng.next_u32() * count;
    } while ((product & 0xFFFFFFFFU) < surplus);
    return product >> 32U;
}

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

void require_samples(bool some) {
    if (!some) {
        throw UsageError("there are no samples to train on");
    }
}

size_t category(const AgeEdges& edges, double age_months, size_t sample) {
    if (!(age_months >= edges.front() && age_months < edges.back())) {  // also true of NaN
        throw UsageError("sample " + std::to_string(sample) + " has an age of " + number(age_months) +
                         " months, outside the age categories from " + number(edges.front()) + " to " +
                         number(edges.back()) + " months; leave it out or give other category edges");
    }
    return static_cast<size_t>(std::upper_bound(edges.begin(), edges.end(), age_months) - edges.begin()) - 1;
}

}  // namespace

AgeEdges age_edges(std::span<const double> ages_months, double width_months) {
    constexpr double kMost = 1000;
    require_samples(!ages_months.empty());
    if (!(std::isfinite(width_months) && width_months > 0)) {
        throw UsageError("age categories must be wider than 0 months");
    }
    for (size_t i = 0; i < ages_months.size(); ++i) {
        if (!(std::isfinite(ages_months[i]) && ages_months[i] >= 0)) {
            throw UsageError("sample " + std::to_string(i) + " has an age of " + number(ages_months[i]) +
                             " months, which is none");
        }
    }
    const double oldest = *std::max_element(ages_months.begin(), ages_months.end());
    if (oldest / width_months >= kMost) {
        throw UsageError("age categories of " + number(width_months) +
                         " months would be more than 1000; make them wider");
    }
    AgeEdges edges{0};
    while (edges.back() <= oldest) {
        edges.push_back(static_cast<double>(edges.size()) * width_months);
    }
    return edges;
}

WeightedSampler::WeightedSampler(std::span<const double> ages_months, AgeEdges edges_months, double power)
    : edges_(std::move(edges_months)) {
    require_samples(!ages_months.empty());
    if (edges_.size() < 2 || !std::all_of(edges_.begin(), edges_.end(), [](double e) { return std::isfinite(e); }) ||
        std::adjacent_find(edges_.begin(), edges_.end(), std::greater_equal<>()) != edges_.end()) {
        throw UsageError("the edges of age categories must be two or more ascending numbers of months");
    }
    if (!(power >= 0 && power <= 1)) {
        throw UsageError(
            "the power of weighted sampling must lie between 0 (as the samples come) and 1 (all ages alike)");
    }
    members_.resize(edges_.size() - 1);
    for (size_t i = 0; i < ages_months.size(); ++i) {
        category_of_.push_back(category(edges_, ages_months[i], i));
        members_[category_of_.back()].push_back(static_cast<int64_t>(i));
    }
    for (const auto& members : members_) {
        weights_.push_back(members.empty() ? 0.0 : std::pow(static_cast<double>(members.size()), -power));
    }
    const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
    double reached = 0;
    for (size_t c = 0; c < weights_.size(); ++c) {
        weights_[c] /= sum;
        reached += static_cast<double>(members_[c].size()) * weights_[c];
        cumulative_.push_back(reached);
    }
    for (double& share : cumulative_) {
        share /= reached;  // the last becomes exactly 1, above every draw, so an empty category is never found
    }
}

std::vector<int64_t> WeightedSampler::epoch(uint64_t seed, int64_t epoch, int64_t draws) const {
    expects(draws >= 0, "an epoch cannot have fewer than 0 draws");
    Rng rng = rng_of(seed, epoch);
    std::vector<int64_t> drawn(static_cast<size_t>(draws));
    for (int64_t& sample : drawn) {
        const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), uniform(rng));
        const auto& members = members_[static_cast<size_t>(found - cumulative_.begin())];
        sample = members[below(rng, members.size())];
    }
    return drawn;
}

std::vector<int64_t> WeightedSampler::count(std::span<const int64_t> drawn) const {
    std::vector<int64_t> counts(members_.size());
    for (const int64_t sample : drawn) {
        ++counts[category_of_.at(static_cast<size_t>(sample))];
    }
    return counts;
}

SamplingReport WeightedSampler::report(std::span<const int64_t> drawn) const {
    SamplingReport report{
        .edges_months = edges_, .samples = {}, .class_weights = weights_, .shares = {}, .draws = count(drawn)};
    double sum = 0;
    double squares = 0;
    for (size_t c = 0; c < members_.size(); ++c) {
        const auto samples = static_cast<double>(members_[c].size());
        report.samples.push_back(static_cast<int64_t>(members_[c].size()));
        report.shares.push_back(cumulative_[c] - (c == 0 ? 0.0 : cumulative_[c - 1]));
        sum += samples * weights_[c];
        squares += samples * weights_[c] * weights_[c];
    }
    report.effective_samples = sum * sum / squares;
    return report;
}

std::string SamplingReport::text() const {
    std::string table = "age category, months    samples     weight    share      draws\n";
    char line[160];
    for (size_t c = 0; c < samples.size(); ++c) {
        const std::string range = number(edges_months[c]) + " to " + number(edges_months[c + 1]);
        std::snprintf(line, sizeof line, "%-20s %10lld %10.3g %6.1f %% %10lld\n", range.c_str(),
                      static_cast<long long>(samples[c]), class_weights[c], 100 * shares[c],
                      static_cast<long long>(draws[c]));
        table += line;
    }
    const int64_t all = std::accumulate(samples.begin(), samples.end(), int64_t{0});
    std::snprintf(line, sizeof line, "effective sample size %.1f of %lld", effective_samples,
                  static_cast<long long>(all));
    return table + line;
}

std::vector<int64_t> shuffled(int64_t samples, int64_t repeats, uint64_t seed, int64_t epoch) {
    require_samples(samples > 0);
    Rng rng = rng_of(seed, epoch);
    std::vector<int64_t> order(static_cast<size_t>(samples * repeats));
    for (size_t i = 0; i < order.size(); ++i) {
        order[i] = static_cast<int64_t>(i) % samples;
    }
    for (size_t left = order.size(); left > 1; --left) {
        std::swap(order[left - 1], order[below(rng, left)]);
    }
    return order;
}

}  // namespace boneage::train

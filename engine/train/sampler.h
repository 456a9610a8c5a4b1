// Which samples an epoch consists of: all of them shuffled, or drawn so that every age is seen about as often.
//
// What an epoch draws depends on the seed and the epoch's number alone, so a resumed training draws what an unbroken
// one would. Philox streams with the highest bit set belong to this file; others of the same seed never meet them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace boneage::train {

// Age categories: category c holds ages in [edges[c], edges[c + 1]).
using AgeEdges = std::vector<double>;

// Categories `width_months` wide from 0 up to the one that holds the oldest. Throws UsageError when there are no ages,
// when one is negative or not finite, or when the width is not positive or makes more than 1000 categories.
AgeEdges age_edges(std::span<const double> ages_months, double width_months = 24);

// What weighted sampling does to a data set, for people to judge.
struct SamplingReport {
    AgeEdges edges_months;
    std::vector<int64_t> samples;       // of each category
    std::vector<double> class_weights;  // w_c; 0 where empty; sums to 1
    std::vector<double> shares;         // of the draws, as expected: n_c * w_c over the sum of those
    std::vector<int64_t> draws;         // of the epoch reported on
    double effective_samples = 0;       // (sum of weights)^2 / (sum of squared weights), over samples: Kish's size

    // A table with a line for each category, and the effective size below.
    [[nodiscard]] std::string text() const;
};

// Draws with replacement (torch's WeightedRandomSampler): every sample has its category's weight
//   w_c = n_c^-power / sum over non-empty categories k of n_k^-power
// With power 1 all non-empty categories are drawn equally often; with 0 all samples are; in between, a mixture:
// category c takes a share of n_c^(1 - power) / sum n_k^(1 - power).
class WeightedSampler {
public:
    // Throws UsageError when there are no samples, when edges are not finite and ascending or fewer than two, when an
    // age is not finite or outside them (naming the first such sample), or when power is not within 0 to 1.
    WeightedSampler(std::span<const double> ages_months, AgeEdges edges_months, double power = 1);

    // Indices of `draws` samples.
    [[nodiscard]] std::vector<int64_t> epoch(uint64_t seed, int64_t epoch, int64_t draws) const;
    // How many of these indices fall into each category.
    [[nodiscard]] std::vector<int64_t> count(std::span<const int64_t> drawn) const;
    // About an epoch of these indices.
    [[nodiscard]] SamplingReport report(std::span<const int64_t> drawn) const;

private:
    AgeEdges edges_;
    std::vector<size_t> category_of_;            // of each sample
    std::vector<std::vector<int64_t>> members_;  // of each category
    std::vector<double> weights_;                // of each category
    std::vector<double> cumulative_;             // shares of the draws up to and including each category
};

// All indices below `samples`, each `repeats` times, in an order of this epoch's own. Throws UsageError when there are
// none.
std::vector<int64_t> shuffled(int64_t samples, int64_t repeats, uint64_t seed, int64_t epoch);

}  // namespace boneage::train

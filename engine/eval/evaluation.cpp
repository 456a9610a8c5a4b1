#include "engine/eval/evaluation.h"

#include "kernels/base/error.h"

#include <algorithm>
#include <cmath>

namespace boneage::eval {
namespace {

using pipeline::Sex;

// Bootstrap streams: one for each group, whichever of them have cases, and one for each comparison.
constexpr uint64_t kComparisonStreams = 1'000'000;

std::vector<Group> group(const std::vector<Case>& cases, const AgeBands& bands, const Bootstrap& bootstrap) {
    std::vector<std::optional<size_t>> all_bands{std::nullopt};
    for (size_t band = 0; band < bands.count(); ++band) {
        all_bands.emplace_back(band);
    }
    const std::vector<std::optional<Sex>> sexes{Sex::female, Sex::male, Sex::unknown};
    std::vector<Group> groups;
    uint64_t stream = 0;
    const auto add = [&](std::optional<Sex> sex, std::optional<size_t> band) {
        std::vector<Case> chosen;
        for (const Case& one : cases) {
            if ((!sex || one.sex == *sex) && (!band || bands.index_of(one.actual_months) == *band)) {
                chosen.push_back(one);
            }
        }
        if (!chosen.empty()) {
            groups.push_back({sex, band, measure(chosen, bootstrap, stream)});
        }
        ++stream;
    };
    add(std::nullopt, std::nullopt);
    for (const auto& sex : sexes) {
        add(sex, std::nullopt);
    }
    for (size_t band = 1; band < all_bands.size(); ++band) {
        add(std::nullopt, all_bands[band]);
    }
    for (const auto& sex : sexes) {
        for (size_t band = 1; band < all_bands.size(); ++band) {
            add(sex, all_bands[band]);
        }
    }
    return groups;
}

std::vector<Case> worst_of(std::vector<Case> cases, int64_t count) {
    std::ranges::sort(cases, [](const Case& a, const Case& b) {
        const double error_a = std::abs(a.error_months());
        const double error_b = std::abs(b.error_months());
        return error_a != error_b ? error_a > error_b : a.id < b.id;
    });
    cases.resize(std::min(cases.size(), static_cast<size_t>(std::max<int64_t>(count, 0))));
    return cases;
}

Cases matched(const LabelTable& labels, const std::filesystem::path& labels_path, const std::filesystem::path& path,
              std::vector<std::string>& exclusions) {
    const PredictionTable predictions = read_predictions(path);
    exclusions.insert(exclusions.end(), predictions.exclusions.begin(), predictions.exclusions.end());
    Cases cases = match(labels, predictions);
    if (cases.rows.empty()) {
        const bool known = cases.coverage.without_label < cases.coverage.predictions;
        throw UsageError(path.string() +
                         (known ? " has no age for any of the radiographs in " : " has none of the radiographs in ") +
                         labels_path.string() +
                         (known ? "; all of them were rejected or failed"
                                : "; a label's id must be the name of the source's file without extension"));
    }
    return cases;
}

}  // namespace

Evaluation evaluate(const Options& options) {
    Evaluation evaluation;
    evaluation.options = options;
    const LabelTable labels = read_labels(options.labels, options.split);
    evaluation.exclusions = labels.exclusions;
    evaluation.cases = matched(labels, options.labels, options.predictions, evaluation.exclusions);
    const std::vector<Case>& cases = evaluation.cases.rows;
    evaluation.groups = group(cases, evaluation.bands, options.bootstrap);
    evaluation.confusion = confuse(cases, evaluation.bands);
    evaluation.worst = worst_of(cases, options.worst);
    for (const auto& [name, path] : options.others) {
        const Cases other = matched(labels, options.labels, path, evaluation.exclusions);
        const uint64_t stream = kComparisonStreams + evaluation.comparisons.size();
        Paired paired = compare(cases, other.rows, options.bootstrap, stream);
        if (paired.own.n == 0) {
            throw UsageError(path.string() + " and " + options.predictions.string() +
                             " have no labelled radiograph in common");
        }
        evaluation.comparisons.push_back({name, path.string(), other.coverage, paired});
    }
    return evaluation;
}

}  // namespace boneage::eval

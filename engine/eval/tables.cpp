#include "engine/eval/tables.h"

#include "engine/eval/published.h"
#include "engine/io/csv.h"
#include "engine/pipeline/sex.h"
#include "kernels/base/error.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace boneage::eval {
namespace {

using json = nlohmann::ordered_json;

json interval_json(const std::optional<Interval>& interval) {
    return interval ? json::array({interval->low, interval->high}) : json();
}

json metrics_json(const Metrics& metrics) {
    return {{"n", metrics.n},
            {"mae_months", metrics.mae_months},
            {"mae_interval_months", interval_json(metrics.mae_interval)},
            {"rmse_months", metrics.rmse_months},
            {"bias_months", metrics.bias_months},
            {"sd_months", metrics.sd_months},
            {"p90_months", metrics.p90_months},
            {"within_6_months", metrics.within_6},
            {"within_12_months", metrics.within_12},
            {"within_24_months", metrics.within_24}};
}

json coverage_json(const Coverage& coverage) {
    return {{"labels", coverage.labels},
            {"scored", coverage.scored},
            {"not_scored", coverage.not_scored},
            {"label_rows_excluded", coverage.label_exclusions},
            {"predictions", coverage.predictions},
            {"prediction_rows_excluded", coverage.prediction_exclusions},
            {"predictions_without_label", coverage.without_label},
            {"told_other_sex", coverage.told_other_sex},
            {"told_no_sex", coverage.told_no_sex}};
}

json case_json(const Case& one) {
    return {{"id", one.id},
            {"source", one.source},
            {"sex", pipeline::text(one.sex)},
            {"labelled_months", one.actual_months},
            {"predicted_months", one.predicted_months},
            {"error_months", one.error_months()}};
}

json comparison_json(const Comparison& comparison) {
    const Paired& paired = comparison.paired;
    return {{"name", comparison.name},
            {"predictions", comparison.file},
            {"coverage", coverage_json(comparison.coverage)},
            {"in_common", paired.own.n},
            {"this", metrics_json(paired.own)},
            {"other", metrics_json(paired.other)},
            {"mae_difference_months", paired.mae_difference_months},
            {"mae_difference_interval_months", interval_json(paired.interval)},
            {"this_closer", paired.own_closer},
            {"other_closer", paired.other_closer}};
}

json published_json() {
    json figures = json::array();
    for (const PublishedFigure& figure : published_figures()) {
        figures.push_back({{"who", figure.who},
                           {"mae_months", figure.mae_months ? json(*figure.mae_months) : json()},
                           {"rmse_months", figure.rmse_months ? json(*figure.rmse_months) : json()},
                           {"measured_on", figure.measured_on},
                           {"citation", figure.citation}});
    }
    return figures;
}

std::string number(double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.4f", value);
    return std::isfinite(value) ? text : "";
}

}  // namespace

std::string sex_name(const Group& group) {
    return group.sex ? pipeline::text(*group.sex) : "all";
}

std::string band_name(const Evaluation& evaluation, const Group& group) {
    return group.band ? evaluation.bands.name(*group.band) : "all";
}

std::string json_text(const Evaluation& evaluation) {
    const Options& options = evaluation.options;
    json root;
    root["predictions"] = options.predictions.string();
    root["labels"] = options.labels.string();
    root["split"] = options.split ? json(*options.split) : json();
    root["seed"] = options.bootstrap.seed;
    root["bootstrap_resamples"] = options.bootstrap.resamples;
    root["coverage"] = coverage_json(evaluation.cases.coverage);
    root["exclusions"] = evaluation.exclusions;
    root["overall"] = metrics_json(evaluation.overall());
    json groups = json::array();
    for (const Group& group : evaluation.groups) {
        json row{{"sex", sex_name(group)}, {"band", band_name(evaluation, group)}};
        row.update(metrics_json(group.metrics));
        groups.push_back(row);
    }
    root["groups"] = groups;
    json bands = json::array();
    for (size_t band = 0; band < evaluation.bands.count(); ++band) {
        bands.push_back(evaluation.bands.name(band));
    }
    root["age_categories"] = {{"bands", bands},
                              {"accuracy", evaluation.confusion.accuracy},
                              {"within_one_band", evaluation.confusion.within_one},
                              {"counts_by_labelled_then_predicted", evaluation.confusion.counts}};
    json comparisons = json::array();
    for (const Comparison& comparison : evaluation.comparisons) {
        comparisons.push_back(comparison_json(comparison));
    }
    root["comparisons"] = comparisons;
    root["published_on_other_test_sets"] = published_json();
    json worst = json::array();
    for (const Case& one : evaluation.worst) {
        worst.push_back(case_json(one));
    }
    root["worst"] = worst;
    // Names of files need not be UTF-8, JSON must be.
    return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string csv_text(const Evaluation& evaluation) {
    char* memory = nullptr;
    size_t size = 0;
    std::FILE* stream = ::open_memstream(&memory, &size);
    if (stream == nullptr) {
        throw Error("there is no memory for metrics.csv");
    }
    {
        io::CsvWriter writer(stream, "metrics.csv");
        writer.row({"sex", "band", "n", "mae_months", "mae_low", "mae_high", "rmse_months", "bias_months", "sd_months",
                    "p90_months", "within_6", "within_12", "within_24"});
        for (const Group& group : evaluation.groups) {
            const Metrics& m = group.metrics;
            writer.row({sex_name(group), band_name(evaluation, group), std::to_string(m.n), number(m.mae_months),
                        m.mae_interval ? number(m.mae_interval->low) : "",
                        m.mae_interval ? number(m.mae_interval->high) : "", number(m.rmse_months),
                        number(m.bias_months), number(m.sd_months), number(m.p90_months), number(m.within_6),
                        number(m.within_12), number(m.within_24)});
        }
        writer.flush();
    }
    std::fclose(stream);
    std::string text(memory, size);
    std::free(memory);
    return text;
}

}  // namespace boneage::eval

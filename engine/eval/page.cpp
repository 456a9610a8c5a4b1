#include "engine/eval/page.h"

#include "engine/eval/html.h"
#include "engine/eval/page_style.h"
#include "engine/eval/page_tables.h"
#include "engine/pipeline/sex.h"

#include <cmath>

namespace boneage::eval {
namespace {

std::string count_text(int64_t count, const char* singular, const char* plural) {
    return std::to_string(count) + " " + (count == 1 ? singular : plural);
}

std::string fact(const std::string& value, const std::string& what) {
    return "<li><b>" + value + "</b><span>" + what + "</span></li>\n";
}

std::string headline(const Evaluation& evaluation) {
    const Metrics& all = evaluation.overall();
    const std::string interval = all.mae_interval ? "95\xC2\xA0% interval " + decimal(all.mae_interval->low, 2) +
                                                        " to " + decimal(all.mae_interval->high, 2)
                                                  : "no interval of one radiograph";
    return R"(<ul class="facts">)" + std::string("\n") +
           fact(decimal(all.mae_months, 2), "months mean absolute error, " + interval) +
           fact(decimal(all.rmse_months, 2), "months root mean square error") +
           fact(decimal(all.bias_months, 2), "months bias (predicted minus labelled)") +
           fact(decimal(all.p90_months, 1), "months: nine in ten are closer than this") +
           fact(percent(all.within_12), "within 12 months of the label") +
           fact(std::to_string(all.n), "radiographs with a label and an age") + "</ul>\n";
}

std::string plots(const std::vector<Plot>& plots) {
    if (plots.empty()) {
        return "";
    }
    std::string html = "<h2>Plots</h2>\n<div class=\"plots\">\n";
    for (const Plot& plot : plots) {
        std::string svg = plot.svg;
        svg.insert(4, R"( role="img" aria-label=")" + escaped(plot.title) + "\"");
        html += "<figure><h3>" + escaped(plot.title) + "</h3>" + svg + "<figcaption>" + escaped(plot.caption) +
                "</figcaption></figure>\n";
    }
    return html + "</div>\n";
}

std::string worst_case(const Case& one, const Thumbnails* thumbnails) {
    std::string html = "<div class=\"case\"><h3>" + escaped(one.id) + "</h3><span class=\"soft\">labelled " +
                       decimal(one.actual_months, 1) + " months, predicted " + decimal(one.predicted_months, 1) +
                       ", error " + decimal(one.error_months(), 1) + ", sex " + pipeline::text(one.sex) + "; " +
                       escaped(one.source) + "</span>\n";
    if (thumbnails != nullptr) {
        html += "<div class=\"stages\">\n";
        for (const Thumbnail& picture : thumbnails->pictures) {
            html += "<figure><img alt=\"" + escaped(picture.stage) + " of " + escaped(one.id) + "\" width=\"" +
                    std::to_string(picture.width) + "\" height=\"" + std::to_string(picture.height) +
                    "\" src=\"data:image/png;base64," + base64(picture.png) + "\"><figcaption>" +
                    escaped(picture.stage) + "</figcaption></figure>\n";
        }
        html += "</div>\n";
        for (const std::string& problem : thumbnails->problems) {
            html += "<p class=\"note\">" + escaped(problem) + "</p>\n";
        }
    }
    return html + "</div>\n";
}

std::string worst(const Evaluation& evaluation, const PageExtras& extras) {
    if (evaluation.worst.empty()) {
        return "";
    }
    std::string html = "<h2>Worst cases</h2>\n<p class=\"soft\">The " +
                       count_text(static_cast<int64_t>(evaluation.worst.size()), "radiograph", "radiographs") +
                       " with the largest errors, the largest first" +
                       (extras.worst.empty() ? "." : ", with what each stage of the pipeline made of them.") + "</p>\n";
    for (size_t i = 0; i < evaluation.worst.size(); ++i) {
        html += worst_case(evaluation.worst[i], i < extras.worst.size() ? &extras.worst[i] : nullptr);
    }
    return html;
}

std::string notes(const Evaluation& evaluation, const PageExtras& extras) {
    std::string html;
    const auto list = [&html](const char* heading, const std::vector<std::string>& lines) {
        // A page must stay readable when half of a table is broken; report.json has them all.
        constexpr size_t kShown = 200;
        html += std::string("<details><summary>") + heading + " (" + std::to_string(lines.size()) + ")</summary><ul>\n";
        for (size_t i = 0; i < lines.size() && i < kShown; ++i) {
            html += "<li class=\"note\">" + escaped(lines[i]) + "</li>\n";
        }
        if (lines.size() > kShown) {
            html += "<li class=\"note\">and " + std::to_string(lines.size() - kShown) + " more, in report.json</li>\n";
        }
        html += "</ul></details>\n";
    };
    if (!evaluation.exclusions.empty()) {
        list("Rows that were left out", evaluation.exclusions);
    }
    if (!extras.notes.empty()) {
        list("Notes", extras.notes);
    }
    return html;
}

std::string what_was_done(const Evaluation& evaluation) {
    const Options& options = evaluation.options;
    return "<p class=\"soft\">Predictions <code>" + escaped(options.predictions.string()) +
           "</code> against labels <code>" + escaped(options.labels.string()) + "</code>" +
           (options.split ? ", split <code>" + escaped(*options.split) + "</code>" : "") + ".</p>\n";
}

}  // namespace

std::string page_text(const Evaluation& evaluation, const PageExtras& extras) {
    const Options& options = evaluation.options;
    return std::string(
               "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
               "<title>Bone age: predictions against labels</title>\n<style>") +
           kPageStyle + "</style>\n</head>\n<body>\n<main>\n<h1>Bone age: predictions against labels</h1>\n" +
           what_was_done(evaluation) +
           "<p class=\"use\"><b>Research use only.</b> boneage is not a medical device, and its ages must not guide "
           "the care of anybody.</p>\n" +
           headline(evaluation) + coverage_section(evaluation) + notes(evaluation, extras) + plots(extras.plots) +
           groups_section(evaluation) + categories_section(evaluation) + comparison_section(evaluation) +
           worst(evaluation, extras) +
           "<footer>Errors are predicted minus labelled months. Intervals are 95\xC2\xA0% percentile intervals of the "
           "bootstrap over radiographs, " +
           std::to_string(options.bootstrap.resamples) + " resamples, seed " + std::to_string(options.bootstrap.seed) +
           ". The same numbers stand in report.json and metrics.csv. Labels are human readings with an error of their "
           "own, so a perfect estimate would not have an error of zero here.</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace boneage::eval

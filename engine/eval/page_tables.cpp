#include "engine/eval/page_tables.h"

#include "engine/eval/html.h"
#include "engine/eval/published.h"
#include "engine/eval/tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

namespace boneage::eval {
namespace {

constexpr const char* kNone = "\xE2\x80\x93";

std::string cell(const std::string& html, const char* kind = "") {
    return (*kind != '\0' ? std::string("<td class=\"") + kind + "\">" : "<td>") + html + "</td>";
}

std::string head(const std::string& html, const char* kind = "") {
    return std::string("<th scope=\"col\"") + (*kind != '\0' ? std::string(" class=\"") + kind + "\"" : "") + ">" +
           html + "</th>";
}

std::string range(const std::optional<Interval>& interval, int digits) {
    return interval ? decimal(interval->low, digits) + " to " + decimal(interval->high, digits) : kNone;
}

std::string sex_words(const Group& group) {
    const std::string name = sex_name(group);
    return name == "F" ? "girls" : name == "M" ? "boys" : name;
}

std::string row(const char* label, int64_t count) {
    return std::string("<tr><th scope=\"row\">") + label + "</th>" + cell(std::to_string(count)) + "</tr>\n";
}

}  // namespace

std::string coverage_section(const Evaluation& evaluation) {
    const Coverage& coverage = evaluation.cases.coverage;
    std::string html = "<h2>What was scored</h2>\n<div class=\"scroll\"><table>\n<thead><tr>" +
                       head("Radiographs with a label", "text") + head("n") + "</tr></thead>\n<tbody>\n" +
                       row("all", coverage.labels) + row("with an age: measured here", coverage.scored);
    for (const auto& [fate, count] : coverage.not_scored) {
        html += row(("without an age, " + escaped(fate)).c_str(), count);
    }
    html += "</tbody>\n</table></div>\n<p class=\"soft\">";
    const auto say = [&html](int64_t count, const char* what) {
        if (count > 0) {
            html += std::string(what) + ": " + std::to_string(count) + ". ";
        }
    };
    say(coverage.without_label, "Predictions without a label here, not used");
    say(coverage.label_exclusions, "Label rows that cannot be used");
    say(coverage.prediction_exclusions, "Prediction rows that repeat earlier ones");
    say(coverage.told_other_sex, "Ages given for the other sex than the labelled one");
    say(coverage.told_no_sex, "Ages given without the sex");
    return html + "</p>\n";
}

std::string groups_section(const Evaluation& evaluation) {
    std::string html = "<h2>By sex and age</h2>\n<div class=\"scroll\"><table>\n<thead><tr>" + head("Sex", "text") +
                       head("Labelled age,<br>months", "text");
    for (const char* name : {"n", "MAE", "95\xC2\xA0% interval", "RMSE", "Bias", "P90",
                             "\xE2\x89\xA4\xC2\xA0"
                             "6",
                             "\xE2\x89\xA4\xC2\xA0"
                             "12",
                             "\xE2\x89\xA4\xC2\xA0"
                             "24 months"}) {
        html += head(name);
    }
    html += "</tr></thead>\n<tbody>\n";
    std::string before = "all";
    for (const Group& group : evaluation.groups) {
        const Metrics& m = group.metrics;
        const bool bands_begin = group.band && before == "all";
        const bool sex_changes = group.band && before != "all" && before != sex_name(group) + "+";
        before = group.band ? sex_name(group) + "+" : "all";
        html += std::string("<tr class=\"") + (group.band ? "" : "total") +
                (bands_begin || sex_changes ? " first" : "") + R"("><th scope="row">)" + sex_words(group) + "</th>" +
                cell(escaped(band_name(evaluation, group)), "text") + cell(std::to_string(m.n)) +
                cell(decimal(m.mae_months, 2)) + cell(range(m.mae_interval, 2)) + cell(decimal(m.rmse_months, 2)) +
                cell(decimal(m.bias_months, 2)) + cell(decimal(m.p90_months, 1)) + cell(percent(m.within_6)) +
                cell(percent(m.within_12)) + cell(percent(m.within_24)) + "</tr>\n";
    }
    return html +
           "</tbody>\n</table></div>\n<p class=\"soft\">MAE: mean absolute error. RMSE: root mean square error. Bias: "
           "mean of "
           "predicted minus labelled. P90: nine in ten errors are smaller. All in months. Intervals of few radiographs "
           "are rough.</p>\n";
}

std::string categories_section(const Evaluation& evaluation) {
    const Confusion& confusion = evaluation.confusion;
    const AgeBands& bands = evaluation.bands;
    std::string html =
        "<h2>Age categories</h2>\n<p>The predicted age falls into the labelled age's band in " +
        percent(confusion.accuracy) + " of the radiographs, into that or a neighbouring one in " +
        percent(confusion.within_one) +
        ".</p>\n<div class=\"scroll\"><table class=\"matrix\">\n<caption>Radiographs by labelled (rows) and "
        "predicted (columns) age in months</caption>\n<thead><tr><th></th>";
    for (size_t band = 0; band < bands.count(); ++band) {
        html += head(escaped(bands.name(band)));
    }
    html += head("right") + "</tr></thead>\n<tbody>\n";
    for (size_t actual = 0; actual < bands.count(); ++actual) {
        const std::vector<int64_t>& counts = confusion.counts[actual];
        int64_t total = 0;
        for (const int64_t count : counts) {
            total += count;
        }
        html += "<tr><th scope=\"row\">" + escaped(bands.name(actual)) + "</th>";
        for (const int64_t count : counts) {
            const double share = total > 0 ? static_cast<double>(count) / static_cast<double>(total) : 0.0;
            char style[160];
            std::snprintf(style, sizeof style, "<td style=\"background:rgba(0,114,178,%.3f);color:%s\">%s</td>",
                          0.85 * share, share > 0.8 ? "#fff" : "#1b1f23",
                          count > 0 ? std::to_string(count).c_str() : "");
            html += style;
        }
        html += cell(total > 0 ? percent(static_cast<double>(counts[actual]) / static_cast<double>(total)) : kNone) +
                "</tr>\n";
    }
    return html + "</tbody>\n</table></div>\n";
}

std::string comparison_section(const Evaluation& evaluation) {
    const auto figures = published_figures();
    std::string html = "<h2>Comparison</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th></th>" + head("This");
    for (const Comparison& comparison : evaluation.comparisons) {
        html += head(escaped(comparison.name));
    }
    for (size_t i = 0; i < figures.size(); ++i) {
        html += head(escaped(figures[i].who) + "<br><span class=\"soft\">published, other test set [" +
                         std::to_string(i + 1) + "]</span>",
                     "published");
    }
    html += "</tr></thead>\n<tbody>\n";
    const auto add = [&](const char* label, const std::string& own,
                         const std::function<std::string(const Paired&)>& other,
                         std::optional<double> PublishedFigure::*published) {
        html += std::string("<tr><th scope=\"row\">") + label + "</th>" + cell(own);
        for (const Comparison& comparison : evaluation.comparisons) {
            html += cell(other(comparison.paired));
        }
        for (const PublishedFigure& figure : figures) {
            const bool has = published != nullptr && (figure.*published).has_value();
            html += cell(has ? decimal(*(figure.*published), 1) : kNone, "published");
        }
        html += "</tr>\n";
    };
    const Metrics& all = evaluation.overall();
    add(
        "MAE, months", decimal(all.mae_months, 2), [](const Paired& p) { return decimal(p.other.mae_months, 2); },
        &PublishedFigure::mae_months);
    add(
        "95\xC2\xA0% interval", range(all.mae_interval, 2),
        [](const Paired& p) { return range(p.other.mae_interval, 2); }, nullptr);
    add(
        "RMSE, months", decimal(all.rmse_months, 2), [](const Paired& p) { return decimal(p.other.rmse_months, 2); },
        &PublishedFigure::rmse_months);
    add(
        "Bias, months", decimal(all.bias_months, 2), [](const Paired& p) { return decimal(p.other.bias_months, 2); },
        nullptr);
    add(
        "P90, months", decimal(all.p90_months, 1), [](const Paired& p) { return decimal(p.other.p90_months, 1); },
        nullptr);
    add(
        "within 12 months", percent(all.within_12), [](const Paired& p) { return percent(p.other.within_12); },
        nullptr);
    if (!evaluation.comparisons.empty()) {
        add(
            "radiographs in common", std::to_string(all.n), [](const Paired& p) { return std::to_string(p.other.n); },
            nullptr);
        add(
            "this one's MAE on those", decimal(all.mae_months, 2),
            [](const Paired& p) { return decimal(p.own.mae_months, 2); }, nullptr);
        add(
            "its MAE minus this one's", kNone, [](const Paired& p) { return decimal(p.mae_difference_months, 2); },
            nullptr);
        add(
            "95\xC2\xA0% interval of that", kNone, [](const Paired& p) { return range(p.interval, 2); }, nullptr);
        add(
            "it is closer on", kNone, [](const Paired& p) { return std::to_string(p.other_closer); }, nullptr);
        add(
            "this one is closer on", kNone, [](const Paired& p) { return std::to_string(p.own_closer); }, nullptr);
    }
    html += "</tbody>\n</table></div>\n";
    if (!evaluation.comparisons.empty()) {
        html +=
            "<p class=\"soft\">Other predictions are measured on the radiographs that both have an age for; "
            "differences are "
            "paired.</p>\n";
    }
    html +=
        "<p class=\"soft\">Published figures come from other radiographs, other readers and other reference ages: they "
        "give an idea of the scale, and decide nothing.</p>\n<ol class=\"sources\">\n";
    for (const PublishedFigure& figure : figures) {
        html += "<li>" + escaped(figure.who) + ": " + escaped(figure.measured_on) + ". " + escaped(figure.citation) +
                "</li>\n";
    }
    return html + "</ol>\n";
}

}  // namespace boneage::eval

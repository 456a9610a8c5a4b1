#include "engine/eval/plots.h"

#include "engine/eval/gnuplot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace boneage::eval {
namespace {

using pipeline::Sex;

struct SexStyle {
    Sex sex;
    const char* name;
    const char* colour;
};
// Okabe and Ito's colours, which the colour-blind tell apart.
constexpr SexStyle kSexes[] = {
    {Sex::female, "girls", "#D55E00"}, {Sex::male, "boys", "#0072B2"}, {Sex::unknown, "sex unknown", "#555555"}};

constexpr const char* kCommon =
    "set border 3 lc rgb '#666666'\nset tics nomirror out scale 0.5 tc rgb '#333333'\nset grid lc rgb '#E4E4E4' lt 1\n"
    "set key top left reverse Left samplen 1 tc rgb '#333333'\n";

std::string text(const char* format, auto... values) {
    char line[512];
    std::snprintf(line, sizeof line, format, values...);
    return line;
}

bool has(const Evaluation& evaluation, Sex sex) {
    return std::ranges::any_of(evaluation.cases.rows, [sex](const Case& one) { return one.sex == sex; });
}

// Datablocks $girls, $boys, $unknown of the cases' points, and the plot clauses that draw them.
struct Points {
    std::string data;
    std::string clauses;
};
Points points(const Evaluation& evaluation, auto&& x, auto&& y) {
    Points made;
    // Many points would cover each other.
    const char* size = evaluation.cases.rows.size() < 300 ? "0.6" : "0.35";
    int index = 0;
    for (const SexStyle& style : kSexes) {
        if (!has(evaluation, style.sex)) {
            continue;
        }
        const std::string block = "$points" + std::to_string(index++);
        made.data += block + " << EOD\n";
        for (const Case& one : evaluation.cases.rows) {
            if (one.sex == style.sex) {
                made.data += text("%.2f %.2f\n", x(one), y(one));
            }
        }
        made.data += "EOD\n";
        made.clauses +=
            text(", %s with points pt 7 ps %s lc rgb '%s' title '%s'", block.c_str(), size, style.colour, style.name);
    }
    return made;
}

// The range of ages that both axes of the scatter show.
std::pair<double, double> age_range(const Evaluation& evaluation) {
    double low = kMinAgeMonths;
    double high = kMaxAgeMonths;
    for (const Case& one : evaluation.cases.rows) {
        low = std::min(low, one.predicted_months);
        high = std::max(high, one.predicted_months);
    }
    return {12.0 * std::floor(low / 12.0), 12.0 * std::ceil(high / 12.0)};
}

Drawing scatter(const Evaluation& evaluation) {
    const auto [low, high] = age_range(evaluation);
    const Points made = points(
        evaluation, [](const Case& one) { return one.actual_months; },
        [](const Case& one) { return one.predicted_months; });
    std::string commands = made.data + kCommon;
    commands += text("set xrange [%g:%g]\nset yrange [%g:%g]\nset size square\n", low, high, low, high);
    commands +=
        "set xlabel 'labelled age, months'\nset ylabel 'predicted age, months'\nset xtics 24\nset ytics 24\n"
        "plot x with lines lc rgb '#333333' lw 1 title 'equal', x+12 with lines lc rgb '#999999' dt 2 title "
        "'12 months off', x-12 with lines lc rgb '#999999' dt 2 notitle" +
        made.clauses + "\n";
    return {"scatter", commands, 560, 580};
}

Drawing bland_altman(const Evaluation& evaluation) {
    const Metrics& all = evaluation.overall();
    const double spread = std::isnan(all.sd_months) ? 0.0 : 1.96 * all.sd_months;
    const Points made = points(
        evaluation, [](const Case& one) { return (one.actual_months + one.predicted_months) / 2.0; },
        [](const Case& one) { return one.error_months(); });
    std::string commands = made.data + kCommon;
    commands += text(
        "set xlabel 'mean of predicted and labelled age, months'\nset ylabel 'predicted - labelled, months'\n"
        "set xtics 24\nset key outside top left horizontal maxrows 2\n"
        "plot %.6f with lines lc rgb '#333333' lw 1.5 title 'bias %.1f', %.6f with lines lc rgb '#999999' dt 2 title "
        "'limits of agreement %.1f and %.1f', %.6f with lines lc rgb '#999999' dt 2 notitle",
        all.bias_months, all.bias_months, all.bias_months + spread, all.bias_months - spread, all.bias_months + spread,
        all.bias_months - spread);
    return {"agreement", commands + made.clauses + "\n", 560, 340};
}

// Mean absolute error of every band, girls and boys side by side, with the intervals as bars.
Drawing error_by_age(const Evaluation& evaluation) {
    const AgeBands& bands = evaluation.bands;
    std::string data;
    std::string clauses;
    double offset = -0.16;
    int index = 0;
    for (const SexStyle& style : kSexes) {
        if (!has(evaluation, style.sex)) {
            continue;
        }
        const std::string block = "$errors" + std::to_string(index++);
        data += block + " << EOD\n";
        for (const Group& group : evaluation.groups) {
            if (group.sex == style.sex && group.band) {
                const double mae = group.metrics.mae_months;
                const Interval interval = group.metrics.mae_interval.value_or(Interval{mae, mae});
                data += text("%.3f %.4f %.4f %.4f\n", static_cast<double>(*group.band) + offset, mae, interval.low,
                             interval.high);
            }
        }
        data += "EOD\n";
        offset += 0.16;
        clauses += text("%s%s with yerrorbars pt 7 ps 0.7 lw 1.5 lc rgb '%s' title '%s'", clauses.empty() ? "" : ", ",
                        block.c_str(), style.colour, style.name);
    }
    std::string commands = data + kCommon + "set xtics (";
    for (size_t band = 0; band < bands.count(); ++band) {
        commands += text("%s'%s' %zu", band > 0 ? ", " : "", bands.name(band).c_str(), band);
    }
    commands += text(
        ") rotate by 35 right\nset key outside top left horizontal\nset xrange [-0.6:%.1f]\nset yrange [0:*]\nset "
        "xlabel 'labelled age, months'\n"
        "set ylabel 'mean absolute error, months'\nplot %.6f with lines lc rgb '#333333' dt 2 title 'all: %.1f', ",
        static_cast<double>(bands.count()) - 0.4, evaluation.overall().mae_months, evaluation.overall().mae_months);
    return {"byage", commands + clauses + "\n", 560, 330};
}

// One curve over the epochs; no commands when the log has no such numbers.
Drawing curve(const TrainingLog& log, std::string name, std::optional<double> Epoch::*value, const char* label,
              bool logarithmic) {
    std::string data;
    bool positive = true;
    for (const Epoch& epoch : log.epochs) {
        if (const std::optional<double> number = epoch.*value) {
            data += text("%lld %.9g\n", static_cast<long long>(epoch.epoch), *number);
            positive = positive && *number > 0.0;
        }
    }
    if (data.empty()) {
        return {};
    }
    std::string commands = "$curve << EOD\n" + data + "EOD\n" + kCommon + "unset key\nset xlabel 'epoch'\n";
    commands += text("set ylabel '%s'\n", label);
    commands += logarithmic && positive ? "set logscale y\nset format y '%.1e'\n" : "";
    commands += "set offsets 0.5, 0.5, graph 0.05, graph 0.05\nplot $curve with ";
    commands += logarithmic ? "steps" : "linespoints pt 7 ps 0.3";
    commands += " lw 1.5 lc rgb '#0072B2'\n";
    return {std::move(name), commands, 500, 340};
}

}  // namespace

std::vector<Plot> make_plots(const Evaluation& evaluation, const std::optional<TrainingLog>& log) {
    std::vector<Plot> plots{
        {"Predicted against labelled age", "Each point is one radiograph; on the solid line both ages are equal.", ""},
        {"Bland-Altman",
         "Difference against mean of both ages; between the dashed lines (bias \xC2\xB1 1.96 standard deviations) lie "
         "95 % of normally distributed errors.",
         ""},
        {"Error by age", "Mean absolute error of each age band with its 95 % bootstrap interval.", ""}};
    std::vector<Drawing> drawings{scatter(evaluation), bland_altman(evaluation), error_by_age(evaluation)};
    const auto add = [&](Drawing drawing, const char* title, const char* caption) {
        if (!drawing.commands.empty()) {
            drawings.push_back(std::move(drawing));
            plots.push_back({title, caption, ""});
        }
    };
    if (log) {
        add(curve(*log, "loss", &Epoch::train_loss, "training loss", false), "Training loss",
            "Mean loss of the training radiographs in each epoch.");
        add(curve(*log, "validation", &Epoch::val_mae_months, "validation MAE, months", false), "Validation error",
            "Mean absolute error of the validation radiographs after each epoch.");
        add(curve(*log, "rate", &Epoch::learning_rate, "learning rate", true), "Learning rate",
            "Step size of the optimiser in each epoch.");
    }
    const std::vector<std::string> elements = draw(drawings);
    for (size_t i = 0; i < plots.size(); ++i) {
        plots[i].svg = elements[i];
    }
    return plots;
}

}  // namespace boneage::eval

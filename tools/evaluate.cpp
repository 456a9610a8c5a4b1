// boneage evaluate: ages against labels, as a report.
#include "engine/errors.h"
#include "engine/eval/gnuplot.h"
#include "engine/eval/report.h"
#include "engine/eval/tables.h"
#include "tools/commands.h"
#include "tools/numbers.h"
#include "tools/options.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>

namespace boneage::tools {
namespace {

constexpr int64_t kThumbnailSide = 132;

struct EvaluateOptions {
    eval::Options numbers;
    std::string predictions;
    std::string labels;
    std::string out;
    std::string split;
    std::vector<std::string> others;
    std::string log;
    std::string stages;
    bool no_plots = false;
};

// NAME=FILE of --compare.
std::pair<std::string, std::filesystem::path> named_file(const std::string& text) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
        throw UsageError("--compare " + text + " is not NAME=FILE, such as --compare baseline=other.csv");
    }
    return {text.substr(0, equals), text.substr(equals + 1)};
}

eval::Options options_of(const EvaluateOptions& options) {
    eval::Options numbers = options.numbers;
    numbers.predictions = options.predictions;
    numbers.labels = options.labels;
    numbers.split = options.split.empty() ? std::nullopt : std::optional(options.split);
    std::set<std::string> names;
    for (const std::string& other : options.others) {
        numbers.others.push_back(named_file(other));
        if (!names.insert(numbers.others.back().first).second) {
            throw UsageError("--compare gives the name \"" + numbers.others.back().first + "\" twice");
        }
    }
    return numbers;
}

std::string interval_text(const std::optional<eval::Interval>& interval) {
    if (!interval) {
        return "";
    }
    char text[80];
    std::snprintf(text, sizeof text, "%.2f..%.2f", interval->low, interval->high);
    return text;
}

void print_row(const std::string& sex, const std::string& band, const eval::Metrics& m) {
    std::printf("%-8s %-8s %6lld %7.2f  %-14s %7.2f %7.2f %7.1f %6.1f %6.1f %6.1f\n", sex.c_str(), band.c_str(),
                static_cast<long long>(m.n), m.mae_months, interval_text(m.mae_interval).c_str(), m.rmse_months,
                m.bias_months, m.p90_months, 100.0 * m.within_6, 100.0 * m.within_12, 100.0 * m.within_24);
}

// All, each sex, each band; sex x band stands in the report.
void print_summary(const eval::Evaluation& evaluation) {
    std::printf("%-8s %-8s %6s %7s  %-14s %7s %7s %7s %6s %6s %6s\n", "sex", "months", "n", "MAE", "95 % interval",
                "RMSE", "bias", "P90", "<=6 %", "<=12 %", "<=24 %");
    for (const eval::Group& group : evaluation.groups) {
        if (!group.sex || !group.band) {
            print_row(eval::sex_name(group), eval::band_name(evaluation, group), group.metrics);
        }
    }
    std::printf("\nage band right in %.1f %%, or next to it in %.1f %%\n", 100.0 * evaluation.confusion.accuracy,
                100.0 * evaluation.confusion.within_one);
    for (const eval::Comparison& other : evaluation.comparisons) {
        const eval::Paired& paired = other.paired;
        const std::string interval = interval_text(paired.interval);
        std::printf("%s: MAE %.2f, this one's %.2f, on %lld radiographs in common; difference %+.2f%s%s\n",
                    other.name.c_str(), paired.other.mae_months, paired.own.mae_months,
                    static_cast<long long>(paired.own.n), paired.mae_difference_months,
                    interval.empty() ? "" : ", 95 % interval ", interval.c_str());
    }
    const eval::Coverage& coverage = evaluation.cases.coverage;
    std::printf("\n%lld of %lld labelled radiographs have an age\n", static_cast<long long>(coverage.scored),
                static_cast<long long>(coverage.labels));
    for (const auto& [fate, count] : coverage.not_scored) {
        std::printf("%8lld  %s\n", static_cast<long long>(count), fate.c_str());
    }
}

// What was left out, for people; the report has all of it.
void print_cautions(const eval::Evaluation& evaluation) {
    const eval::Coverage& coverage = evaluation.cases.coverage;
    const auto say = [](int64_t count, const char* what) {
        if (count > 0) {
            std::fprintf(stderr, "%s: %lld\n", what, static_cast<long long>(count));
        }
    };
    say(coverage.without_label, "predictions without a label here, not used");
    say(coverage.told_other_sex, "ages given for the other sex than the labelled one");
    say(coverage.told_no_sex, "ages given without the sex");
    constexpr size_t kShown = 5;
    for (size_t i = 0; i < evaluation.exclusions.size() && i < kShown; ++i) {
        std::fprintf(stderr, "left out: %s\n", evaluation.exclusions[i].c_str());
    }
    if (evaluation.exclusions.size() > kShown) {
        std::fprintf(stderr, "left out: %zu rows in all; report.json lists them\n", evaluation.exclusions.size());
    }
}

ExitCode run_evaluate(const EvaluateOptions& options) {
    const eval::Options numbers = options_of(options);
    if (!options.no_plots) {
        eval::require_gnuplot();
    }
    if (!options.stages.empty() && !std::filesystem::is_directory(options.stages)) {
        throw UsageError(options.stages + " is no folder; give the one that `boneage score --stages` made");
    }
    std::optional<eval::TrainingLog> log;
    if (!options.log.empty()) {
        log = eval::read_training_log(options.log);
    }
    const eval::Evaluation evaluation = eval::evaluate(numbers);
    eval::PageExtras extras;
    if (log) {
        extras.notes = log->notes;
    }
    if (!options.no_plots) {
        extras.plots = eval::make_plots(evaluation, log);
    }
    if (!options.stages.empty()) {
        for (const eval::Case& one : evaluation.worst) {
            extras.worst.push_back(eval::stage_thumbnails(options.stages, one.id, kThumbnailSide));
        }
    }
    eval::write_report(options.out, evaluation, extras);
    print_summary(evaluation);
    print_cautions(evaluation);
    std::fprintf(stderr, "the report is %s\n", (std::filesystem::path(options.out) / "index.html").c_str());
    return ExitCode::all_well;
}

}  // namespace

void add_evaluate(CLI::App& program, Work& work) {
    const auto options = std::make_shared<EvaluateOptions>();
    CLI::App* command = add_command(
        program, kScoring, "evaluate",
        "Measure ages against labels: a table, and a report as one page with plots.\n\n"
        "An id of the labels is the name of a source's file without extension. Radiographs that were rejected, failed\n"
        "or are missing are counted and never measured. Writes index.html, report.json and metrics.csv. Intervals are\n"
        "95 % bootstrap intervals over radiographs. Research use only: not a medical device.",
        "boneage evaluate --predictions scores.csv --labels labels.csv -o report/\n"
        "boneage evaluate --predictions scores.csv --labels labels.csv --split val --stages stages/ -o report/\n"
        "boneage evaluate --predictions new.csv --compare old=old.csv --labels labels.csv --log train.jsonl -o "
        "report/");
    command->add_option("--predictions", options->predictions, "The table that `boneage score` wrote")
        ->type_name("FILE")
        ->required();
    command
        ->add_option("--labels", options->labels,
                     "A table with columns id and boneage_months, and sex (or male) and split where there are")
        ->type_name("FILE")
        ->required();
    command->add_option("-o,--out", options->out, "The folder to write the report to, made when it is missing")
        ->type_name("DIR")
        ->required();
    command->add_option("--split", options->split, "Only labels of that split")->type_name("NAME");
    command
        ->add_option("--compare", options->others,
                     "Other predictions, compared on the radiographs in common; may be given again")
        ->type_name("NAME=FILE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command->add_option("--log", options->log, "The log of the training, for its curves")->type_name("FILE");
    command
        ->add_option("--stages", options->stages,
                     "The folder of `boneage score --stages`, for pictures of the worst cases")
        ->type_name("DIR");
    command->add_option("--worst", options->numbers.worst, "How many of the worst cases to show (default 12)")
        ->type_name("N")
        ->check(whole_number(0, 1000));
    command->add_flag("--no-plots", options->no_plots, "Leave the plots out, which gnuplot draws");
    command->add_option("--seed", options->numbers.bootstrap.seed, "Of the bootstrap (default 1)")
        ->type_name("N")
        ->check(whole_number(0, std::numeric_limits<uint64_t>::max()))
        ->group("Intervals");
    command
        ->add_option("--bootstrap", options->numbers.bootstrap.resamples,
                     "Resamples for each interval, 0 for none (default 2000)")
        ->type_name("N")
        ->check(whole_number(0, 1000000))
        ->group("Intervals");
    command->final_callback([options, &work] { work = [options] { return run_evaluate(*options); }; });
}

}  // namespace boneage::tools

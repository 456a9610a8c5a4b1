// boneage score: radiographs in, a table of ages out.
#include "engine/errors.h"
#include "engine/io/file_list.h"
#include "engine/io/model_file.h"
#include "engine/session.h"
#include "tools/commands.h"
#include "tools/convolutions_option.h"
#include "tools/interrupt.h"
#include "tools/numbers.h"
#include "tools/options.h"
#include "tools/overwriting.h"
#include "tools/progress.h"
#include "tools/score_inputs.h"
#include "tools/score_table.h"
#include "tools/segmenter_choice.h"
#include "tools/stages_folder.h"

#include <cstdio>
#include <memory>
#include <unistd.h>

namespace boneage::tools {
namespace {

struct ScoreOptions {
    std::vector<std::string> inputs;
    std::string weights;
    std::string segmenter;
    std::string out;
    std::string sex_csv;
    std::string sizes;
    std::string stages;
    std::string device = "auto";
    std::optional<int64_t> batch;
    int workers = 0;
    plan::Precision precision = plan::Precision::f32;
    std::optional<onednn::Convolutions> convolutions;  // on processors
    bool mirror = false;
    bool autotune = false;
};

// UsageError where the table would take the place of something that the run reads.
void check_table_name(const ScoreOptions& options, const session::Options& opened, const ScoreInputs& inputs) {
    if (options.out.empty()) {
        return;
    }
    if (io::has_image_extension(options.out)) {
        throw UsageError("-o " + options.out +
                         " would give the table the name of a picture; give -o a name such as scores.csv");
    }
    std::vector<RoledFile> read{{"--weights", opened.weights},
                                {"--segmenter", opened.segmenter.value_or("")},
                                {"--sex-csv", options.sex_csv},
                                {"--sizes", options.sizes}};
    for (const session::Input& input : inputs.list) {
        read.push_back({"the input", input.path});
    }
    refuse_to_overwrite({"-o", options.out}, read);
}

// What everybody who sees ages of these models must know.
std::vector<std::string> warnings(const session::Facts& facts, const std::string& weights,
                                  const SegmenterChoice& segmenter) {
    std::vector<std::string> lines = segmenter.cautions;
    if (!facts.weights_trained) {
        lines.push_back("WARNING: " + weights + " is untrained: the ages mean nothing");
    }
    if (facts.segmenter_trained == false) {
        lines.emplace_back("WARNING: the segmenter is untrained: its masks mean nothing");
    }
    for (const std::string& caution : facts.cautions) {
        lines.push_back("WARNING: " + caution);
    }
    return lines;
}

std::string said_of(const session::Row& row) {
    const std::string& message = row.result.message;
    return message.starts_with(row.source) ? message : row.source + ": " + message;
}

ExitCode score(const ScoreOptions& options) {
    check_convolutions(options.convolutions, options.device);
    session::Options opened;
    opened.gpu = choose_gpu(options.device);
    opened.weights = options.weights.empty() ? io::default_model("resnet34") : options.weights;
    const SegmenterChoice segmenter = choose_segmenter(options.segmenter, opened.weights);
    opened.segmenter = segmenter.path;
    opened.other_segmenter = !options.segmenter.empty();
    opened.workers = options.workers;
    opened.batch = options.batch;
    opened.precision = options.precision;
    opened.stages_folder = options.stages;
    opened.mirror = options.mirror;
    opened.convolutions = choose_convolutions(options.convolutions, opened.gpu);
    opened.autotune = options.autotune;
    check_autotune(options.autotune, options.device, opened.gpu);
    Preparation preparation(options.autotune);
    opened.preparing = [&](std::string_view) { preparation.step(); };
    const ScoreInputs inputs = list_score_inputs(options.inputs, options.sex_csv, options.sizes);
    check_table_name(options, opened, inputs);
    if (!options.stages.empty()) {
        make_stages_folder(options.stages, options.inputs);
    }
    session::Session session(opened);
    preparation.finish();
    ScoreTable table(options.out.empty() ? io::CsvWriter(stdout, "standard output") : io::CsvWriter(options.out));

    const std::vector<std::string> cautions = warnings(session.facts(), opened.weights, segmenter);
    Progress progress(inputs.radiographs, "radiographs");
    progress.say("computing with " + session.facts().computing);
    for (const std::string& line : inputs.known) {
        progress.say(line);
    }
    for (const std::string& line : cautions) {
        progress.say(line);
    }
    ScoreCounts counts;
    const std::atomic<bool>& stop = interrupted();
    const bool rows_on_terminal = options.out.empty() && ::isatty(STDOUT_FILENO) == 1;
    size_t scored = 0;
    const auto sink = [&](const session::Row& row) {
        if (rows_on_terminal) {
            progress.hide();
        }
        table.write(row);
        if (!row.result.message.empty()) {
            progress.say(said_of(row));
        }
        const bool is_radiograph = !inputs.list[row.input].error;
        counts.add(row.result);
        scored += is_radiograph ? 1 : 0;
        progress.advance(is_radiograph ? 1 : 0);
    };
    const size_t done = session.score(inputs.list, sink, stop);
    table.close();
    progress.finish();

    const double seconds = progress.seconds();
    std::fprintf(stderr, "%s in %s, %.1f/s\n%s", radiographs_text(scored).c_str(), duration_text(seconds).c_str(),
                 seconds > 0.0 ? static_cast<double>(scored) / seconds : 0.0, counts.text().c_str());
    for (const std::string& line : cautions) {
        std::fprintf(stderr, "%s\n", line.c_str());
    }
    if (done < inputs.list.size()) {
        throw Error("stopped after " + std::to_string(scored) + " of " + radiographs_text(inputs.radiographs) +
                    "; the rows so far are complete");
    }
    return counts.errors() > 0 ? ExitCode::some_inputs_failed : ExitCode::all_well;
}

}  // namespace

void add_score(CLI::App& program, Work& work) {
    const auto options = std::make_shared<ScoreOptions>();
    CLI::App* command = add_command(
        program, kScoring, "score",
        "Score radiographs: a table with a bone age in months for each.\n\n"
        "Rows come in the order of the inputs, folders in the byte order of their paths. Columns:\n"
        "  source, status (ok, rejected, error), reason, bone_age_months, sex, age_if_male, age_if_female, contrast,\n"
        "  mask_fraction, width, height, elapsed_ms\n"
        "Without a sex bone_age_months is the mean of age_if_male and age_if_female. A rejected image is not one to\n"
        "score (low_contrast, no_hand, ...): it has no age and is no failure; an error could not be read, its row "
        "says\n"
        "why, the others go on, and the exit code is 1. --precision is the age network's: the hand is always found\n"
        "in f32. Research use only: not a medical device.",
        "boneage score archive/ -o scores.csv\n"
        "boneage score hand.png --sex-csv sexes.csv --stages stages/\n"
        "boneage score archive/ --weights my.safetensors --segmenter none -o scores.csv\n"
        "boneage score archive/ --device cuda --precision bf16 --autotune -o scores.csv");
    command
        ->add_option("input", options->inputs, "Image files (PNG, JPEG, BMP) and folders of them, searched recursively")
        ->type_name("INPUT")
        ->required();
    command
        ->add_option("-o,--out", options->out, "The table to write, replaced when it exists (default: standard output)")
        ->type_name("FILE");
    command
        ->add_option("--sex-csv", options->sex_csv,
                     "A table with columns id and sex; id is a file's name without extension")
        ->type_name("FILE");
    command
        ->add_option("--sizes", options->sizes,
                     "For images that were squashed, to a square say: a table with columns id, orig_width and "
                     "orig_height. They are scored in the shape of their originals; others as they are")
        ->type_name("FILE");
    command
        ->add_option("--stages", options->stages,
                     "Save the picture of every stage of every image there as PNG; a folder outside of all inputs")
        ->type_name("DIR");
    command
        ->add_option("--weights", options->weights,
                     "The model (default: resnet34.safetensors in the folder $BONEAGE_WEIGHTS, else in weights/)")
        ->type_name("FILE")
        ->group("Models");
    command
        ->add_option("--segmenter", options->segmenter,
                     "What finds the hand, or none (default: none for a model trained without one, else "
                     "unet.safetensors there where it exists)")
        ->type_name("FILE")
        ->group("Models");
    command
        ->add_flag("--mirror", options->mirror,
                   "Estimate each age from the radiograph and its mirror image, and give the mean: twice the age "
                   "network's work")
        ->group("Models");
    add_device_option(*command, options->device);
    command
        ->add_option("--workers", options->workers,
                     "Images scored, or decoded for a GPU, at the same time (default: one for each processor)")
        ->type_name("N")
        ->check(whole_number(1, 1024))
        ->group("Speed");
    command
        ->add_option("--batch", options->batch,
                     "Images that go through the age network together: 1 by default, 64 on a GPU; the ages do not "
                     "depend on it")
        ->type_name("N")
        ->check(whole_number(1, 1024))
        ->group("Speed");
    add_precision_option(*command, options->precision);
    add_convolutions_option(*command, options->convolutions, "which rounds less")->group("Speed");
    add_autotune_option(*command, options->autotune, "ages");
    command->final_callback([options, &work] { work = [options] { return score(*options); }; });
}

}  // namespace boneage::tools

// boneage prepare: radiographs with known ages, or with known masks, made ready for training.
#include "engine/train/prepare.h"

#include "engine/errors.h"
#include "engine/io/file.h"
#include "engine/io/segmenter_mark.h"
#include "tools/commands.h"
#include "tools/interrupt.h"
#include "tools/numbers.h"
#include "tools/options.h"
#include "tools/progress.h"

#include <cstdio>
#include <memory>
#include <string_view>

namespace boneage::tools {
namespace {

struct Options {
    std::vector<std::string> data;
    std::string labels;
    std::string masks;
    std::string label;
    std::string out;
    std::string segmenter;
    std::string recipe_file;
    std::string input;
    std::optional<int64_t> canvas;
    int workers = 0;
    bool restore_aspect = false;
};

pipeline::Recipe recipe_in(const std::string& file) {
    const io::MappedFile mapped(file);
    const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
    return naming_file(file, [&] { return pipeline::recipe_from_json(text); });
}

pipeline::Recipe recipe_of(const io::ModelFile& model, const std::string& path) {
    return naming_file(path, [&] { return pipeline::recipe_from_json(model.card().recipe); });
}

// The recipe as the command line changes it.
void change(pipeline::Recipe& recipe, const Options& options) {
    if (!options.input.empty()) {
        const ImageSize size = size_of(options.input, "--input", 32, 4096);
        recipe.input.width = size.width;
        recipe.input.height = size.height;
    }
    recipe.canvas.long_side = options.canvas.value_or(recipe.canvas.long_side);
}

ExitCode tell(const train::PrepareReport& report, const Options& options, double seconds) {
    if (report.stopped) {
        throw Error("stopped before all radiographs were prepared: " + options.out + " is as it was");
    }
    std::fprintf(stderr, "%zu of %zu radiographs prepared in %s, %.1f/s\n", report.prepared, report.total,
                 duration_text(seconds).c_str(), seconds > 0.0 ? static_cast<double>(report.total) / seconds : 0.0);
    for (const auto& [reason, count] : report.exclusions.by_reason()) {
        std::fprintf(stderr, "  %8zu left out: %s\n", count, reason.c_str());
    }
    if (!report.exclusions.all().empty()) {
        std::fprintf(stderr, "%s/excluded.csv lists them all\n", options.out.c_str());
    }
    std::fprintf(stderr, "look at %s/contact_sheet.png before you train on them\n", options.out.c_str());
    return report.exclusions.failed() > 0 ? ExitCode::some_inputs_failed : ExitCode::all_well;
}

// Follows a run on standard error.
class Follower {
public:
    // `caution` is said once the run has begun; it may be empty.
    explicit Follower(std::string caution = "") : caution_(std::move(caution)) {}

    void operator()(size_t total, const train::Exclusion* exclusion) {
        if (!progress_) {
            progress_.emplace(total, "radiographs");
            if (!caution_.empty()) {
                progress_->say(caution_);
            }
        }
        if (exclusion != nullptr && exclusion->failed) {
            progress_->say(exclusion->message);
        }
        progress_->advance();
    }
    void finish() {
        if (progress_) {
            progress_->finish();
        }
    }
    [[nodiscard]] double seconds() const { return progress_ ? progress_->seconds() : 0.0; }

private:
    std::string caution_;
    std::optional<Progress> progress_;
};

train::PrepareOptions common(const Options& options) {
    train::PrepareOptions asked;
    asked.data = {options.data.begin(), options.data.end()};
    if (!options.labels.empty()) {
        asked.labels = options.labels;
    }
    asked.folder = options.out;
    asked.workers = options.workers;
    return asked;
}

ExitCode prepare_masks(const Options& options) {
    if (!options.segmenter.empty() || !options.input.empty()) {
        throw UsageError("--masks prepares what a segmenter is trained on: --segmenter and --input do not go with it");
    }
    train::PrepareOptions asked = common(options);
    asked.masks = options.masks;
    if (!options.label.empty()) {
        asked.mask_label = options.label;
    }
    if (!options.recipe_file.empty()) {
        asked.recipe = recipe_in(options.recipe_file);
    }
    change(asked.recipe, options);
    Follower follower;
    const train::PrepareReport report = train::prepare_masks(asked, std::ref(follower), interrupted());
    follower.finish();
    return tell(report, options, follower.seconds());
}

ExitCode prepare_ages(const Options& options) {
    if (options.labels.empty()) {
        throw UsageError("prepare needs --labels with the ages, or --masks with the outlines of hands");
    }
    if (!options.label.empty()) {
        throw UsageError("--label chooses among the labels of --masks, which is missing");
    }
    train::PrepareOptions asked = common(options);
    asked.restore_aspect = options.restore_aspect;
    std::optional<io::ModelFile> segmenter;
    if (!options.segmenter.empty()) {
        segmenter.emplace(options.segmenter);
        asked.recipe = recipe_of(*segmenter, options.segmenter);
    }
    if (!options.recipe_file.empty()) {
        asked.recipe = recipe_in(options.recipe_file);
    }
    change(asked.recipe, options);
    pipeline::validate(asked.recipe);
    if (segmenter) {
        const auto* spec = std::get_if<net::UnetSpec>(&segmenter->card().architecture);
        if (spec == nullptr) {
            throw UsageError(options.segmenter + " holds a " + io::type_name(segmenter->card().architecture) +
                             ", but --segmenter takes a unet");
        }
        naming_file(options.segmenter,
                    [&] { pipeline::check_segmenter_recipe(asked.recipe, recipe_of(*segmenter, options.segmenter)); });
        asked.segmenter = {*spec, segmenter->parameters()};
        asked.segmenter_mark = io::segmenter_mark(*segmenter);
    }
    Follower follower(!segmenter                   ? "no segmenter: the whole image counts as hand"
                      : !segmenter->card().trained ? "WARNING: the segmenter is untrained: its masks mean nothing"
                                                   : "");
    const train::PrepareReport report = train::prepare_ages(asked, std::ref(follower), interrupted());
    follower.finish();
    return tell(report, options, follower.seconds());
}

}  // namespace

void add_prepare(CLI::App& program, Work& work) {
    const auto options = std::make_shared<Options>();
    CLI::App* command = add_command(
        program, kTraining, "prepare",
        "Prepare radiographs for training: decode them once and run the stages that never change.\n\n"
        "Writes into the folder CACHE\n"
        "  ages.safetensors    the pictures that the network is trained on, with ages, sexes and splits\n"
        "  excluded.csv        what was left out and why: low_contrast, no_hand, no_image, no_label, unreadable, ...\n"
        "  contact_sheet.png   a few dozen of them, before and after: look at it before you train\n"
        "  contact_sheet.csv   which radiograph is where on it\n"
        "  excluded_sheet.png  some of those that the pipeline rejected, and .csv likewise\n"
        "or, with --masks, masks.safetensors: what the segmenter is trained on.\n"
        "A file's name without extension is its id in the labels. The exit code is 1 when a file could not be read.",
        "boneage prepare images/ --labels labels.csv --segmenter weights/unet.safetensors -o cache/\n"
        "boneage prepare squashed/ --labels sizes.csv --segmenter weights/unet.safetensors --restore-aspect -o cache/\n"
        "boneage prepare images/ --masks masks/ --labels labels.csv -o hands/");
    command->add_option("data", options->data, "Image files (PNG, JPEG, BMP) and folders of them, searched recursively")
        ->type_name("DATA")
        ->required();
    command
        ->add_option("--labels", options->labels,
                     "A table with columns id and boneage_months, optionally sex, split, orig_width and orig_height")
        ->type_name("CSV");
    command
        ->add_option("--masks", options->masks,
                     "Prepare for the segmenter instead: a folder of masks named as the images, PNG or JSON of "
                     "LabelMe, or a file of COCO's; --labels then gives original sizes")
        ->type_name("DIR");
    command
        ->add_option("--label", options->label, "Which label of the annotations is the hand, where they have several")
        ->type_name("NAME");
    command->add_option("-o,--out", options->out, "The folder to write into; made when missing")
        ->type_name("CACHE")
        ->required();
    command->add_flag("--restore-aspect", options->restore_aspect,
                      "Give images that were squashed the shape that the labels' original sizes tell");
    command
        ->add_option("--segmenter", options->segmenter,
                     "What finds the hand, in training and scoring alike (default: the whole image is hand)")
        ->type_name("FILE")
        ->group("Pipeline");
    command
        ->add_option("--recipe", options->recipe_file,
                     "JSON with every setting of the pipeline (default: the segmenter's, else the defaults)")
        ->type_name("FILE")
        ->group("Pipeline");
    command->add_option("--canvas", options->canvas, "Longer side of the canvas in pixels, in place of the recipe's")
        ->type_name("N")
        ->check(whole_number(16, 8192))
        ->group("Pipeline");
    command->add_option("--input", options->input, "Size of the network's input in pixels, in place of the recipe's")
        ->type_name("WxH")
        ->group("Pipeline");
    command
        ->add_option("--workers", options->workers,
                     "Radiographs prepared at the same time (default: one for each processor)")
        ->type_name("N")
        ->check(whole_number(1, 1024))
        ->group("Speed");
    command->final_callback([options, &work] {
        work = [options] { return options->masks.empty() ? prepare_ages(*options) : prepare_masks(*options); };
    });
}

}  // namespace boneage::tools

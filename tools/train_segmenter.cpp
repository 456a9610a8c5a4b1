// boneage train-segmenter: a U-Net learns masks from a cache that `boneage prepare --masks` made.
#include "engine/io/model_file.h"
#include "engine/train/mask_course.h"
#include "engine/train/trainer.h"
#include "tools/commands.h"
#include "tools/interrupt.h"
#include "tools/network_options.h"
#include "tools/numbers.h"
#include "tools/options.h"
#include "tools/train_device.h"
#include "tools/train_options.h"
#include "tools/train_progress.h"
#include "tools/train_settings.h"

#include <filesystem>
#include <memory>

namespace boneage::tools {
namespace {

struct Options {
    TrainOptions shared;
    train::MaskCourseOptions course;
};

std::string card_text(const Options& options, const train::RunSettings& settings, const train::MaskCourse& course,
                      const train::MaskCache& cache, const train::EpochRecord& record) {
    return card_of(options.shared, command_line("train-segmenter", settings), record.epoch,
                   std::to_string(course.training_samples()) + " pictures with masks", cache.source(),
                   "Dice " + decimals(record.val_dice.value_or(0.0), 4) + " over " +
                       std::to_string(course.validation_samples()) + " pictures held out");
}

ExitCode train_masks(Options options) {
    const std::atomic<bool>& stop = interrupted();
    keep_threads(options.shared);
    TrainDevice device(options.shared);
    const train::MaskCache cache((std::filesystem::path(options.shared.cache) / train::kMaskCacheName).string());
    const int threads = threads_of(options.shared);
    train::MaskCourseOptions course_options = options.course;
    course_options.seed = options.shared.seed;
    course_options.augment = options.shared.augment;
    course_options.judged_precision = options.shared.precision;
    train::MaskCourse course(cache, course_options, device.judge(), threads, device.batches(cache));

    const plan::ParameterSource start = starting_parameters(options.shared, course_options.network);
    plan::TrainingOptions lowering;
    lowering.batch = options.shared.batch;
    lowering.height = cache.recipe().segment.patch;
    lowering.width = cache.recipe().segment.patch;
    lowering.precision = options.shared.precision;
    lowering.loss = plan::Loss::segmentation;
    lowering.recompute = options.shared.recompute;
    lowering.traits = device.backend().traits();
    plan::TrainingExecutor executor(plan::lower_training(net::unet(course_options.network), lowering), device.backend(),
                                    start, optimiser_options(options.shared));
    device.prepare(course, start);

    TrainProgress progress(course, options.shared.epochs, options.shared.batch);
    train::TrainObserver observer = progress.observer();
    const std::string model = (std::filesystem::path(options.shared.out) / "unet.safetensors").string();
    const train::RunSettings settings = settings_of(
        options.shared, device.on_gpu(),
        {setting("--depth", options.course.network.depth), setting("--base-width", options.course.network.base_width),
         setting("--repeats", options.course.repeats), setting("--hold-out", options.course.hold_out)});
    observer.best = [&](const plan::ParameterSource& parameters, const train::EpochRecord& record) {
        io::write_model(model,
                        {course_options.network, pipeline::to_json(cache.recipe()), true,
                         card_text(options, settings, course, cache, record)},
                        parameters, io::StoredType::f32);
    };
    train::Trainer trainer(course, executor, trainer_options(options.shared, model, settings, train::Better::higher),
                           observer);
    progress.say("computing with " + device.describe());
    progress.say(std::to_string(course.training_samples()) + " pictures to train on, " +
                 std::to_string(course.validation_samples()) + " to judge by, patches of " +
                 std::to_string(lowering.width) + " pixels");
    return tell_end(trainer.run(stop), trainer, progress, course, model);
}

}  // namespace

void add_train_segmenter(CLI::App& program, Work& work) {
    const auto options = std::make_shared<Options>();
    CLI::App* command = add_command(
        program, kTraining, "train-segmenter",
        "Train a U-Net to find the hand.\n\n"
        "Reads the cache that `boneage prepare --masks` made, trains on random patches of its pictures and judges "
        "every\n"
        "epoch by the Dice coefficient on whole pictures held out. The folder of the run gets unet.safetensors (the\n"
        "best epoch so far), train.jsonl (one line an epoch) and checkpoint.safetensors, from which --resume "
        "continues\n"
        "to the same bits after Ctrl-C, a crash or a power cut: at most the running epoch is lost, and by a power cut\n"
        "on a GPU the one before.",
        "boneage train-segmenter cache/ -o run/ --epochs 40\n"
        "boneage train-segmenter cache/ -o run/ --base-width 32 --schedule cosine --ema 0.99");
    add_train_options(*command, options->shared, 8, "a unet of the same --depth and --base-width");
    add_unet_options(*command, options->course.network);
    const auto number = [&](const char* name, int64_t& value, uint64_t low, uint64_t high, const char* description) {
        command->add_option(name, value, description)
            ->type_name("N")
            ->check(whole_number(low, high))
            ->capture_default_str()
            ->group("Samples");
    };
    number("--repeats", options->course.repeats, 1, 10000, "Patches of every picture in an epoch");
    number("--hold-out", options->course.hold_out, 2, 1000,
           "One picture of so many, by the order of ids, is judged by and never trained on");
    command->final_callback([options, &work] { work = [options] { return train_masks(*options); }; });
}

}  // namespace boneage::tools

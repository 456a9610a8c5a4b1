// boneage train: a ResNet34 learns ages from a cache that `boneage prepare` made.
#include "engine/errors.h"
#include "engine/io/model_file.h"
#include "engine/train/age_course.h"
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

constexpr int64_t kGpuJudgedBatch = 64;

struct Options {
    TrainOptions shared;
    train::AgeCourseOptions course;
    double balance = 1;
    bool shuffle = false;
};

std::string card_text(const Options& options, const train::RunSettings& settings, const train::AgeCourse& course,
                      const train::AgeCache& cache, const train::EpochRecord& record) {
    return card_of(options.shared, command_line("train", settings), record.epoch,
                   std::to_string(course.training_samples()) + " pictures", cache.source(),
                   "MAE " + decimals(record.val_mae_months.value_or(0.0), 2) + " months over " +
                       std::to_string(course.validation_samples()) + " pictures");
}

ExitCode train_ages(Options options) {
    const std::atomic<bool>& stop = interrupted();
    keep_threads(options.shared);
    TrainDevice device(options.shared);
    const train::AgeCache cache((std::filesystem::path(options.shared.cache) / train::kAgeCacheName).string());
    const int threads = threads_of(options.shared);
    train::AgeCourseOptions course_options = options.course;
    course_options.seed = options.shared.seed;
    course_options.augment = options.shared.augment;
    course_options.balance = options.shuffle ? std::nullopt : std::optional(options.balance);
    course_options.judged_precision = options.shared.precision;
    if (device.on_gpu()) {
        course_options.judged_batch = kGpuJudgedBatch;
    }
    train::AgeCourse course(cache, course_options, device.judge(), threads, device.batches(cache));

    const net::Graph graph = net::resnet34(course_options.network);
    const plan::ParameterSource start = starting_parameters(options.shared, course_options.network);
    plan::TrainingOptions lowering;
    lowering.batch = options.shared.batch;
    lowering.height = cache.recipe().input.height;
    lowering.width = cache.recipe().input.width;
    lowering.precision = options.shared.precision;
    lowering.loss = plan::Loss::absolute_error;
    lowering.recompute = options.shared.recompute;
    lowering.traits = device.backend().traits();
    plan::TrainingExecutor executor(plan::lower_training(graph, lowering), device.backend(), start,
                                    optimiser_options(options.shared));
    device.prepare(course, start);

    TrainProgress progress(course, options.shared.epochs, options.shared.batch);
    train::TrainObserver observer = progress.observer();
    const std::string model = (std::filesystem::path(options.shared.out) / "resnet34.safetensors").string();
    const train::RunSettings settings = settings_of(
        options.shared, device.on_gpu(),
        {setting("--no-sex-input", !options.course.network.sex_input),
         setting("--base-width", options.course.network.base_width), setting("--hidden", options.course.network.hidden),
         setting("--unknown-sex", options.course.unknown_sex), setting("--balance", options.balance),
         setting("--category", options.course.category_months), setting("--repeats", options.course.repeats),
         setting("--shuffle", options.shuffle)});
    observer.best = [&](const plan::ParameterSource& parameters, const train::EpochRecord& record) {
        io::write_model(model,
                        {course_options.network, pipeline::to_json(cache.recipe()), true,
                         card_text(options, settings, course, cache, record), cache.segmenter()},
                        parameters, io::StoredType::f32);
    };
    train::Trainer trainer(course, executor, trainer_options(options.shared, model, settings, train::Better::lower),
                           observer);
    progress.say("computing with " + device.describe());
    if (const auto sampling = course.sampling(trainer.epochs())) {
        progress.say(sampling->text());
    }
    progress.say(std::to_string(course.training_samples()) + " pictures to train on, " +
                 std::to_string(course.validation_samples()) + " to judge by, " + std::to_string(lowering.width) + "x" +
                 std::to_string(lowering.height) + " pixels");
    return tell_end(trainer.run(stop), trainer, progress, course, model);
}

}  // namespace

void add_train(CLI::App& program, Work& work) {
    const auto options = std::make_shared<Options>();
    CLI::App* command = add_command(
        program, kTraining, "train",
        "Train a ResNet34 to estimate ages.\n\n"
        "Reads the cache that `boneage prepare` made, trains on its pictures of split train and judges every epoch by\n"
        "those of split val. The folder of the run gets resnet34.safetensors (the best epoch so far), train.jsonl "
        "(one\n"
        "line an epoch) and checkpoint.safetensors, from which --resume continues to the same bits after Ctrl-C, a\n"
        "crash or a power cut: at most the running epoch is lost, and by a power cut on a GPU the one before.",
        "boneage train cache/ -o run/ --epochs 60\n"
        "boneage train cache/ -o run/ --epochs 60 --resume\n"
        "boneage train cache/ -o run/ --device cuda --precision bf16 --autotune\n"
        "boneage train cache/ -o run/ --schedule cosine --rate 1e-3 --warmup 2 --ema 0.999");
    add_train_options(*command, options->shared, 16,
                      "a resnet34 of the same --base-width; its head may be another, which then begins anew");
    add_resnet34_options(*command, options->course.network);
    command
        ->add_option("--unknown-sex", options->course.unknown_sex,
                     "Share of the samples whose sex is withheld, so that it learns to do without")
        ->type_name("SHARE")
        ->check(number(0.0, 1.0))
        ->capture_default_str()
        ->group("Network");
    command
        ->add_option("--balance", options->balance,
                     "Drawing by age category: 1 draws all categories equally often, 0 as they come")
        ->type_name("POWER")
        ->check(number(0.0, 1.0))
        ->capture_default_str()
        ->group("Samples");
    command->add_option("--category", options->course.category_months, "Width of an age category in months")
        ->type_name("MONTHS")
        ->check(number(1.0, 240.0))
        ->capture_default_str()
        ->group("Samples");
    command
        ->add_option("--repeats", options->course.repeats,
                     "Draws of every picture in an epoch: where steps are fast, judging and saving come less often")
        ->type_name("N")
        ->check(whole_number(1, 10000))
        ->capture_default_str()
        ->group("Samples");
    command->add_flag("--shuffle", options->shuffle, "Show every sample once an epoch instead of drawing")
        ->group("Samples");
    command->final_callback([options, &work] { work = [options] { return train_ages(*options); }; });
}

}  // namespace boneage::tools

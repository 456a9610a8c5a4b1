// What the two trainings share on the command line.
#pragma once

#include "engine/io/model_file.h"
#include "engine/onednn/training_backend.h"
#include "engine/train/age_course.h"
#include "engine/train/trainer.h"

#include <CLI/CLI.hpp>

namespace boneage::tools {

struct TrainOptions {
    std::string cache;
    std::string out;
    bool resume = false;
    std::string start_from;  // a model whose values are the first ones; empty: drawn from the seed
    std::string card;
    uint64_t seed = 1;

    int64_t epochs = 100;
    int64_t batch = 16;
    plan::Precision precision = plan::Precision::f32;
    std::optional<onednn::Convolutions> convolutions;  // on processors
    bool recompute = false;
    int threads = 0;
    std::string device = "auto";
    bool autotune = false;

    std::string schedule = "plateau-torch";
    double rate = 1e-3;
    double min_rate = 0;
    double warmup_epochs = 0;
    double factor = 0.1;
    int64_t patience = 10;
    double threshold = 1e-4;
    int64_t cooldown = 0;
    std::optional<int64_t> stop_after;
    double min_delta = 0;
    std::string optimiser = "adam";
    double weight_decay = 0;
    double clip = 0;
    double ema = 0;

    AugmentParams augment;
};

// `batch` is the default; `start_from` says which models --start-from takes.
void add_train_options(CLI::App& command, TrainOptions& options, int64_t batch, const std::string& start_from);

// Makes the folder of a run that begins. `model` is the file that the run writes there.
train::TrainerOptions trainer_options(const TrainOptions& options, const std::string& model,
                                      const train::RunSettings& settings, train::Better better);
plan::OptimiserOptions optimiser_options(const TrainOptions& options);
// The card of a trained model: --card, then how it was trained, by which command line, and how it was judged.
std::string card_of(const TrainOptions& options, const std::string& command, int64_t epochs, const std::string& samples,
                    const std::string& source, const std::string& validation);
// "9.93" for (9.934, 2).
std::string decimals(double value, int places);
int threads_of(const TrainOptions& options);
// The values a training starts from. Throws UsageError when --start-from is another network.
plan::ParameterSource starting_parameters(const TrainOptions& options, const io::Architecture& network);

}  // namespace boneage::tools

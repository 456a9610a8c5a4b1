// A training from its first step to its last: epochs, schedule, judgement, checkpoints, log.
#pragma once

#include "engine/train/course.h"
#include "engine/train/run_settings.h"
#include "engine/train/schedule.h"
#include "engine/train/train_log.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <string>

namespace boneage::train {

struct TrainerOptions {
    int64_t epochs = 100;
    AdamParams adam;  // its learning rate is the schedule's
    ScheduleParams schedule;
    // Share of the past in the moving average of all weights, which is then what is judged and kept; 0 for none, and
    // must be where the executor has no averages. In step t it is at most (1 + t) / (10 + t), so that the first steps
    // are soon forgotten.
    double average_decay = 0;
    std::string folder;    // where checkpoint.safetensors and train.jsonl go
    bool resume = false;   // from the folder's checkpoint
    RunSettings settings;  // kept in the checkpoint, and compared when the run is resumed
    std::string model;     // the file that the observer's `best` writes, which must not be another run's; "": none
};

// What the log calls the terms of a loss that has two, as means over the epoch. The second is 1 - D, D being the soft
// Dice coefficient (kernels/nn/loss.h).
inline constexpr const char* kTrainCrossEntropy = "train_cross_entropy";
inline constexpr const char* kTrainDice = "train_dice";

// What people want to see while it runs.
struct TrainObserver {
    // After a step: of how many in this epoch, and the epoch's mean loss so far, in the course's unit.
    std::function<void(int64_t step, int64_t steps, double loss)> step;
    // After an epoch. Its checkpoint lies there then, and lasts through a power cut, too; where steps are only queued,
    // before the next epoch ends.
    std::function<void(const EpochRecord& record, const EpochOutcome& outcome)> epoch;
    // Sentences, such as which checkpoint a run resumes from.
    std::function<void(const std::string& line)> say;
    // The weights just judged are the best so far: to be written where they are wanted. Called with those of a run that
    // is resumed, too, where the model is missing; the record then tells epoch, step and metric.
    std::function<void(const plan::ParameterSource& parameters, const EpochRecord& record)> best;
};

// What a setting was, as RunSetting::given, in the run that lies in a folder; "" where there is none.
std::string setting_of_run(const std::string& folder, const std::string& name);

enum class TrainEnd { finished, stopped_early, interrupted };

class Trainer {
public:
    // `course` and `executor` must outlive this. Throws UsageError when the folder holds a training already, or a model
    // without its training, and it is not to be resumed; when there is nothing to resume; or when what is to be resumed
    // was another training.
    Trainer(Course& course, plan::TrainingExecutor& executor, const TrainerOptions& options, TrainObserver observer);

    // Trains until the last epoch, the schedule's stop or `stop`, which takes effect after the running step and, on a
    // device, those queued behind it: that epoch is then lost, unless they end it, and will be repeated. Throws Error
    // when the loss is no longer finite.
    TrainEnd run(const std::atomic<bool>& stop);

    // Epochs finished.
    [[nodiscard]] int64_t epochs() const { return epoch_; }
    [[nodiscard]] const Schedule& schedule() const { return schedule_; }

private:
    struct Weights {
        std::vector<float> parameters;
        std::vector<float> statistics;
    };

    using Clock = std::chrono::steady_clock;
    // An epoch under way.
    struct Run {
        std::vector<int64_t> samples;
        int64_t steps_before = 0;  // of all epochs
        int64_t steps = 0;
        int64_t queued = 0;
        int64_t seen = 0;  // losses
        AdamParams adam;
        double total = 0;
        double cross_entropy = 0;
        double dice = 0;
        Clock::time_point start = Clock::now();
    };

    // The coming epoch with its first `queued` steps, or all where it has fewer. Throws UsageError when it has none.
    [[nodiscard]] Run begin_epoch(int64_t queued);
    void queue_step(Run& run);
    void see_loss(Run& run);
    // False when interrupted.
    bool finish_epoch(Run& run, const std::atomic<bool>& stop, EpochRecord& record);
    void read_states();
    // Among those read.
    [[nodiscard]] const std::vector<float>& read(plan::State state) const;
    // The weights that are judged, among those read.
    [[nodiscard]] const std::vector<float>& judged_parameters() const;
    [[nodiscard]] const std::vector<float>& judged_statistics() const;
    // Of the coming step.
    [[nodiscard]] std::optional<float> average_decay() const;
    TrainEnd run_epochs(const std::atomic<bool>& stop);
    // What was read, as of the record.
    void save(const EpochRecord& record);
    void finish_syncing();
    void restore();
    void write_missing_model();
    void set_metric(EpochRecord& record, double metric) const;
    [[nodiscard]] std::string fingerprint() const;

    Course& course_;
    plan::TrainingExecutor& executor_;
    TrainerOptions options_;
    TrainObserver observer_;
    Schedule schedule_;
    std::string checkpoint_path_;
    std::optional<TrainLog> log_;
    int64_t epoch_ = 0;
    double elapsed_s_ = 0;
    std::vector<std::vector<float>> states_;  // as they were last read, in the order of executor_.states()
    Weights best_;
    bool saved_ = false;         // a checkpoint, by this object
    std::future<void> syncing_;  // the last one to the disk, while a device computes the next epoch
};

}  // namespace boneage::train

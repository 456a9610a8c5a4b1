#include "engine/train/trainer.h"

#include "engine/io/file.h"
#include "engine/train/checkpoint.h"
#include "engine/train/fields.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

namespace boneage::train {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

// Steps that a device gets to compute while its host writes a checkpoint; the next one is noted before any is taken.
constexpr int64_t kStepsWhileSaving = static_cast<int64_t>(plan::Reading::kNotes) - 1;

// All weights that a checkpoint holds, under the names it gives them.
template <class T>
std::vector<NamedValues<T>> named(std::span<const plan::State> names, std::vector<std::vector<float>>& states,
                                  std::vector<float>& best_parameters, std::vector<float>& best_statistics) {
    std::vector<NamedValues<T>> tensors;
    const auto add = [&](const char* name, std::vector<float>& values) {
        tensors.push_back({name, {static_cast<int64_t>(values.size())}, values});
    };
    for (size_t i = 0; i < names.size(); ++i) {
        add(plan::name_of(names[i]), states[i]);
    }
    add("best_parameters", best_parameters);
    add("best_statistics", best_statistics);
    return tensors;
}

std::string checkpoint_in(const std::string& folder) {
    return (std::filesystem::path(folder) / "checkpoint.safetensors").string();
}

// Or the one before it.
bool is_there(const std::string& checkpoint) {
    std::error_code ignored;
    return std::filesystem::exists(checkpoint, ignored) || std::filesystem::exists(checkpoint + ".previous", ignored);
}

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

std::string setting_of_run(const std::string& folder, const std::string& name) {
    const std::string path = checkpoint_in(folder);
    if (!is_there(path)) {
        return "";
    }
    const NewestCheckpoint newest = newest_checkpoint(path);
    const Fields settings = Fields(newest.checkpoint.state(), newest.checkpoint.path()).object("settings");
    return settings.has(name.c_str()) ? settings.text(name.c_str()) : "";
}

Trainer::Trainer(Course& course, plan::TrainingExecutor& executor, const TrainerOptions& options,
                 TrainObserver observer)
    : course_(course),
      executor_(executor),
      options_(options),
      observer_(std::move(observer)),
      schedule_(options.schedule),
      checkpoint_path_(checkpoint_in(options.folder)) {
    std::error_code ignored;
    const bool exists = is_there(checkpoint_path_);
    io::remove_abandoned(checkpoint_path_ + ".next");
    if (!options_.model.empty()) {
        io::remove_abandoned(options_.model);
    }
    if (options_.resume && !exists) {
        throw UsageError("there is no run to resume in " + options_.folder + "; leave out --resume to begin one");
    }
    if (options_.resume) {
        restore();
        write_missing_model();
    } else if (exists) {
        throw UsageError(options_.folder +
                         " holds a training already; --resume continues it, or choose another folder");
    } else if (!options_.model.empty() && std::filesystem::exists(options_.model, ignored)) {
        throw UsageError(options_.model +
                         " exists already and would be replaced; choose another folder, or move it away");
    }
    log_.emplace((std::filesystem::path(options.folder) / "train.jsonl").string(), epoch_);
}

std::string Trainer::fingerprint() const {
    return course_.fingerprint() + "; " + executor_.plan().net + " batch " +
           std::to_string(executor_.plan().options.batch) + ", " + std::to_string(executor_.plan().parameter_floats) +
           " floats";
}

void Trainer::restore() {
    const NewestCheckpoint newest = newest_checkpoint(checkpoint_path_);
    if (!newest.notice.empty()) {
        observer_.say(newest.notice);
    }
    const Fields fields(newest.checkpoint.state(), newest.checkpoint.path());
    const std::vector<std::string> changed = changes(options_.settings, fields.object("settings"));
    if (fields.text("training") != fingerprint()) {
        fields.fail(
            "it belongs to another training (other data, network, batch or settings); resume with what it was "
            "begun with, or choose another folder");
    }
    read_states();
    best_ = {judged_parameters(), judged_statistics()};
    newest.checkpoint.restore(named<float>(executor_.states(), states_, best_.parameters, best_.statistics));
    for (size_t i = 0; i < states_.size(); ++i) {
        executor_.set_state(executor_.states()[i], states_[i]);
    }
    executor_.set_step(fields.count("step"));
    epoch_ = fields.count("epoch");
    elapsed_s_ = fields.number("elapsed_s");
    schedule_.restore(fields.field("schedule"));
    observer_.say("resuming after epoch " + std::to_string(epoch_));
    for (const std::string& sentence : changed) {
        observer_.say(sentence);
    }
}

void Trainer::write_missing_model() {
    std::error_code ignored;
    if (options_.model.empty() || std::filesystem::exists(options_.model, ignored)) {
        return;
    }
    EpochRecord record;
    record.epoch = schedule_.best_epoch().value_or(0) + 1;
    record.step = executor_.step() / epoch_ * record.epoch;  // all epochs have as many
    set_metric(record, schedule_.best().value_or(std::numeric_limits<double>::quiet_NaN()));
    std::vector<int64_t> batches = executor_.batches();
    for (int64_t& seen : batches) {
        seen -= executor_.step() - record.step;
    }
    observer_.best(plan::parameters_in(executor_.plan(), best_.parameters, best_.statistics, batches), record);
    observer_.say(options_.model + " was missing; written again from the checkpoint, as of epoch " +
                  std::to_string(record.epoch));
}

void Trainer::set_metric(EpochRecord& record, double metric) const {
    (course_.better() == Better::lower ? record.val_mae_months : record.val_dice) = metric;
}

void Trainer::save(const EpochRecord& record) {
    finish_syncing();
    const Json state{{"training", fingerprint()}, {"settings", to_json(options_.settings)},
                     {"epoch", epoch_},           {"step", record.step},
                     {"elapsed_s", elapsed_s_},   {"schedule", schedule_.state()}};
    // A device need not wait for the disk where what becomes the previous checkpoint is known to have reached it.
    const io::Sync when = executor_.queues() && saved_ ? io::Sync::later : io::Sync::now;
    write_checkpoint(checkpoint_path_,
                     named<const float>(executor_.states(), states_, best_.parameters, best_.statistics), state, when);
    saved_ = true;
    if (when == io::Sync::later) {
        syncing_ = std::async(std::launch::async, [path = checkpoint_path_] { io::sync(path); });
    }
}

void Trainer::finish_syncing() {
    if (syncing_.valid()) {
        syncing_.get();
    }
}

void Trainer::read_states() {
    const std::span<const plan::State> names = executor_.states();
    states_.resize(names.size());
    for (size_t i = 0; i < names.size(); ++i) {
        executor_.read_state(names[i], states_[i]);
    }
}

const std::vector<float>& Trainer::read(plan::State state) const {
    return states_.at(static_cast<size_t>(std::ranges::find(executor_.states(), state) - executor_.states().begin()));
}

const std::vector<float>& Trainer::judged_parameters() const {
    return read(options_.average_decay > 0 ? plan::State::average_parameters : plan::State::parameters);
}

const std::vector<float>& Trainer::judged_statistics() const {
    return read(options_.average_decay > 0 ? plan::State::average_statistics : plan::State::statistics);
}

std::optional<float> Trainer::average_decay() const {
    if (options_.average_decay == 0) {
        return std::nullopt;
    }
    const auto t = static_cast<double>(executor_.step() + 1);
    return static_cast<float>(std::min(options_.average_decay, (1 + t) / (10 + t)));
}

Trainer::Run Trainer::begin_epoch(int64_t queued) {
    Run run;
    run.samples = course_.epoch(epoch_);
    run.steps_before = executor_.step();
    run.steps = static_cast<int64_t>(run.samples.size()) / executor_.plan().options.batch;
    run.adam = options_.adam;
    if (run.steps == 0) {
        throw UsageError("there are fewer samples to train on than one batch holds");
    }
    while (run.queued < std::min(queued, run.steps)) {
        queue_step(run);
    }
    return run;
}

void Trainer::queue_step(Run& run) {
    const int64_t batch = executor_.plan().options.batch;
    const int64_t first = run.queued * batch;
    const auto draw = static_cast<uint64_t>(epoch_) * run.samples.size() + static_cast<uint64_t>(first);
    course_.fill(std::span(run.samples).subspan(static_cast<size_t>(first), static_cast<size_t>(batch)), draw,
                 executor_);
    run.adam.learning_rate =
        schedule_.learning_rate(executor_.step(), static_cast<double>(epoch_) +
                                                      static_cast<double>(run.queued) / static_cast<double>(run.steps));
    executor_.enqueue_train(run.adam, average_decay());
    executor_.note_loss();
    ++run.queued;
}

void Trainer::see_loss(Run& run) {
    const SegmentationLoss taken = executor_.take_loss();
    const double loss = taken.total * course_.loss_scale();
    run.cross_entropy += taken.cross_entropy;
    run.dice += taken.dice;
    ++run.seen;
    if (!std::isfinite(loss)) {
        throw Error("the training diverged in step " + std::to_string(run.steps_before + run.seen) +
                    ": its loss is no longer a number; " + (epoch_ == 0 ? "begin again" : "resume") +
                    " with a smaller learning rate");
    }
    run.total += loss;
    observer_.step(run.seen, run.steps, run.total / static_cast<double>(run.seen));
}

bool Trainer::finish_epoch(Run& run, const std::atomic<bool>& stop, EpochRecord& record) {
    // On a device the next step is queued before the last one's loss is looked at: it never waits for the host.
    const int64_t ahead = executor_.queues() ? 1 : 0;
    while (run.queued < run.steps && !stop) {
        queue_step(run);
        while (run.queued - run.seen > ahead) {
            see_loss(run);
        }
    }
    while (run.seen < run.queued) {
        see_loss(run);
    }
    if (run.queued < run.steps) {
        return false;
    }
    const auto steps = static_cast<double>(run.steps);
    record.train_loss = run.total / steps;
    if (course_.has_loss_terms()) {
        record.more = {{kTrainCrossEntropy, run.cross_entropy / steps}, {kTrainDice, run.dice / steps}};
    }
    record.learning_rate = run.adam.learning_rate;
    record.images_per_second = steps * static_cast<double>(executor_.plan().options.batch) / seconds_since(run.start);
    return true;
}

TrainEnd Trainer::run(const std::atomic<bool>& stop) {
    const TrainEnd end = run_epochs(stop);
    finish_syncing();
    return end;
}

TrainEnd Trainer::run_epochs(const std::atomic<bool>& stop) {
    std::optional<Run> next;
    while (epoch_ < options_.epochs) {
        const Clock::time_point start = Clock::now();
        Run run = next ? std::move(*next) : begin_epoch(0);
        next.reset();
        EpochRecord record;
        if (!finish_epoch(run, stop, record)) {
            return TrainEnd::interrupted;
        }
        read_states();  // once: for judging, and for the checkpoint
        const std::vector<int64_t> batches = executor_.batches();
        const plan::ParameterSource parameters =
            plan::parameters_in(executor_.plan(), judged_parameters(), judged_statistics(), batches);
        const Judgement judgement = course_.judge(parameters);
        const EpochOutcome outcome = schedule_.epoch_ended(judgement.metric);
        ++epoch_;
        elapsed_s_ += seconds_since(start);
        record.epoch = epoch_;
        record.step = executor_.step();
        set_metric(record, judgement.metric);
        record.elapsed_s = elapsed_s_;
        record.draws_per_category = course_.draws_per_category(run.samples);
        record.more.insert(judgement.more.begin(), judgement.more.end());
        if (outcome.improved || best_.parameters.empty()) {
            observer_.best(parameters, record);
            best_.parameters = judged_parameters();
            best_.statistics = judged_statistics();
        }
        log_->append(record);  // first: a resumed run cuts off what no checkpoint holds
        if (executor_.queues() && epoch_ < options_.epochs && !outcome.stop && !stop) {
            next = begin_epoch(kStepsWhileSaving);
        }
        save(record);
        observer_.epoch(record, outcome);
        if (outcome.stop) {
            return TrainEnd::stopped_early;
        }
    }
    return TrainEnd::finished;
}

}  // namespace boneage::train

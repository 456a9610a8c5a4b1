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

void Trainer::save() {
    finish_syncing();
    const Json state{{"training", fingerprint()}, {"settings", to_json(options_.settings)},
                     {"epoch", epoch_},           {"step", executor_.step()},
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

bool Trainer::run_epoch(const std::vector<int64_t>& samples, const std::atomic<bool>& stop, EpochRecord& record) {
    const int64_t batch = executor_.plan().options.batch;
    const int64_t steps = static_cast<int64_t>(samples.size()) / batch;
    // On a device the next step is queued before the last one's loss is looked at: it never waits for the host.
    const int64_t ahead = executor_.queues() ? 1 : 0;
    const int64_t steps_before = executor_.step();
    AdamParams adam = options_.adam;
    double total = 0;
    double cross_entropy = 0;
    double dice = 0;
    int64_t seen = 0;
    const auto see_loss = [&] {
        const SegmentationLoss taken = executor_.take_loss();
        const double loss = taken.total * course_.loss_scale();
        cross_entropy += taken.cross_entropy;
        dice += taken.dice;
        ++seen;
        if (!std::isfinite(loss)) {
            throw Error("the training diverged in step " + std::to_string(steps_before + seen) +
                        ": its loss is no longer a number; " + (epoch_ == 0 ? "begin again" : "resume") +
                        " with a smaller learning rate");
        }
        total += loss;
        observer_.step(seen, steps, total / static_cast<double>(seen));
    };
    const Clock::time_point start = Clock::now();
    int64_t queued = 0;
    while (queued < steps && !stop) {
        const int64_t first = queued * batch;
        const auto draw = static_cast<uint64_t>(epoch_) * samples.size() + static_cast<uint64_t>(first);
        course_.fill(std::span(samples).subspan(static_cast<size_t>(first), static_cast<size_t>(batch)), draw,
                     executor_);
        adam.learning_rate = schedule_.learning_rate(
            executor_.step(), static_cast<double>(epoch_) + static_cast<double>(queued) / static_cast<double>(steps));
        executor_.enqueue_train(adam, average_decay());
        executor_.note_loss();
        ++queued;
        if (queued - seen > ahead) {
            see_loss();
        }
    }
    while (seen < queued) {
        see_loss();
    }
    if (queued < steps) {
        return false;
    }
    record.train_loss = total / static_cast<double>(steps);
    if (course_.has_loss_terms()) {
        record.more = {{kTrainCrossEntropy, cross_entropy / static_cast<double>(steps)},
                       {kTrainDice, dice / static_cast<double>(steps)}};
    }
    record.learning_rate = adam.learning_rate;
    record.images_per_second = static_cast<double>(steps * batch) / seconds_since(start);
    return true;
}

TrainEnd Trainer::run(const std::atomic<bool>& stop) {
    const TrainEnd end = run_epochs(stop);
    finish_syncing();
    return end;
}

TrainEnd Trainer::run_epochs(const std::atomic<bool>& stop) {
    while (epoch_ < options_.epochs) {
        const Clock::time_point start = Clock::now();
        const std::vector<int64_t> samples = course_.epoch(epoch_);
        if (static_cast<int64_t>(samples.size()) < executor_.plan().options.batch) {
            throw UsageError("there are fewer samples to train on than one batch holds");
        }
        EpochRecord record;
        if (!run_epoch(samples, stop, record)) {
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
        record.draws_per_category = course_.draws_per_category(samples);
        record.more.insert(judgement.more.begin(), judgement.more.end());
        if (outcome.improved || best_.parameters.empty()) {
            observer_.best(parameters, record);
            best_.parameters = judged_parameters();
            best_.statistics = judged_statistics();
        }
        log_->append(record);  // first: a resumed run cuts off what no checkpoint holds
        save();
        observer_.epoch(record, outcome);
        if (outcome.stop) {
            return TrainEnd::stopped_early;
        }
    }
    return TrainEnd::finished;
}

}  // namespace boneage::train

#include "tools/train_progress.h"

#include "engine/errors.h"

#include <cstdio>

namespace boneage::tools {

namespace {

// " months", or nothing where there is no unit.
std::string after_number(const std::string& unit) {
    return unit.empty() ? "" : " " + unit;
}

// " (cross-entropy 0.031 + Dice 0.028)" where the loss has these terms.
std::string terms_text(const train::EpochRecord& record) {
    const auto cross_entropy = record.more.find(train::kTrainCrossEntropy);
    const auto dice = record.more.find(train::kTrainDice);
    if (cross_entropy == record.more.end() || dice == record.more.end()) {
        return "";
    }
    char text[64];
    std::snprintf(text, sizeof text, " (cross-entropy %.3f + Dice %.3f)", cross_entropy->second, dice->second);
    return text;
}

}  // namespace

void TrainProgress::say(const std::string& line) {
    if (bar_) {
        bar_->say(line);
    } else {
        std::fprintf(stderr, "%s\n", line.c_str());
    }
}

void TrainProgress::finish() {
    if (bar_) {
        bar_->finish();
        bar_.reset();
    }
}

train::TrainObserver TrainProgress::observer() {
    train::TrainObserver observer;
    observer.say = [this](const std::string& line) { say(line); };
    observer.step = [this](int64_t step, int64_t steps, double loss) {
        if (step == 1) {
            bar_ = std::make_unique<Progress>(static_cast<size_t>(steps * batch_), "samples");
        }
        char note[64];
        std::snprintf(note, sizeof(note), "loss %.3f%s", loss, after_number(course_.loss_unit()).c_str());
        bar_->advance(static_cast<size_t>(batch_), note);
    };
    observer.epoch = [this](const train::EpochRecord& record, const train::EpochOutcome& outcome) {
        finish();
        const double metric = record.val_mae_months ? *record.val_mae_months : record.val_dice.value_or(0.0);
        const double left =
            record.elapsed_s / static_cast<double>(record.epoch) * static_cast<double>(epochs_ - record.epoch);
        std::fprintf(stderr,
                     "epoch %lld of %lld: loss %.3f%s%s, validation %s %.4g%s, rate %.3g, %.1f/s, %s left%s%s\n",
                     static_cast<long long>(record.epoch), static_cast<long long>(epochs_), record.train_loss,
                     after_number(course_.loss_unit()).c_str(), terms_text(record).c_str(),
                     course_.metric_name().c_str(), metric, after_number(course_.metric_unit()).c_str(),
                     record.learning_rate, record.images_per_second, duration_text(left).c_str(),
                     outcome.improved ? ", the best so far" : "", outcome.reduced ? ", rate lowered" : "");
    };
    observer.best = [](const plan::ParameterSource&, const train::EpochRecord&) {};
    return observer;
}

ExitCode tell_end(train::TrainEnd end, const train::Trainer& trainer, TrainProgress& progress,
                  const train::Course& course, const std::string& model) {
    progress.finish();
    if (end == train::TrainEnd::interrupted) {
        throw Error(trainer.epochs() == 0 ? "stopped before the first epoch was done; the same command begins anew"
                                          : "stopped after " + std::to_string(trainer.epochs()) +
                                                " epochs; the same command with --resume goes on from there");
    }
    const train::Schedule& schedule = trainer.schedule();
    if (!schedule.best()) {
        throw Error("no epoch could be judged: the validation gave no number");
    }
    std::fprintf(stderr, "%s after %lld epochs; the best was epoch %lld with a validation %s of %.4g%s: %s\n",
                 end == train::TrainEnd::stopped_early ? "stopped early" : "finished",
                 static_cast<long long>(trainer.epochs()), static_cast<long long>(*schedule.best_epoch()) + 1,
                 course.metric_name().c_str(), *schedule.best(), after_number(course.metric_unit()).c_str(),
                 model.c_str());
    return ExitCode::all_well;
}

}  // namespace boneage::tools

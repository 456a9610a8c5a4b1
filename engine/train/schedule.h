// The learning rate over a training, and when the training ends.
#pragma once

#include "engine/train/plateau.h"

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <variant>

namespace boneage::train {

// How long something lasts. In epochs it stays the same when the batch size changes.
struct Extent {
    enum class Unit { steps, epochs };
    double amount = 0;
    Unit unit = Unit::steps;
};

// A linear rise to the rate of the rule, as torch's LinearLR: the rate is multiplied by
// start_share + (1 - start_share) * min(1, position / over).
struct Warmup {
    Extent over;  // 0: none
    double start_share = 0.01;
};

struct ConstantRate {};

// From the end of the warm-up to `total`, as torch's CosineAnnealingLR:
//   min + (learning_rate - min) * (1 + cos(pi * t)) / 2, t from 0 to 1; it stays at min afterwards.
struct Cosine {
    Extent total;  // the warm-up's unit, and longer
    double min_learning_rate = 0;
};

// torch's OneCycleLR with two phases, for the rate alone (Adam's beta1 stays as it is): from learning_rate / div_factor
// up to learning_rate, then down to learning_rate / div_factor / final_div_factor, where it stays. The phases end at
// rise_share * total - 1 and total - 1 steps, as torch has it, or at rise_share * total and total epochs.
struct OneCycle {
    enum class Anneal { cosine, linear };
    Extent total;
    double rise_share = 0.3;
    double div_factor = 25;
    double final_div_factor = 1e4;
    Anneal anneal = Anneal::cosine;
};

struct ScheduleParams {
    double learning_rate = 1e-3;  // the largest one
    Better better = Better::lower;
    Warmup warmup;  // not with OneCycle, which has its own
    std::variant<ConstantRate, TorchPlateau, KerasPlateau, Cosine, OneCycle> rule;
    StoppingParams stopping;
};

// What follows from an epoch.
struct EpochOutcome {
    bool improved = false;  // the best so far: keep these weights
    bool reduced = false;   // the plateau rule lowered the rate
    bool stop = false;      // early stopping ends the training
};

class Schedule {
public:
    // Throws UsageError naming the parameter that is out of its range.
    explicit Schedule(const ScheduleParams& params);

    // For the step after `step` finished ones, `epochs` epochs (and fraction of one) into the training. The same
    // arguments and the same epochs ended give the same rate, so it needs no state of its own.
    [[nodiscard]] double learning_rate(int64_t step, double epochs) const;
    EpochOutcome epoch_ended(double validation_metric);

    [[nodiscard]] const ScheduleParams& params() const { return params_; }
    // Of the metric; none before the first finite one. Epochs count from 0.
    [[nodiscard]] std::optional<double> best() const { return stopping_.best(); }
    [[nodiscard]] std::optional<int64_t> best_epoch() const { return stopping_.best_epoch(); }

    // Everything epoch_ended() changed, with every bit of its numbers: a restored schedule of the same parameters goes
    // on exactly as this one would.
    [[nodiscard]] nlohmann::json state() const;
    // Where the saved schedule had another largest rate, a plateau goes on at this one's. Throws UsageError naming what
    // is missing or wrong, and that a plateau's state belongs to another rule; then nothing was changed.
    void restore(const nlohmann::json& state);

private:
    ScheduleParams params_;
    std::optional<ReduceOnPlateau> plateau_;
    EarlyStopping stopping_;
};

}  // namespace boneage::train

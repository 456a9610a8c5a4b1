#include "engine/train/schedule.h"

#include "engine/train/fields.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>

namespace boneage::train {
namespace {

void require(bool fits, const char* what) {
    if (!fits) {
        throw UsageError(std::string("schedule: ") + what);
    }
}

bool positive(double value) {
    return std::isfinite(value) && value > 0;
}

// Where the training stands, in the unit of `extent`.
double position(const Extent& extent, int64_t step, double epochs) {
    return extent.unit == Extent::Unit::steps ? static_cast<double>(step) : epochs;
}

double warmup_share(const Warmup& warmup, int64_t step, double epochs) {
    if (warmup.over.amount == 0) {
        return 1.0;
    }
    const double done = std::min(1.0, position(warmup.over, step, epochs) / warmup.over.amount);
    return warmup.start_share + (1.0 - warmup.start_share) * done;
}

// From `from` at t = 0 to `to` at t = 1, along half a cosine.
double half_cosine(double from, double to, double t) {
    return to + (from - to) * (1.0 + std::cos(std::numbers::pi * t)) / 2.0;
}

double cosine_rate(const ScheduleParams& params, const Cosine& rule, int64_t step, double epochs) {
    const double begin = params.warmup.over.amount;
    const double t = (position(rule.total, step, epochs) - begin) / (rule.total.amount - begin);
    return half_cosine(params.learning_rate, rule.min_learning_rate, std::clamp(t, 0.0, 1.0));
}

double one_cycle_rate(double peak, const OneCycle& rule, int64_t step, double epochs) {
    const double lead = rule.total.unit == Extent::Unit::steps ? 1.0 : 0.0;
    const double top = rule.rise_share * rule.total.amount - lead;
    const double end = rule.total.amount - lead;
    const double at = std::min(position(rule.total, step, epochs), end);
    const double first = peak / rule.div_factor;
    const double last = first / rule.final_div_factor;
    const bool rises = at <= top;
    const double from = rises ? first : peak;
    const double to = rises ? peak : last;
    const double t = rises ? at / top : (at - top) / (end - top);
    return rule.anneal == OneCycle::Anneal::cosine ? half_cosine(from, to, t) : from + (to - from) * t;
}

void validate(const ScheduleParams& params) {
    require(positive(params.learning_rate), "the learning rate must be more than 0");
    const Warmup& warmup = params.warmup;
    require(std::isfinite(warmup.over.amount) && warmup.over.amount >= 0, "the warm-up must last 0 or longer");
    require(warmup.start_share >= 0 && warmup.start_share <= 1, "the warm-up's first share must lie between 0 and 1");
    if (const auto* rule = std::get_if<Cosine>(&params.rule)) {
        require(warmup.over.amount == 0 || warmup.over.unit == rule->total.unit,
                "give the warm-up and the cosine both in steps or both in epochs");
        require(std::isfinite(rule->total.amount) && rule->total.amount > warmup.over.amount,
                "the cosine must last longer than its warm-up");
        require(rule->min_learning_rate >= 0 && rule->min_learning_rate <= params.learning_rate,
                "the cosine's smallest learning rate must lie between 0 and the largest");
    }
    if (const auto* rule = std::get_if<OneCycle>(&params.rule)) {
        require(warmup.over.amount == 0, "one-cycle begins with a rise of its own; leave the warm-up out");
        require(positive(rule->total.amount), "the cycle must last longer than 0");
        require(rule->rise_share > 0 && rule->rise_share < 1,
                "the share of the cycle that rises must lie between 0 and 1");
        require(rule->total.unit == Extent::Unit::epochs || rule->rise_share * rule->total.amount > 1,
                "the cycle has too few steps: its rise would take less than one");
        require(rule->div_factor >= 1 && rule->final_div_factor >= 1 && std::isfinite(rule->div_factor) &&
                    std::isfinite(rule->final_div_factor),
                "the cycle's div_factor and final_div_factor must be at least 1");
    }
}

std::optional<ReduceOnPlateau> plateau_of(const ScheduleParams& params) {
    if (const auto* rule = std::get_if<TorchPlateau>(&params.rule)) {
        return ReduceOnPlateau(*rule, params.better, params.learning_rate);
    }
    if (const auto* rule = std::get_if<KerasPlateau>(&params.rule)) {
        return ReduceOnPlateau(*rule, params.better, params.learning_rate);
    }
    return std::nullopt;
}

}  // namespace

Schedule::Schedule(const ScheduleParams& params)
    : params_(params), plateau_(plateau_of(params)), stopping_(params.stopping, params.better) {
    validate(params_);
}

double Schedule::learning_rate(int64_t step, double epochs) const {
    expects(step >= 0 && epochs >= 0, "a training begins at step 0 and epoch 0");
    double rate = plateau_ ? plateau_->learning_rate() : params_.learning_rate;
    if (const auto* rule = std::get_if<Cosine>(&params_.rule)) {
        rate = cosine_rate(params_, *rule, step, epochs);
    } else if (const auto* one_cycle = std::get_if<OneCycle>(&params_.rule)) {
        rate = one_cycle_rate(params_.learning_rate, *one_cycle, step, epochs);
    }
    return rate * warmup_share(params_.warmup, step, epochs);
}

EpochOutcome Schedule::epoch_ended(double validation_metric) {
    EpochOutcome outcome;
    outcome.reduced = plateau_ && plateau_->epoch_ended(validation_metric);
    const EarlyStopping::Verdict verdict = stopping_.epoch_ended(validation_metric);
    outcome.improved = verdict == EarlyStopping::Verdict::better;
    outcome.stop = verdict == EarlyStopping::Verdict::stop;
    return outcome;
}

nlohmann::json Schedule::state() const {
    return {{"learning_rate", params_.learning_rate},
            {"plateau", plateau_ ? plateau_->state() : nlohmann::json(nullptr)},
            {"stopping", stopping_.state()}};
}

void Schedule::restore(const nlohmann::json& state) {
    const Fields fields(state, "the saved state of the schedule");
    const nlohmann::json& plateau = fields.field("plateau");
    if (plateau.is_null() == plateau_.has_value()) {
        fields.fail(plateau_ ? "it was saved by a run without a plateau rule"
                             : "it was saved by a run with a plateau rule");
    }
    std::optional<ReduceOnPlateau> restored_plateau = plateau_;
    EarlyStopping restored_stopping = stopping_;
    if (restored_plateau) {
        restored_plateau->restore(plateau);
        if (fields.number("learning_rate") != params_.learning_rate) {
            restored_plateau->set_learning_rate(params_.learning_rate);
        }
    }
    restored_stopping.restore(fields.field("stopping"));
    plateau_ = restored_plateau;
    stopping_ = restored_stopping;
}

}  // namespace boneage::train

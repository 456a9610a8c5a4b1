#include "engine/train/plateau.h"

#include "engine/train/fields.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace boneage::train {
namespace {

void require(bool fits, const char* what) {
    if (!fits) {
        throw UsageError(std::string("schedule: ") + what);
    }
}

void validate_common(double factor, int64_t patience, int64_t cooldown, double min_learning_rate) {
    require(factor > 0 && factor < 1, "the plateau's factor must lie between 0 and 1");
    require(patience >= 0, "the plateau's patience must be at least 0 epochs");
    require(cooldown >= 0, "the plateau's cooldown must be at least 0 epochs");
    require(std::isfinite(min_learning_rate) && min_learning_rate >= 0,
            "the plateau's smallest learning rate must be at least 0");
}

void validate(const TorchPlateau& p) {
    validate_common(p.factor, p.patience, p.cooldown, p.min_learning_rate);
    require(std::isfinite(p.threshold) && p.threshold >= 0, "the plateau's threshold must be at least 0");
    require(p.threshold_mode == TorchPlateau::Threshold::absolute || p.threshold < 1,
            "the plateau's relative threshold must be below 1");
    require(std::isfinite(p.eps) && p.eps >= 0, "the plateau's eps must be at least 0");
}

void validate(const KerasPlateau& p) {
    validate_common(p.factor, p.patience, p.cooldown, p.min_learning_rate);
    require(std::isfinite(p.min_delta) && p.min_delta >= 0, "the plateau's min_delta must be at least 0");
}

bool torch_better(const TorchPlateau& p, Better better, double metric, double best) {
    if (p.threshold_mode == TorchPlateau::Threshold::relative) {
        return better == Better::lower ? metric < best * (1.0 - p.threshold) : metric > best * (p.threshold + 1.0);
    }
    return better == Better::lower ? metric < best - p.threshold : metric > best + p.threshold;
}

bool keras_better(double min_delta, Better better, double metric, double best) {
    return better == Better::lower ? metric + min_delta < best : metric - min_delta > best;
}

nlohmann::json number_or_null(const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
}

}  // namespace

ReduceOnPlateau::ReduceOnPlateau(const PlateauParams& params, Better better, double learning_rate)
    : params_(params), better_(better), learning_rate_(learning_rate) {
    std::visit([](const auto& p) { validate(p); }, params_);
    require(std::isfinite(learning_rate) && learning_rate > 0, "the learning rate must be more than 0");
}

bool ReduceOnPlateau::epoch_ended(double metric) {
    return std::visit([&](const auto& params) { return follow(params, metric); }, params_);
}

bool ReduceOnPlateau::follow(const TorchPlateau& params, double metric) {
    if (std::isfinite(metric) && (!best_ || torch_better(params, better_, metric, *best_))) {
        best_ = metric;
        bad_epochs_ = 0;
    } else {
        ++bad_epochs_;
    }
    if (cooldown_left_ > 0) {
        --cooldown_left_;
        bad_epochs_ = 0;
    }
    if (bad_epochs_ <= params.patience) {
        return false;
    }
    cooldown_left_ = params.cooldown;
    bad_epochs_ = 0;
    const double lowered = std::max(learning_rate_ * params.factor, params.min_learning_rate);
    if (!(learning_rate_ - lowered > params.eps)) {
        return false;
    }
    learning_rate_ = lowered;
    return true;
}

bool ReduceOnPlateau::follow(const KerasPlateau& params, double metric) {
    if (cooldown_left_ > 0) {
        --cooldown_left_;
        bad_epochs_ = 0;
    }
    if (std::isfinite(metric) && (!best_ || keras_better(params.min_delta, better_, metric, *best_))) {
        best_ = metric;
        bad_epochs_ = 0;
        return false;
    }
    if (cooldown_left_ > 0) {
        return false;
    }
    ++bad_epochs_;
    if (bad_epochs_ < params.patience || learning_rate_ <= params.min_learning_rate) {
        return false;
    }
    learning_rate_ = std::max(learning_rate_ * params.factor, params.min_learning_rate);
    cooldown_left_ = params.cooldown;
    bad_epochs_ = 0;
    return true;
}

nlohmann::json ReduceOnPlateau::state() const {
    return {{"learning_rate", learning_rate_},
            {"best", number_or_null(best_)},
            {"bad_epochs", bad_epochs_},
            {"cooldown_left", cooldown_left_}};
}

void ReduceOnPlateau::restore(const nlohmann::json& state) {
    const Fields fields(state, "the saved state of the plateau rule");
    const double learning_rate = fields.number("learning_rate");
    if (!(learning_rate >= 0)) {
        fields.fail("learning_rate is below 0");
    }
    const std::optional<double> best = fields.number_or_null("best");
    const int64_t bad_epochs = fields.count("bad_epochs");
    const int64_t cooldown_left = fields.count("cooldown_left");
    learning_rate_ = learning_rate;
    best_ = best;
    bad_epochs_ = bad_epochs;
    cooldown_left_ = cooldown_left;
}

EarlyStopping::EarlyStopping(const StoppingParams& params, Better better) : params_(params), better_(better) {
    require(std::isfinite(params.min_delta) && params.min_delta >= 0, "early stopping's min_delta must be at least 0");
    require(!params.patience || *params.patience >= 0, "early stopping's patience must be at least 0 epochs");
}

EarlyStopping::Verdict EarlyStopping::epoch_ended(double metric) {
    const int64_t epoch = epochs_++;
    if (std::isfinite(metric) && (!best_ || keras_better(params_.min_delta, better_, metric, *best_))) {
        best_ = metric;
        best_epoch_ = epoch;
        waited_ = 0;
        return Verdict::better;
    }
    ++waited_;
    return params_.patience && waited_ >= *params_.patience && epoch > 0 ? Verdict::stop : Verdict::go_on;
}

std::optional<int64_t> EarlyStopping::best_epoch() const {
    return best_ ? std::optional(best_epoch_) : std::nullopt;
}

nlohmann::json EarlyStopping::state() const {
    return {{"best", number_or_null(best_)}, {"best_epoch", best_epoch_}, {"epochs", epochs_}, {"waited", waited_}};
}

void EarlyStopping::restore(const nlohmann::json& state) {
    const Fields fields(state, "the saved state of early stopping");
    const std::optional<double> best = fields.number_or_null("best");
    const int64_t best_epoch = fields.count("best_epoch");
    const int64_t epochs = fields.count("epochs");
    const int64_t waited = fields.count("waited");
    if (waited > epochs || (best && best_epoch >= epochs)) {
        fields.fail("best_epoch, epochs and waited contradict one another");
    }
    best_ = best;
    best_epoch_ = best_epoch;
    epochs_ = epochs;
    waited_ = waited;
}

}  // namespace boneage::train

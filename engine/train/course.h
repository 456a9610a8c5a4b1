// What a training teaches: which samples an epoch has, what the network is shown of them, and how well it does.
#pragma once

#include "engine/plan/training_executor.h"
#include "engine/train/plateau.h"
#include "kernels/image/augment.h"

#include <map>
#include <span>
#include <string>
#include <vector>

namespace boneage::train {

// How good a network is on the samples held back.
struct Judgement {
    double metric = 0;                   // what improves or does not
    std::map<std::string, double> more;  // further figures, for the log
};

class Course {
public:
    virtual ~Course() = default;

    // The samples of one epoch in their order; the same whenever the same epoch is asked for.
    [[nodiscard]] virtual std::vector<int64_t> epoch(int64_t epoch) const = 0;
    // Fills the inputs and targets of one batch at their places, on a device by queueing it before the coming step.
    // Sample i is changed by what draw `first_draw` + i decides.
    virtual void fill(std::span<const int64_t> samples, uint64_t first_draw, plan::TrainingExecutor& executor) = 0;

    [[nodiscard]] virtual Judgement judge(const plan::ParameterSource& parameters) = 0;
    // Makes once what judge() makes every time, for back ends that keep what takes them long.
    virtual void prepare_judging(const plan::ParameterSource& parameters) = 0;
    [[nodiscard]] virtual Better better() const = 0;
    // The metric for people: "MAE" in "months"; the unit may be "".
    [[nodiscard]] virtual std::string metric_name() const = 0;
    [[nodiscard]] virtual std::string metric_unit() const = 0;
    // What the loss is multiplied by for people, and the unit it then has; "" for none.
    [[nodiscard]] virtual double loss_scale() const = 0;
    [[nodiscard]] virtual std::string loss_unit() const = 0;
    // Whether the loss is the sum of two terms, cross-entropy and soft Dice, that are reported as well.
    [[nodiscard]] virtual bool has_loss_terms() const = 0;

    // How many samples of every age category an epoch draws; empty where there are none.
    [[nodiscard]] virtual std::vector<int64_t> draws_per_category(std::span<const int64_t> samples) const = 0;
    // Everything that must be the same for a training to be resumed: data, settings.
    [[nodiscard]] virtual std::string fingerprint() const = 0;
};

// Every range, for fingerprints.
std::string text_of(const AugmentParams& augment);

}  // namespace boneage::train

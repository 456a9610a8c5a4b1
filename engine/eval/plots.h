// The plots of a report.
#pragma once

#include "engine/eval/evaluation.h"
#include "engine/eval/training_log.h"

#include <optional>
#include <string>
#include <vector>

namespace boneage::eval {

struct Plot {
    std::string title;
    std::string caption;  // what is to be seen, for those who cannot see it as well
    std::string svg;      // one <svg> element
};

// Predicted against actual age, Bland-Altman, error by age, and with a log its loss, validation and learning-rate
// curves (those that it has numbers for). Needs gnuplot.
std::vector<Plot> make_plots(const Evaluation& evaluation, const std::optional<TrainingLog>& log);

}  // namespace boneage::eval

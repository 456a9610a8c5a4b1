// Labels and predictions brought together by id.
#pragma once

#include "engine/eval/labels.h"
#include "engine/eval/predictions.h"

#include <map>
#include <string>
#include <vector>

namespace boneage::eval {

// A radiograph whose age is known and that was given one.
struct Case {
    std::string id;
    std::string source;
    pipeline::Sex sex = pipeline::Sex::unknown;  // as labelled
    double actual_months = 0.0;
    double predicted_months = 0.0;

    [[nodiscard]] double error_months() const { return predicted_months - actual_months; }
};

// What became of every row; nothing is left out silently.
struct Coverage {
    int64_t labels = 0;                         // that can be used
    int64_t scored = 0;                         // of them
    std::map<std::string, int64_t> not_scored;  // the rest, by "rejected: reason", "error: reason" or "no prediction"
    int64_t label_exclusions = 0;               // rows of the labels that cannot be used
    int64_t predictions = 0;
    int64_t prediction_exclusions = 0;  // rows of the predictions left out
    int64_t without_label = 0;          // predictions that no label is there for
    int64_t told_other_sex = 0;         // cases whose age was given for another sex than the labelled one
    int64_t told_no_sex = 0;            // cases with a labelled sex whose age was given without it
};

struct Cases {
    std::vector<Case> rows;  // in the labels' order
    Coverage coverage;
};

Cases match(const LabelTable& labels, const PredictionTable& predictions);

}  // namespace boneage::eval

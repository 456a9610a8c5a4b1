#include "engine/eval/cases.h"

#include <unordered_map>

namespace boneage::eval {
namespace {

using pipeline::Sex;
using pipeline::Status;

std::string fate_of(const Prediction* prediction) {
    if (prediction == nullptr) {
        return "no prediction";
    }
    const std::string status = prediction->status == Status::rejected ? "rejected" : "error";
    return prediction->reason.empty() ? status : status + ": " + prediction->reason;
}

}  // namespace

Cases match(const LabelTable& labels, const PredictionTable& predictions) {
    std::unordered_map<std::string, const Prediction*> by_id;
    for (const Prediction& prediction : predictions.rows) {
        by_id.emplace(prediction.id, &prediction);
    }
    Cases cases;
    Coverage& coverage = cases.coverage;
    coverage.labels = static_cast<int64_t>(labels.rows.size());
    coverage.label_exclusions = static_cast<int64_t>(labels.exclusions.size());
    coverage.predictions = static_cast<int64_t>(predictions.rows.size());
    coverage.prediction_exclusions = static_cast<int64_t>(predictions.exclusions.size());
    coverage.without_label = coverage.predictions;
    for (const Label& label : labels.rows) {
        const auto found = by_id.find(label.id);
        const Prediction* prediction = found == by_id.end() ? nullptr : found->second;
        coverage.without_label -= prediction != nullptr ? 1 : 0;
        if (prediction == nullptr || !prediction->bone_age_months) {
            ++coverage.not_scored[fate_of(prediction)];
            continue;
        }
        ++coverage.scored;
        if (label.sex != Sex::unknown && prediction->sex && *prediction->sex != label.sex) {
            ++(*prediction->sex == Sex::unknown ? coverage.told_no_sex : coverage.told_other_sex);
        }
        cases.rows.push_back({label.id, prediction->source, label.sex, label.age_months, *prediction->bone_age_months});
    }
    return cases;
}

}  // namespace boneage::eval

#include "engine/pipeline/verdict.h"

#include <cmath>
#include <cstdio>
#include <utility>

namespace boneage::pipeline {
namespace {

std::string percent(double fraction) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f %%", 100.0 * fraction);
    return text;
}

void reject(Result& result, const char* reason, std::string message) {
    result.status = Status::rejected;
    result.reason = reason;
    result.message = std::move(message);
}

void refuse(Result& result, const char* message) {
    result.status = Status::error;
    result.reason = "not_finite";
    result.message = message;
}

}  // namespace

Ages mean_of(const Ages& a, const Ages& b) {
    return {0.5 * (a.if_male + b.if_male), 0.5 * (a.if_female + b.if_female)};
}

void judge_contrast(Result& result, double spread, bool low) {
    result.contrast = spread;
    if (low) {
        reject(result, "low_contrast",
               "the picture is nearly flat: its values spread over " + percent(spread) + " of the range");
    }
}

void judge_map(Result& result, bool broken) {
    if (broken) {
        refuse(result, "the segmenter's answer is not a number: are its weights damaged?");
    }
}

void judge_mask(Result& result, double fraction, const Recipe::Segment& recipe) {
    result.mask_fraction = fraction;
    if (fraction <= 0.0 || fraction < recipe.min_fraction) {
        reject(result, "no_hand", "no hand was found: the mask covers " + percent(fraction) + " of the picture");
    } else if (fraction > recipe.max_fraction) {
        reject(
            result, "mask_too_large",
            "the hand cannot be told from its surroundings: the mask covers " + percent(fraction) + " of the picture");
    }
}

void enter_ages(Result& result, const Ages& ages, Sex sex) {
    if (!std::isfinite(ages.if_male) || !std::isfinite(ages.if_female)) {
        refuse(result,
               "the age network's answer is not a number: are its weights damaged, or too large for --precision f16?");
        return;
    }
    result.age_if_male = ages.if_male;
    result.age_if_female = ages.if_female;
    result.bone_age_months = sex == Sex::male     ? ages.if_male
                             : sex == Sex::female ? ages.if_female
                                                  : 0.5 * (ages.if_male + ages.if_female);
}

}  // namespace boneage::pipeline

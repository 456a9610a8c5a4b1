// How what the stages found becomes a result: the rules are the same wherever the stages ran.
#pragma once

#include "engine/pipeline/recipe.h"
#include "engine/pipeline/result.h"

namespace boneage::pipeline {

// The two answers for one image; equal where the network takes no sex.
struct Ages {
    double if_male = 0.0;
    double if_female = 0.0;
};

// What the answers for an image and for its mirror image say together.
Ages mean_of(const Ages& a, const Ages& b);

// Enters the contrast, and rejects the image when it is `low`.
void judge_contrast(Result& result, double spread, bool low);

// Enters an error where the segmenter's map holds something other than numbers.
void judge_map(Result& result, bool broken);

// Enters the share of the canvas that the mask covers, and rejects the image when no hand can be that small or large.
void judge_mask(Result& result, double fraction, const Recipe::Segment& recipe);

// Enters the ages: the one of the sex where it is known, else the mean of both. Ages that are not numbers are an error.
void enter_ages(Result& result, const Ages& ages, Sex sex);

}  // namespace boneage::pipeline

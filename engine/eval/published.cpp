#include "engine/eval/published.h"

#include <array>

namespace boneage::eval {

// Years of the sources are given here in months. Only what was read in the source itself stands here.
std::span<const PublishedFigure> published_figures() {
    static constexpr std::array<PublishedFigure, 4> kFigures{{
        {"One human reader", 5.8, std::nullopt,
         "10 radiographs, each against the mean of 46 radiologists (the figure that the source takes as a single "
         "reading's mean absolute difference)",
         "Visiana, Bone Age Rating Test, https://bonexpert.com/apps/BoneAgeTest/BoneAgeTest.html"},
        {"Two human readers", std::nullopt, 7.4,
         "healthy children of four ethnicities in the University of Southern California's hand atlas; one reading "
         "against the other, 0.62 years root mean square",
         "Visiana, New validation study of BoneXpert in Academic Radiology, August 2010, "
         "https://bonexpert.com/2010/08/21/august-2010-new-validation-study-of-bonexpert-in-academic-radiology/"},
        {"Best program of the RSNA challenge", 4.2, std::nullopt,
         "the challenge's 200 test radiographs; its best five programs had 4.2, 4.4, 4.4, 4.5 and 4.5 months",
         "Halabi SS, Prevedello LM, Kalpathy-Cramer J, et al. The RSNA Pediatric Bone Age Machine Learning Challenge. "
         "Radiology 2019;290(2):498-503, doi:10.1148/radiol.2018180736"},
        {"BoneXpert 3", std::nullopt, 5.4,
         "the challenge's 200 test radiographs against the mean of six readings, 0.45 years root mean square",
         "Martin DD, Calder AD, Ranke MB, Binder G, Thodberg HH. Accuracy and self-validation of automated bone age "
         "determination. Sci Rep 2022;12:6388, doi:10.1038/s41598-022-10292-y"},
    }};
    return kFigures;
}

}  // namespace boneage::eval

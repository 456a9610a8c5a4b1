// What scoring one radiograph says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace boneage::pipeline {

enum class Sex : uint8_t { unknown, male, female };

enum class Status : uint8_t {
    ok,        // there is an age
    rejected,  // the picture was read but is not one to score; `reason` says why
    error,     // the picture could not be read or processed
};

// Ages exist only with Status::ok.
struct Result {
    Status status = Status::ok;
    std::string reason;   // a short code: low_contrast, no_hand, mask_too_large, not_finite, or the InputError's
    std::string message;  // a sentence for people, empty when all is well
    std::optional<double> bone_age_months;
    std::optional<double> age_if_male;
    std::optional<double> age_if_female;
    std::optional<double> contrast;       // 0..1
    std::optional<double> mask_fraction;  // of the canvas, before dilation
    int64_t width = 0;
    int64_t height = 0;
    double elapsed_ms = 0.0;
};

}  // namespace boneage::pipeline

// What others report, for orientation: measured on other radiographs, so never a comparison like with like.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace boneage::eval {

struct PublishedFigure {
    std::string_view who;
    std::optional<double> mae_months;
    std::optional<double> rmse_months;
    std::string_view measured_on;
    std::string_view citation;
};

std::span<const PublishedFigure> published_figures();

}  // namespace boneage::eval

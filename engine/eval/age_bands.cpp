#include "engine/eval/age_bands.h"

#include "kernels/base/error.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace boneage::eval {

AgeBands::AgeBands() : AgeBands({0, 24, 48, 72, 96, 120, 144, 168, 192, 216, 240}) {}

AgeBands::AgeBands(std::vector<double> edges_months) : edges_(std::move(edges_months)) {
    expects(edges_.size() >= 2, "bands have at least two edges");
    expects(std::ranges::all_of(edges_, [](double edge) { return std::isfinite(edge); }), "edges are finite");
    expects(std::ranges::adjacent_find(edges_, std::greater_equal<>()) == edges_.end(), "edges rise");
}

size_t AgeBands::index_of(double age_months) const {
    const auto above = std::upper_bound(edges_.begin(), edges_.end(), age_months);
    const auto position = static_cast<size_t>(above - edges_.begin());
    return std::clamp<size_t>(position, 1, count()) - 1;
}

std::string AgeBands::name(size_t band) const {
    char text[64];
    std::snprintf(text, sizeof text, "%g-%g", lower(band), upper(band));
    return text;
}

}  // namespace boneage::eval

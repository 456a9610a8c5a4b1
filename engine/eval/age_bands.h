// Age bands: the categories that ages fall into when they are counted, balanced or reported.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace boneage::eval {

// Half-open bands [lower, upper) of months that follow each other; the last one holds its upper edge as well.
class AgeBands {
public:
    // Ten bands of two years, from 0 to 240 months.
    AgeBands();
    // At least two edges, finite and rising.
    explicit AgeBands(std::vector<double> edges_months);

    [[nodiscard]] size_t count() const { return edges_.size() - 1; }
    // The band that holds a finite age; ages outside of all bands belong to the nearest one.
    [[nodiscard]] size_t index_of(double age_months) const;
    [[nodiscard]] double lower(size_t band) const { return edges_[band]; }
    [[nodiscard]] double upper(size_t band) const { return edges_[band + 1]; }
    // "24-48"
    [[nodiscard]] std::string name(size_t band) const;

private:
    std::vector<double> edges_;
};

}  // namespace boneage::eval

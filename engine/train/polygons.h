// Outlines that people drew, as masks.
#pragma once

#include "kernels/base/view.h"

#include <vector>

namespace boneage::train {

// In pixels: the top left pixel covers 0..1 in both.
struct Point {
    double x = 0.0;
    double y = 0.0;
};
// A closed line; the last point is joined to the first.
using Ring = std::vector<Point>;

// Sets to 255 every pixel of `mask` whose centre lies inside; the others keep what they had, so several polygons make
// their union. Inside is where an odd number of the rings' edges lie to the left (even-odd): a ring within another is
// a hole, and so is what a line encloses that comes back along itself. Coordinates are finite; what lies outside of
// the mask is cut off. A centre exactly on an edge belongs to the side right of it or below it.
void fill_polygon(const std::vector<Ring>& rings, Image<uint8_t, Host> mask);

}  // namespace boneage::train

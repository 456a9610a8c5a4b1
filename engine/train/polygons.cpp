#include "engine/train/polygons.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace boneage::train {
namespace {

// The first pixel whose centre is not before `position`, within 0..size.
int64_t first_centre(double position, int64_t size) {
    return static_cast<int64_t>(std::clamp(std::ceil(position - 0.5), 0.0, static_cast<double>(size)));
}

}  // namespace

void fill_polygon(const std::vector<Ring>& rings, Image<uint8_t, Host> mask) {
    int64_t top = mask.height;
    int64_t bottom = 0;
    for (const Ring& ring : rings) {
        for (const Point& point : ring) {
            const int64_t row = first_centre(point.y, mask.height);
            top = std::min(top, row);
            bottom = std::max(bottom, row);
        }
    }
    if (top >= bottom) {
        return;
    }
    // An edge flips all pixels right of it. Where each flip begins is marked first, one pass along the rows then adds
    // them up: the time does not depend on how often edges cross.
    const int64_t columns = mask.width + 1;
    std::vector<uint8_t> flips(static_cast<size_t>((bottom - top) * columns));
    for (const Ring& ring : rings) {
        for (size_t i = 0; i < ring.size(); ++i) {
            Point a = ring[i];
            Point b = ring[(i + 1) % ring.size()];
            if (a.y > b.y) {
                std::swap(a, b);
            }
            const int64_t end = first_centre(b.y, mask.height);
            for (int64_t y = first_centre(a.y, mask.height); y < end; ++y) {
                const double along = (static_cast<double>(y) + 0.5 - a.y) / (b.y - a.y);
                const int64_t x = first_centre(a.x + along * (b.x - a.x), mask.width);
                flips[static_cast<size_t>((y - top) * columns + x)] ^= 1U;
            }
        }
    }
    for (int64_t y = top; y < bottom; ++y) {
        uint8_t inside = 0;
        for (int64_t x = 0; x < mask.width; ++x) {
            inside ^= flips[static_cast<size_t>((y - top) * columns + x)];
            if (inside != 0) {
                mask.at(y, x) = 255;
            }
        }
    }
}

}  // namespace boneage::train

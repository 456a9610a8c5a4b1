// Masks that are hard on connected components.
#pragma once

#include "tests/support/images.h"

#include <functional>

namespace boneage::testing {

// A mask whose foreground is where on(y, x) holds, in many values that are not 0.
inline PaddedImage<uint8_t> painted(int64_t height, int64_t width, const std::function<bool(int64_t, int64_t)>& on) {
    PaddedImage<uint8_t> mask(height, width);
    for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
            mask.view().at(y, x) = on(y, x) ? static_cast<uint8_t>(1 + (y * 7 + x) % 255) : 0;
        }
    }
    return mask;
}

// One component, one pixel wide, that winds into the middle: the longest way from a pixel to its component's first.
inline PaddedImage<uint8_t> spiral(int64_t size) {
    PaddedImage<uint8_t> mask = painted(size, size, [](int64_t, int64_t) { return false; });
    int64_t y = 0;
    int64_t x = 0;
    int64_t dy = 0;
    int64_t dx = 1;
    const auto on = [&](int64_t v, int64_t u) {
        return v >= 0 && u >= 0 && v < size && u < size && mask.view().at(v, u) != 0;
    };
    for (int64_t step = 0; step < size * size; ++step) {
        mask.view().at(y, x) = 255;
        if (y + dy < 0 || y + dy >= size || x + dx < 0 || x + dx >= size || on(y + 2 * dy, x + 2 * dx)) {
            const int64_t turned = dy;
            dy = dx;
            dx = -turned;
            if (on(y + 2 * dy, x + 2 * dx) || on(y + dy, x + dx)) {
                break;
            }
        }
        y += dy;
        x += dx;
    }
    return mask;
}

}  // namespace boneage::testing

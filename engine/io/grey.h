// From colour to grey, by the one formula that image_file.h states.
#pragma once

#include <cstdint>

namespace boneage::io {

// Exact for channels of up to 16 bits.
constexpr uint32_t grey_of(uint32_t red, uint32_t green, uint32_t blue) {
    return (9798 * red + 19235 * green + 3735 * blue + 16384) >> 15;
}
static_assert(grey_of(0, 0, 0) == 0 && grey_of(255, 255, 255) == 255 && grey_of(65535, 65535, 65535) == 65535);

}  // namespace boneage::io

#include "engine/io/exif.h"

#include "kernels/base/error.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace boneage::io {

int exif_orientation(FileBytes app1) {
    constexpr size_t kPrefix = 6;
    if (app1.size() < kPrefix + 8 || std::memcmp(app1.data(), "Exif\0\0", kPrefix) != 0) {
        return 0;
    }
    // Offsets count from the TIFF header behind the prefix, whose first bytes tell the byte order.
    const FileBytes tiff = app1.subspan(kPrefix);
    const bool big = tiff[0] == 'M';
    const auto number = [&](size_t at, size_t bytes) -> size_t {
        if (at + bytes > tiff.size()) {
            return 0;
        }
        size_t value = 0;
        for (size_t i = 0; i < bytes; ++i) {
            value |= static_cast<size_t>(tiff[at + i]) << (8 * (big ? bytes - 1 - i : i));
        }
        return value;
    };
    if (number(2, 2) != 42) {
        return 0;
    }
    constexpr size_t kEntryBytes = 12;
    constexpr size_t kOrientation = 0x0112;
    constexpr size_t kShort = 3;
    const size_t directory = number(4, 4);
    const size_t entries = number(directory, 2);
    for (size_t i = 0; i < entries; ++i) {
        const size_t entry = directory + 2 + i * kEntryBytes;
        if (entry + kEntryBytes > tiff.size()) {
            return 0;
        }
        if (number(entry, 2) == kOrientation && number(entry + 2, 2) == kShort) {
            const size_t value = number(entry + 8, 2);
            return value <= 8 ? static_cast<int>(value) : 0;
        }
    }
    return 0;
}

void orient(Image<const uint8_t, Host> stored, int orientation, Image<uint8_t, Host> upright) {
    expects(orientation >= 1 && orientation <= 8, "orientation must be 1 to 8");
    const bool sideways = orientation >= 5;
    expects(upright.height == (sideways ? stored.width : stored.height) &&
                upright.width == (sideways ? stored.height : stored.width),
            "upright must have the size of the turned picture");
    // Where the top left pixel of the upright picture is stored, and the steps from there along its columns and rows.
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_below = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const int64_t across = from_right ? -1 : 1;
    const int64_t down = from_below ? -stored.stride : stored.stride;
    const uint8_t* corner =
        stored.data + (from_below ? (stored.height - 1) * stored.stride : 0) + (from_right ? stored.width - 1 : 0);
    const int64_t dx = sideways ? down : across;
    const int64_t dy = sideways ? across : down;
    // In tiles, because one of the two pictures is walked against its rows.
    constexpr int64_t kTile = 64;
    for (int64_t y0 = 0; y0 < upright.height; y0 += kTile) {
        for (int64_t x0 = 0; x0 < upright.width; x0 += kTile) {
            for (int64_t y = y0; y < std::min(y0 + kTile, upright.height); ++y) {
                for (int64_t x = x0; x < std::min(x0 + kTile, upright.width); ++x) {
                    upright.at(y, x) = corner[y * dy + x * dx];
                }
            }
        }
    }
}

}  // namespace boneage::io

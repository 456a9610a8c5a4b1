// BMP files for tests, byte by byte.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <vector>

namespace boneage::testing {

using FileData = std::vector<uint8_t>;

struct BmpKind {
    int32_t width = 4;
    int32_t height = 4;  // negative: rows from top to bottom
    int bits = 8;
    int header = 40;  // bytes of the second header: 12, 40 or 108
    uint32_t compression = 0;

    // What index i looks like.
    static int grey(int index) { return (index * 37 + 11) % 256; }
};

// A picture whose pixel in row y, counted from the top, and column x has the index (x + 3y) % 2^bits; for 24 and 32
// bits the pixels are zero.
inline FileData bmp_file(const BmpKind& kind) {
    const int entries = kind.bits <= 8 ? 1 << kind.bits : 0;
    const int entry_bytes = kind.header == 12 ? 3 : 4;
    const auto pixels_at = static_cast<uint32_t>(14 + kind.header + entries * entry_bytes);
    const int height = std::abs(kind.height);
    const int stride = (kind.width * kind.bits + 31) / 32 * 4;
    FileData file;
    const auto put = [&](uint32_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) {
            file.push_back(static_cast<uint8_t>(value >> (8 * i)));
        }
    };
    file = {'B', 'M'};
    put(pixels_at + static_cast<uint32_t>(stride * height), 4);
    put(0, 4);
    put(pixels_at, 4);
    put(static_cast<uint32_t>(kind.header), 4);
    const int side_bytes = kind.header == 12 ? 2 : 4;
    put(static_cast<uint32_t>(kind.width), side_bytes);
    put(static_cast<uint32_t>(kind.height), side_bytes);
    put(1, 2);
    put(static_cast<uint32_t>(kind.bits), 2);
    if (kind.header > 12) {
        put(kind.compression, 4);
    }
    file.resize(static_cast<size_t>(kind.header) + 14);
    for (int i = 0; i < entries; ++i) {
        file.insert(file.end(), static_cast<size_t>(entry_bytes), static_cast<uint8_t>(BmpKind::grey(i)));
    }
    for (int row = 0; row < height; ++row) {
        const int y = kind.height < 0 ? row : height - 1 - row;
        FileData bytes(static_cast<size_t>(stride));
        for (int x = 0; x < kind.width && kind.bits <= 8; ++x) {
            const int bit = x * kind.bits;
            bytes[static_cast<size_t>(bit / 8)] |=
                static_cast<uint8_t>((x + 3 * y) % (1 << kind.bits) << (8 - kind.bits - bit % 8));
        }
        file.insert(file.end(), bytes.begin(), bytes.end());
    }
    return file;
}

}  // namespace boneage::testing

// PNG files for tests: of every kind through libpng, and byte by byte for the kinds that must not be read.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace boneage::testing {

using FileData = std::vector<uint8_t>;

struct PngKind {
    int depth = 8;
    int colour = 0;  // PNG's number: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
    bool interlaced = false;
    int filters = 0;  // libpng's PNG_FILTER_... flags; 0 lets libpng choose
    int64_t compressed_part = 8192;

    [[nodiscard]] int channels() const { return colour == 2 ? 3 : colour == 4 ? 2 : colour == 6 ? 4 : 1; }
};

// What libpng writes for `samples`, [height, width, channels] in the range of the depth. `palette` holds RGB triples.
FileData libpng_file(const PngKind& kind, int64_t height, int64_t width, const std::vector<uint16_t>& samples,
                     const std::vector<uint8_t>& palette);

// One chunk with its length and a right checksum.
FileData chunk(std::string_view type, const FileData& data);
FileData header_chunk(uint32_t width, uint32_t height, int depth = 8, int colour = 0, int interlace = 0);
// IDAT with these bytes (filter bytes included) compressed.
FileData data_chunk(const FileData& rows);
// The signature, then the chunks.
FileData png_of(const std::vector<FileData>& chunks);
// Makes every chunk's checksum right again, as far as the lengths allow.
void repair_checksums(FileData& png);

}  // namespace boneage::testing

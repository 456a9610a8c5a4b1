// A picture of many pictures, so that people look at what they train on: pairs side by side, before and after.
#pragma once

#include "kernels/base/buffer.h"
#include "kernels/base/workers.h"
#include "kernels/image/resize.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace boneage::train {

inline constexpr int64_t kThumbnailSide = 160;
inline constexpr size_t kSheetPairs = 48;

// An image in 8 bits that fits into a thumbnail; `shape` gives its aspect.
template <class P>
HostImage<uint8_t> thumbnail(Workers& workers, Image<const P, Host> image, ImageSize shape);

// Which `count` of `total` to show: evenly spread, each once, ascending.
std::vector<size_t> evenly_spread(size_t total, size_t count);

// One pair of a sheet; a sheet is filled row by row, left to right.
struct SheetPair {
    std::string id;
    HostImage<uint8_t> before;
    std::optional<HostImage<uint8_t>> after;  // none: the picture was left out, a red cell shows it
    std::optional<HostImage<uint8_t>> mask;   // of the size of `after`: its outline is drawn there in yellow
};

// Writes `path`.png with the pairs, and `path`.csv with the columns row, column, id: which is where; removes
// them for no pairs. Throws Error when they cannot be written.
void write_sheet(const std::filesystem::path& path, const std::vector<SheetPair>& pairs);

}  // namespace boneage::train

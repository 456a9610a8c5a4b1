// Which segmenter found the hands that a model was trained on: what a model was trained with is what it is scored with.
//
// A mark is one line of text, for the metadata of caches and models ("segmenter"):
//   none                        no segmenter: the whole image counted as hand
//   1a2b3c4d unet.safetensors   the segmenter's checksum, then what its file was called, for people
// Files without a mark do not know.
#pragma once

#include "engine/io/model_file.h"

#include <string>
#include <string_view>

namespace boneage::io {

inline constexpr std::string_view kNoSegmenter = "none";

// The checksum is the CRC-32 of the network's parameters as float32, little-endian, one after the other in the order of
// net::parameters(); in 8 hexadecimal digits. Other cards and file names leave it as it is, other numbers do not.
std::string segmenter_mark(const ModelFile& segmenter);

// Whether two marks are of one segmenter, whatever its file is called.
bool same_segmenter(std::string_view a, std::string_view b);

// For sentences: "without a segmenter", or "with the segmenter unet.safetensors (1a2b3c4d)".
std::string segmenter_text(std::string_view mark);

}  // namespace boneage::io

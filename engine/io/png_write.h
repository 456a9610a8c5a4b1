// Pictures as PNG files.
#pragma once

#include "kernels/base/view.h"

#include <filesystem>
#include <vector>

namespace boneage::io {

// A grey PNG of the pixels' depth, 8 or 16 bits: what ImageDecoder reads back exactly. The image must not be empty.
template <class P>
std::vector<uint8_t> encode_png(Image<const P, Host> image);
// A colour PNG of [h, w, 3] bytes, red first.
std::vector<uint8_t> encode_png(Tensor<const uint8_t, Host> rgb);

// The same as a file, replacing what was there. Throws Error with a sentence that names the path and the reason (a
// folder that is missing or read-only, a full disk); what could not be written in full is removed.
template <class P>
void write_png(const std::filesystem::path& path, Image<const P, Host> image);
void write_png(const std::filesystem::path& path, Tensor<const uint8_t, Host> rgb);

}  // namespace boneage::io

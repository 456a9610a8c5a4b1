// EXIF's note of how a camera was held.
#pragma once

#include "engine/io/file_bytes.h"

namespace boneage::io {

// The orientation, 1 to 8, that a JPEG's APP1 part names; 0 when it names none. Damaged notes count as none.
int exif_orientation(FileBytes app1);

// Turns the stored picture upright. `upright` has the sizes of `stored`, exchanged for orientations 5 to 8.
void orient(Image<const uint8_t, Host> stored, int orientation, Image<uint8_t, Host> upright);

}  // namespace boneage::io

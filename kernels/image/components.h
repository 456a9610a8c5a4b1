// Connected components of masks: labels, filled holes, and the largest component.
//
// Foreground is any value but 0 and is connected to all 8 neighbours; background is connected to 4. An image has less
// than 2^31 pixels; on a device its width, for this bound, is rounded up to a multiple of 32.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

// What keep_largest() found in one image. The box is [top, bottom) x [left, right); all 0 where nothing is foreground.
struct ComponentStats {
    int64_t components = 0;
    int64_t foreground = 0;  // pixels of all components
    int64_t largest = 0;     // pixels of the largest
    int64_t top = 0;
    int64_t left = 0;
    int64_t bottom = 0;
    int64_t right = 0;
};

// Scratch that each function below needs, on either side, for `count` images of up to max_height x max_width. The CPU
// twins work on one image after another, so they need what one image does.
int64_t components_scratch_bytes(int64_t max_height, int64_t max_width, int64_t count);

// Labels every pixel: 0 for background, else 1 + the smallest linear index (y * width + x) in its component. So labels
// do not depend on the order of the work, and two twins agree exactly.
//   mask    [h, w] u8        labels  [h, w] int32, the same sizes pairwise
void label_components(Workers& workers, Batch<const uint8_t, Host> mask, Batch<int32_t, Host> labels,
                      Bytes<Host> scratch);
void label_components(Stream& stream, Batch<const uint8_t, Device> mask, Batch<int32_t, Device> labels,
                      Bytes<Device> scratch);

// dst = 255 where mask is foreground, and where background cannot reach the border of the image by steps to the four
// neighbours; else 0. Equals OpenCV's findContours(RETR_EXTERNAL, CHAIN_APPROX_NONE) followed by drawContours(FILLED).
//   mask, dst   [h, w] u8, the same sizes pairwise; dst may alias mask
//
//   0 1 1 1 0      0 1 1 1 0
//   0 1 0 1 0  ->  0 1 1 1 0
//   0 1 1 1 0      0 1 1 1 0
void fill_holes(Workers& workers, Batch<const uint8_t, Host> mask, Batch<uint8_t, Host> dst, Bytes<Host> scratch);
void fill_holes(Stream& stream, Batch<const uint8_t, Device> mask, Batch<uint8_t, Device> dst, Bytes<Device> scratch);

// dst = 255 on the component of the most pixels ("largest_by_pixels"), else 0; of equally large ones the one whose
// first pixel in reading order comes first. OpenCV's contourArea is a polygon's area through pixel centres and ranks
// otherwise.
//   mask, dst   [h, w] u8, the same sizes pairwise; dst may alias mask
//   stats       [n], one entry an image; assigned
void keep_largest(Workers& workers, Batch<const uint8_t, Host> mask, Batch<uint8_t, Host> dst,
                  Tensor<ComponentStats, Host> stats, Bytes<Host> scratch);
void keep_largest(Stream& stream, Batch<const uint8_t, Device> mask, Batch<uint8_t, Device> dst,
                  Tensor<ComponentStats, Device> stats, Bytes<Device> scratch);

// All allocate nothing and agree exactly with their twins.

}  // namespace boneage

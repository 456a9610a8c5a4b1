// The low-contrast test, as scikit-image's exposure.is_low_contrast.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

struct ContrastParams {
    double threshold = 0.05;  // smallest acceptable spread, as a share of the pixel type's range
};

// What the test found in one image.
struct ContrastStats {
    double p1 = 0;      // 1st percentile, in pixel values
    double p99 = 0;     // 99th percentile
    double spread = 0;  // (p99 - p1) / (largest value of the type)
    uint8_t low = 0;    // 1 when spread < threshold, strictly
};

template <class P>
int64_t contrast_scratch_bytes(int64_t count);

// Measures every image of a batch.
//   src    [h, w] u8 or u16, row-strided, at least one pixel
//   stats  [n], one entry an image; assigned
//   Percentiles are NumPy's linear ones, in float64: position (n - 1) * q between the sorted pixels a and b at its two
//   sides, a + (b - a) * t for t < 0.5 and b - (b - a) * (1 - t) from there on, read off an exact histogram.
//   scikit-image takes the range of a colour picture as -1..1, which doubles the spread it asks for; pictures here are
//   grey before they are tested.
//   Allocates nothing; scratch from contrast_scratch_bytes(). Twins agree exactly, and both equal scikit-image.
template <class P>
void contrast(Workers& workers, Batch<const P, Host> src, Tensor<ContrastStats, Host> stats,
              const ContrastParams& params, Bytes<Host> scratch);

template <class P>
void contrast(Stream& stream, Batch<const P, Device> src, Tensor<ContrastStats, Device> stats,
              const ContrastParams& params, Bytes<Device> scratch);

}  // namespace boneage

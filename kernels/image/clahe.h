// Contrast-limited adaptive histogram equalisation (CLAHE), as OpenCV's cv::CLAHE.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

struct ClaheParams {
    double clip_limit = 2.0;  // most pixels a bin keeps, as a multiple of the mean bin count; 0 or less: no clipping
    int64_t tiles_x = 8;      // tiles side by side, >= 1
    int64_t tiles_y = 8;      // tiles one below the other, >= 1
};

// Scratch that either twin needs for `count` images of pixel type P. The CPU twin works on one image after another, so
// it needs what one image does.
template <class P>
int64_t clahe_scratch_bytes(const ClaheParams& params, int64_t count);

// Equalises every image of a batch.
//   src, dst   [h, w] u8 (256 bins) or u16 (65,536 bins), row-strided, the same sizes pairwise; dst may alias src
//   Tiles: a side that the tile count divides is cut evenly; if either side does not divide, BOTH are first extended on
//   the right and at the bottom, by tiles - side % tiles pixels, mirrored as BORDER_REFLECT_101.
//   Each tile's histogram is clipped at max(1, int(clip_limit * area / bins)); what is cut off is spread evenly over
//   all bins, its remainder over bins 0, s, 2s, ... with s = max(bins / remainder, 1). The tile's table is
//   round(cumulative count * ((bins - 1) / area)), in float32, half to even.
//   A pixel blends the tables of the four tiles around it: with t = x * (1 / tile_w) - 0.5, a = t - floor(t), tiles
//   floor(t) and floor(t) + 1 clamped to the grid, and the same in y, it becomes
//   round((L11 * (1 - ax) + L12 * ax) * (1 - ay) + (L21 * (1 - ax) + L22 * ax) * ay): float32, unfused, half to even.
//   Allocates nothing; scratch from clahe_scratch_bytes(). Twins agree exactly, and both equal OpenCV 4.6 on x86-64
//   byte for byte (OpenCV builds that fuse multiply-add, as on aarch64, differ by one level in a few pixels).
template <class P>
void clahe(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, const ClaheParams& params,
           Bytes<Host> scratch);

template <class P>
void clahe(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, const ClaheParams& params,
           Bytes<Device> scratch);

}  // namespace boneage

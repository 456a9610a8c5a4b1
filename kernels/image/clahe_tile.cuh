// What the kernels that count CLAHE's tiles share.
#pragma once

#include "kernels/base/launch.cuh"
#include "kernels/image/clahe_math.h"

namespace boneage {
namespace {

// What the threads of a block need of ClaheGrid, worked out by one of them: the divisions would outweigh the pixels.
struct TileShape {
    int32_t left, top, right, bottom;  // of the extended image
    int32_t clip;
    float lut_scale;
};

template <class P>
__device__ TileShape tile_shape(const Image<const P, Device>& src, const ClaheParams& params) {
    const ClaheGrid grid = clahe_grid<P>(src.height, src.width, params);
    const auto tiles_x = static_cast<uint32_t>(params.tiles_x);
    const int64_t left = blockIdx.x % tiles_x * grid.tile_width;
    const int64_t top = blockIdx.x / tiles_x * grid.tile_height;
    return {static_cast<int32_t>(left),
            static_cast<int32_t>(top),
            static_cast<int32_t>(left + grid.tile_width),
            static_cast<int32_t>(top + grid.tile_height),
            grid.clip,
            grid.lut_scale};
}

}  // namespace
}  // namespace boneage

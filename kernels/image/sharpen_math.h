// The scalar formulas of sharpen.h, compiled by both twins.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/image/sharpen.h"

namespace boneage {

// The nine pixels around (y, x) named by compass; `c` is the pixel itself.
template <class P>
struct Neighbours {
    P nw, n, ne, w, c, e, sw, s, se;
};

template <class P>
BONEAGE_HD inline P sharpen_pixel(const Neighbours<P>& v, const SharpenParams& params) {
    const int32_t cross = v.n + v.w + v.e + v.s;
    const int32_t corners = v.nw + v.ne + v.sw + v.se;
    if (params.kernel == SharpenKernel::laplacian4) {
        return saturate<P>(5 * v.c - cross);
    }
    if (params.kernel == SharpenKernel::laplacian8) {
        return saturate<P>(9 * v.c - cross - corners);
    }
    const float laplacian = static_cast<float>(2 * corners - 8 * v.c);
    return saturate<P>(round_half_even(static_cast<float>(v.c) - params.amount * laplacian));
}

}  // namespace boneage

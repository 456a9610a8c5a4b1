// A map as a mask.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

#include <cmath>
#include <limits>

namespace boneage {

// The logit whose sigmoid is `probability`: comparing logits with it equals comparing their sigmoids with
// `probability`, without computing an exponential for every pixel. -infinity at 0 and below, +infinity at 1 and above.
inline float logit(float probability) {
    if (probability <= 0.0F || probability >= 1.0F) {
        return probability <= 0.0F ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
    }
    const double p = static_cast<double>(probability);
    return static_cast<float>(std::log(p / (1.0 - p)));
}

// dst = src > limit ? 255 : 0, strictly; NaN gives 0.
//   src   [h, w] u8, u16 or float32, row-strided
//   dst   [h, w] u8, the same sizes pairwise; may be src itself when src is u8
//   Allocates nothing. Twins agree exactly.
template <class P>
void threshold(Workers& workers, Batch<const P, Host> src, Batch<uint8_t, Host> dst, std::type_identity_t<P> limit);

template <class P>
void threshold(Stream& stream, Batch<const P, Device> src, Batch<uint8_t, Device> dst, std::type_identity_t<P> limit);

}  // namespace boneage

// What the twins of linear_backward.h share.
#pragma once

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "kernels/nn/linear_backward.h"

namespace boneage {

BONEAGE_HD inline double exact_product(float a, float b) {
    return static_cast<double>(a) * static_cast<double>(b);
}

template <class Space>
void check_linear_backward(const Activations<const float, Space>& d_dst, const Activations<const float, Space>& src,
                           const Tensor<const float, Space>& weights, const LinearGradients<Space>& gradients) {
    expects(src.h == 1 && src.w == 1, "src must be [n, 1, 1, in]");
    expects(d_dst.n == src.n && d_dst.h == 1 && d_dst.w == 1, "d_dst must be [n, 1, 1, out]");
    expects(weights.shape[0] == d_dst.c && weights.size() == d_dst.c * src.c, "weights must be [out, in]");
    expects(gradients.d_weights.shape[0] == d_dst.c && gradients.d_weights.size() == weights.size(),
            "d_weights must be [out, in]");
    expects(gradients.d_bias.size() == d_dst.c, "d_bias must be [out]");
    expects(gradients.d_src.data == nullptr || same_shape(gradients.d_src, src), "d_src must have the shape of src");
}

}  // namespace boneage

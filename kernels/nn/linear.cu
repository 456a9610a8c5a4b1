#include "kernels/nn/activation_math.h"
#include "kernels/nn/linear.h"
#include "kernels/nn/packet.cuh"

namespace boneage {
namespace {

// The contract's 16 partial sums are 16 lanes, so a warp computes two outputs and the halving is a tree of shuffles.
constexpr int kLanes = 16;

__global__ void __launch_bounds__(kThreads)
    linear_kernel(Activations<const float, Device> src, const float* weights, const float* bias,
                  Activations<float, Device> dst, bool relu) {
    const int64_t output = static_cast<int64_t>(blockIdx.x) * (kThreads / kLanes) + threadIdx.x / kLanes;
    const int64_t lane = threadIdx.x % kLanes;
    const bool inside = output < dst.size();  // nobody leaves early: the shuffles want the whole warp
    const int64_t row = output / dst.c;
    const int64_t o = output % dst.c;
    float sum = 0;
    if (inside) {
        const float* x = src.data + row * src.pixel_stride;
        const float* w = weights + o * src.c;
        // The sum is one chain of additions, but its loads need not wait for it.
#pragma unroll 8
        for (int64_t k = lane; k < src.c; k += kLanes) {
            sum += x[k] * w[k];
        }
    }
#pragma unroll
    for (unsigned half = kLanes / 2; half >= 1; half /= 2) {
        sum += __shfl_down_sync(kAllLanes, sum, half, kLanes);
    }
    if (inside && lane == 0) {
        const float value = sum + bias[o];
        dst.data[row * dst.pixel_stride + o] = relu ? relu_value(value) : value;
    }
}

}  // namespace

void linear(Stream& stream, Activations<const float, Device> src, Tensor<const float, Device> weights,
            Tensor<const float, Device> bias, Activations<float, Device> dst, bool relu) {
    expects(src.h == 1 && src.w == 1, "src must be [n, 1, 1, in]");
    expects(weights.shape[0] == dst.c && weights.size() == dst.c * src.c, "weights must be [out, in]");
    expects(bias.size() == dst.c, "bias must be [out]");
    expects(dst.n == src.n && dst.h == 1 && dst.w == 1, "dst must be [n, 1, 1, out]");
    Launch{dim3(blocks_for(dst.size(), kThreads / kLanes)), dim3(kThreads), stream}(linear_kernel, src, weights.data,
                                                                                    bias.data, dst, relu);
}

}  // namespace boneage

#include "kernels/nn/linear_backward.h"
#include "kernels/nn/linear_backward_math.h"
#include "kernels/nn/packet.cuh"

namespace boneage {
namespace {

constexpr unsigned kColumns = 64;  // of a block: these layers are small, and many small blocks fill a device best

struct Place {
    int64_t row;
    int64_t column;
};

// Rows one after the other along blockIdx.x, each in blocks of kColumns.
__device__ Place place(int64_t columns) {
    const unsigned blocks_per_row = blocks_for(columns, kColumns);
    return {blockIdx.x / blocks_per_row, static_cast<int64_t>(blockIdx.x % blocks_per_row) * kColumns + threadIdx.x};
}

dim3 place_grid(int64_t rows, int64_t columns) {
    return {static_cast<unsigned>(rows) * blocks_for(columns, kColumns)};
}

// A thread owns one d_src(row, column): a warp reads 32 neighbours of a row of weights and one common gradient.
__global__ void __launch_bounds__(kColumns) d_src_kernel(Activations<const float, Device> d_dst, const float* weights,
                                                         Activations<float, Device> d_src, bool accumulate) {
    const auto [row, column] = place(d_src.c);
    if (column >= d_src.c) {
        return;
    }
    const float* gradient = d_dst.data + row * d_dst.pixel_stride;
    double sum = 0;
#pragma unroll 4
    for (int64_t o = 0; o < d_dst.c; ++o) {
        sum += exact_product(gradient[o], weights[o * d_src.c + column]);
    }
    float* to = d_src.data + row * d_src.pixel_stride + column;
    *to = accumulate ? *to + static_cast<float>(sum) : static_cast<float>(sum);
}

// A thread owns one d_weights(o, column); one column more is the bias, the weight of an input that is always 1.
__global__ void __launch_bounds__(kColumns)
    d_weights_kernel(Activations<const float, Device> d_dst, Activations<const float, Device> src, float* d_weights,
                     float* d_bias) {
    const auto [o, column] = place(src.c + 1);
    if (column > src.c) {
        return;
    }
    const bool is_bias = column == src.c;
    double sum = 0;
#pragma unroll 4
    for (int64_t row = 0; row < src.n; ++row) {
        const float input = is_bias ? 1.0F : src.data[row * src.pixel_stride + column];
        sum += exact_product(d_dst.data[row * d_dst.pixel_stride + o], input);
    }
    float* to = is_bias ? d_bias + o : d_weights + o * src.c + column;
    *to = static_cast<float>(sum);
}

}  // namespace

void linear_backward(Stream& stream, Activations<const float, Device> d_dst, Activations<const float, Device> src,
                     Tensor<const float, Device> weights, const LinearGradients<Device>& gradients) {
    check_linear_backward(d_dst, src, weights, gradients);
    if (gradients.d_src.data != nullptr) {
        Launch{place_grid(src.n, src.c), dim3(kColumns), stream}(d_src_kernel, d_dst, weights.data, gradients.d_src,
                                                                 gradients.write == Write::accumulate);
    }
    Launch{place_grid(d_dst.c, src.c + 1), dim3(kColumns), stream}(d_weights_kernel, d_dst, src,
                                                                   gradients.d_weights.data, gradients.d_bias.data);
}

}  // namespace boneage

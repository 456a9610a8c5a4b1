// Batch normalisation in training, fused with the residual addition and the ReLU that follow it, as PyTorch's.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"

namespace boneage {

struct BatchNormParams {
    double eps = 1e-5;
    double momentum = 0.1;  // share of a batch in the running statistics
    bool relu = false;      // whether a ReLU follows
};

// What a layer keeps for every channel, all [c] float32.
template <class Space>
struct BatchNormChannels {
    Tensor<const float, Space> weight;
    Tensor<const float, Space> bias;
    Tensor<float, Space> running_mean;
    Tensor<float, Space> running_variance;
    Tensor<float, Space> mean;               // of the batch; forward assigns, backward reads
    Tensor<float, Space> inverse_deviation;  // 1 / sqrt(variance + eps) of the batch; likewise
};

// dst = act((src - mean) * (weight * inverse_deviation) + bias + residual)
//   src, dst    [n, h, w, c] float, bfloat16 or float16, at least two pixels; dst may be src's memory where no backward
//               follows
//   residual    the same shape and type, or data == nullptr for none; dst may be its memory
//   act         max(v, 0), NaN kept, with params.relu
//   scratch     batch_norm_scratch_bytes(src.pixels(), src.c)
//   For each channel over all N = n * h * w pixels:
//     mean = sum(src) / N;  variance = (sum(src^2) - sum(src)^2 / N) / N, not below 0 (biased)
//     running_mean     = (1 - momentum) * running_mean     + momentum * mean
//     running_variance = (1 - momentum) * running_variance + momentum * variance * N / (N - 1)
//   Sums follow the order of pixel_sums.h. Within a chunk they are of distances d from the chunk's first pixel,
//   sum(d) and sum(d^2), so that a mean far from zero costs no digits; sums over chunks and everything computed from
//   them are float64, rounded to float32 once. Each pixel is then float32, one rounding an operation in the order
//   written, rounded to dst's type at the end.
//   Assigns mean, inverse_deviation and dst, updates the running statistics; allocates nothing. The same bits for any
//   number of workers, and the twins agree exactly.
template <class T>
void batch_norm(Workers& workers, Activations<const T, Host> src, Activations<const T, Host> residual,
                const BatchNormChannels<Host>& channels, Activations<T, Host> dst, const BatchNormParams& params,
                Bytes<Host> scratch);

template <class T>
void batch_norm(Stream& stream, Activations<const T, Device> src, Activations<const T, Device> residual,
                const BatchNormChannels<Device>& channels, Activations<T, Device> dst, const BatchNormParams& params,
                Bytes<Device> scratch);

// What batch_norm made of src where there was no residual, again: the same bits, from the mean and inverse deviation
// that it left in `channels`. The running statistics are not touched.
//   src, dst   as batch_norm takes them;  params.eps and momentum are not used
//   Assigns dst; allocates nothing. Twins agree exactly.
template <class T>
void batch_norm_again(Workers& workers, Activations<const T, Host> src, const BatchNormChannels<Host>& channels,
                      Activations<T, Host> dst, const BatchNormParams& params);

template <class T>
void batch_norm_again(Stream& stream, Activations<const T, Device> src, const BatchNormChannels<Device>& channels,
                      Activations<T, Device> dst, const BatchNormParams& params);

// What backward makes: d_weight and d_bias are [c] float32, the others [n, h, w, c] in the activations' type.
template <class T, class Space>
struct BatchNormGradients {
    Activations<T, Space> d_src;
    Activations<T, Space> d_residual;  // data == nullptr when there was no residual
    Tensor<float, Space> d_weight;
    Tensor<float, Space> d_bias;
};

// Gradients of batch_norm from d_dst, the gradient of dst. With params.relu, g = d_dst where dst > 0 and 0 elsewhere;
// without it, g = d_dst and dst is not read.
//   d_residual = g
//   d_bias     = sum(g)
//   d_weight   = sum(g * (src - mean)) * inverse_deviation
//   d_src      = (weight * inverse_deviation) * ((g - d_bias / N) - (src - mean) * s),
//                s = d_weight * inverse_deviation / N
//   src, dst   what forward read and made; channels' mean and inverse_deviation are forward's, its running statistics
//              are not touched
//   d_src or d_residual, not both, may be d_dst's memory
//   scratch    batch_norm_scratch_bytes(src.pixels(), src.c)
//   Sums follow the order of pixel_sums.h; d_bias / N and s are computed in float64 and rounded to float32 once, each
//   pixel is float32 in the order written. Assigns everything; allocates nothing. The same bits for any number of
//   workers, and the twins agree exactly.
template <class T>
void batch_norm_backward(Workers& workers, Activations<const T, Host> d_dst, Activations<const T, Host> dst,
                         Activations<const T, Host> src, const BatchNormChannels<Host>& channels,
                         const BatchNormGradients<T, Host>& gradients, const BatchNormParams& params,
                         Bytes<Host> scratch);

template <class T>
void batch_norm_backward(Stream& stream, Activations<const T, Device> d_dst, Activations<const T, Device> dst,
                         Activations<const T, Device> src, const BatchNormChannels<Device>& channels,
                         const BatchNormGradients<T, Device>& gradients, const BatchNormParams& params,
                         Bytes<Device> scratch);

// For either direction.
int64_t batch_norm_scratch_bytes(int64_t pixels, int64_t channels);

}  // namespace boneage

#include "kernels/nn/linear_backward.h"

#include "kernels/nn/linear_backward_math.h"

#include <algorithm>

namespace boneage {
namespace {

constexpr int64_t kBlock = 64;  // neighbouring sums that advance together, in vectors

// sums[j] = sum over t of scale[t * scale_step] * rows[t * row_step + j]
void add_scaled_rows(const float* scale, int64_t scale_step, const float* rows, int64_t row_step, int64_t terms,
                     int64_t count, double* sums) {
    std::fill(sums, sums + count, 0.0);
    for (int64_t t = 0; t < terms; ++t) {
        const float factor = scale[t * scale_step];
        const float* row = rows + t * row_step;
        for (int64_t j = 0; j < count; ++j) {
            sums[j] += exact_product(factor, row[j]);
        }
    }
}

}  // namespace

void linear_backward(Workers& workers, Activations<const float, Host> d_dst, Activations<const float, Host> src,
                     Tensor<const float, Host> weights, const LinearGradients<Host>& gradients) {
    check_linear_backward(d_dst, src, weights, gradients);
    const int64_t in = src.c;
    const int64_t out = d_dst.c;
    const int64_t blocks = ceil_div(in, kBlock);
    if (gradients.d_src.data != nullptr) {
        workers.parallel_for(src.n * blocks, 4, [&](int64_t begin, int64_t end) {
            double sums[kBlock];
            for (int64_t task = begin; task < end; ++task) {
                const int64_t row = task / blocks;
                const int64_t k = task % blocks * kBlock;
                const int64_t count = std::min(kBlock, in - k);
                add_scaled_rows(d_dst.pixel(row, 0, 0), 1, weights.data + k, in, out, count, sums);
                float* to = gradients.d_src.pixel(row, 0, 0) + k;
                for (int64_t j = 0; j < count; ++j) {
                    const auto sum = static_cast<float>(sums[j]);
                    to[j] = gradients.write == Write::accumulate ? to[j] + sum : sum;
                }
            }
        });
    }
    workers.parallel_for(out * blocks, 4, [&](int64_t begin, int64_t end) {
        double sums[kBlock];
        for (int64_t task = begin; task < end; ++task) {
            const int64_t o = task / blocks;
            const int64_t k = task % blocks * kBlock;
            const int64_t count = std::min(kBlock, in - k);
            add_scaled_rows(d_dst.data + o, d_dst.pixel_stride, src.data + k, src.pixel_stride, src.n, count, sums);
            for (int64_t j = 0; j < count; ++j) {
                gradients.d_weights.data[o * in + k + j] = static_cast<float>(sums[j]);
            }
        }
    });
    for (int64_t o = 0; o < out; ++o) {
        double sum = 0;
        for (int64_t row = 0; row < src.n; ++row) {
            sum += static_cast<double>(d_dst.pixel(row, 0, 0)[o]);
        }
        gradients.d_bias.data[o] = static_cast<float>(sum);
    }
}

}  // namespace boneage

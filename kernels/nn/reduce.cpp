#include "kernels/nn/reduce.h"

#include "kernels/base/error.h"
#include "kernels/nn/pixel_sums.h"

namespace boneage {
namespace {

template <class T>
struct Values {
    Activations<const T, Host> src;

    void add(int64_t /*first*/, int64_t pixel, int64_t channel, int64_t count, float* const sums[1]) const {
        const T* __restrict from = src.data + pixel * src.pixel_stride + channel;
        float* __restrict sum = sums[0];
        for (int64_t k = 0; k < count; ++k) {
            sum[k] += to_float(from[k]);
        }
    }
    static void finish(int64_t /*first*/, int64_t /*count*/, int64_t /*channel*/, const float* sums, double* totals) {
        totals[0] = static_cast<double>(sums[0]);
    }
};

}  // namespace

int64_t sum_pixels_scratch_bytes(int64_t pixels, int64_t channels) {
    return pixel_sums_scratch_bytes(pixels, channels, 1);
}

template <class T>
void sum_pixels(Workers& workers, Activations<const T, Host> src, Tensor<float, Host> dst, Bytes<Host> scratch) {
    expects(dst.size() == src.c, "dst must be [c]");
    expects(scratch.size >= sum_pixels_scratch_bytes(src.pixels(), src.c), "scratch is too small");
    auto* partials = ScratchCursor<Host>(scratch).take<double>(pixel_chunks(src.pixels()) * src.c);
    pixel_sums<1>(workers, src.pixels(), src.c, Values<T>{src}, partials,
                  [&](int64_t channel, const double* totals) { dst.data[channel] = static_cast<float>(totals[0]); });
}

template void sum_pixels(Workers&, Activations<const float, Host>, Tensor<float, Host>, Bytes<Host>);
template void sum_pixels(Workers&, Activations<const bfloat16, Host>, Tensor<float, Host>, Bytes<Host>);
template void sum_pixels(Workers&, Activations<const float16, Host>, Tensor<float, Host>, Bytes<Host>);

}  // namespace boneage

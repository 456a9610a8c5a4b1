#include "kernels/nn/pixel_sums.cuh"
#include "kernels/nn/reduce.h"

namespace boneage {
namespace {

template <class T>
struct Values {
    Activations<const T, Device> src;

    struct Nothing {};
    template <int kCount>
    __device__ Nothing begin(int64_t /*first*/, int64_t /*channel*/) const {
        return {};
    }
    template <int kCount>
    __device__ void add(Nothing /*common*/, int64_t pixel, int64_t channel, float (&sums)[1][kCount]) const {
        const Packet<T, kCount> values = load_packet<kCount>(src.data + pixel * src.pixel_stride + channel);
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            sums[0][i] += to_float(values.value[i]);
        }
    }
    __device__ void finish(int64_t /*first*/, int64_t /*count*/, int64_t /*channel*/, const float* sums,
                           double* totals) const {
        totals[0] = static_cast<double>(sums[0]);
    }
};

struct RoundTotal {
    float* dst;

    __device__ void operator()(int64_t channel, const double* totals) const {
        dst[channel] = static_cast<float>(totals[0]);
    }
};

}  // namespace

template <class T>
void sum_pixels(Stream& stream, Activations<const T, Device> src, Tensor<float, Device> dst, Bytes<Device> scratch) {
    expects(dst.size() == src.c, "dst must be [c]");
    expects(scratch.size >= sum_pixels_scratch_bytes(src.pixels(), src.c), "scratch is too small");
    auto* partials = ScratchCursor<Device>(scratch).take<double>(pixel_chunks(src.pixels()) * src.c);
    pixel_sums<1, kFullPacket<T>>(stream, src.pixels(), src.c, packets_fit(src, kFullPacket<T>), Values<T>{src},
                                  partials, RoundTotal{dst.data});
}

template void sum_pixels(Stream&, Activations<const float, Device>, Tensor<float, Device>, Bytes<Device>);
template void sum_pixels(Stream&, Activations<const bfloat16, Device>, Tensor<float, Device>, Bytes<Device>);
template void sum_pixels(Stream&, Activations<const float16, Device>, Tensor<float, Device>, Bytes<Device>);

}  // namespace boneage

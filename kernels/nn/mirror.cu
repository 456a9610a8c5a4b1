#include "kernels/nn/mirror.h"
#include "kernels/nn/packet.cuh"

namespace boneage {
namespace {

// A thread exchanges one channel of two pixels.
__global__ void __launch_bounds__(kThreads) mirror_kernel(Activations<float, Device> x) {
    const auto [row, u, channel] = row_thread(x.w / 2);
    if (u >= x.w / 2 || channel >= x.c) {
        return;
    }
    float* const first = x.data + row * x.w * x.pixel_stride + channel;
    float* const left = first + u * x.pixel_stride;
    float* const right = first + (x.w - 1 - u) * x.pixel_stride;
    const float value = *left;
    *left = *right;
    *right = value;
}

}  // namespace

void mirror(Stream& stream, Activations<float, Device> x) {
    if (x.w < 2) {
        return;
    }
    const Geometry geometry = row_geometry(x.n * x.h, x.w / 2, x.c);
    Launch{geometry.grid, geometry.block, stream}(mirror_kernel, x);
}

}  // namespace boneage

#include "kernels/image/pixel_vectors.cuh"
#include "kernels/image/threshold.h"

namespace boneage {
namespace {

template <class P>
__global__ void __launch_bounds__(32 * kMapWarps)
    threshold_kernel(const Image<const P, Device>* sources, const Image<uint8_t, Device>* targets, P limit) {
    constexpr int kPixels = kVectorPixels<P>;
    const Image<const P, Device> src = sources[blockIdx.z];
    const Image<uint8_t, Device> dst = targets[blockIdx.z];
    const int64_t x = map_column<kPixels>();
    if (x >= dst.width) {
        return;
    }
    const bool vectors = vector_rows<kPixels>(src) && vector_rows<kPixels>(dst);
    PixelVector<P, kPixels> values[kMapRows];
#pragma unroll
    for (int i = 0; i < kMapRows; ++i) {
        if (map_row(i) < dst.height) {
            values[i] = load_vector<kPixels>(src.row(map_row(i)), x, dst.width, vectors);
        }
    }
#pragma unroll
    for (int i = 0; i < kMapRows; ++i) {
        if (map_row(i) < dst.height) {
            PixelVector<uint8_t, kPixels> mask;
#pragma unroll
            for (int k = 0; k < kPixels; ++k) {
                mask.set(k, values[i].get(k) > limit ? 255 : 0);
            }
            store_vector(dst.row(map_row(i)), x, dst.width, vectors, mask);
        }
    }
}

}  // namespace

template <class P>
void threshold(Stream& stream, Batch<const P, Device> src, Batch<uint8_t, Device> dst, std::type_identity_t<P> limit) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    map_launch(stream, dst, kVectorPixels<P>)(threshold_kernel<P>, src.images, dst.images, limit);
}

template void threshold(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, uint8_t);
template void threshold(Stream&, Batch<const uint16_t, Device>, Batch<uint8_t, Device>, uint16_t);
template void threshold(Stream&, Batch<const float, Device>, Batch<uint8_t, Device>, float);

}  // namespace boneage

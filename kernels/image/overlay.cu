#include "kernels/image/overlay.h"
#include "kernels/image/pixel_vectors.cuh"

namespace boneage {
namespace {

template <class P>
__global__ void __launch_bounds__(32 * kMapWarps)
    overlay_kernel(const Image<const P, Device>* sources, const Image<const uint8_t, Device>* masks,
                   const Image<P, Device>* targets, P background) {
    constexpr int kPixels = kVectorPixels<P>;
    const Image<const P, Device> src = sources[blockIdx.z];
    const Image<const uint8_t, Device> mask = masks[blockIdx.z];
    const Image<P, Device> dst = targets[blockIdx.z];
    const int64_t x = map_column<kPixels>();
    if (x >= dst.width) {
        return;
    }
    const bool vectors = vector_rows<kPixels>(src) && vector_rows<kPixels>(mask) && vector_rows<kPixels>(dst);
    PixelVector<P, kPixels> pixels[kMapRows];
    PixelVector<uint8_t, kPixels> kept[kMapRows];
#pragma unroll
    for (int i = 0; i < kMapRows; ++i) {
        if (map_row(i) < dst.height) {
            pixels[i] = load_vector<kPixels>(src.row(map_row(i)), x, dst.width, vectors);
            kept[i] = load_vector<kPixels>(mask.row(map_row(i)), x, dst.width, vectors);
        }
    }
#pragma unroll
    for (int i = 0; i < kMapRows; ++i) {
        if (map_row(i) < dst.height) {
            PixelVector<P, kPixels> chosen;
#pragma unroll
            for (int k = 0; k < kPixels; ++k) {
                chosen.set(k, kept[i].get(k) != 0 ? pixels[i].get(k) : background);
            }
            store_vector(dst.row(map_row(i)), x, dst.width, vectors, chosen);
        }
    }
}

}  // namespace

template <class P>
void overlay(Stream& stream, Batch<const P, Device> src, Batch<const uint8_t, Device> mask, Batch<P, Device> dst,
             std::type_identity_t<P> background) {
    expects(src.count == dst.count && src.count == mask.count, "src, mask and dst must hold as many images");
    map_launch(stream, dst, kVectorPixels<P>)(overlay_kernel<P>, src.images, mask.images, dst.images, background);
}

template void overlay(Stream&, Batch<const uint8_t, Device>, Batch<const uint8_t, Device>, Batch<uint8_t, Device>,
                      uint8_t);
template void overlay(Stream&, Batch<const uint16_t, Device>, Batch<const uint8_t, Device>, Batch<uint16_t, Device>,
                      uint16_t);

}  // namespace boneage

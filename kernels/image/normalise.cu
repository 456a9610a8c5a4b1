#include "kernels/image/normalise.h"
#include "kernels/image/normalise_rows.h"
#include "kernels/image/normalise_slice.cuh"

namespace boneage {
namespace {

template <class P, class T, int channels>
__global__ void __launch_bounds__(32 * kMapWarps)
    normalise_kernel(const Image<const P, Device>* sources, T* dst, int64_t height, int64_t width,
                     NormaliseParams params) {
    const PixelValues<P, T, channels> values(params);
    const Image<const P, Device> src = sources[blockIdx.z];
    fill_slice(src, (height - src.height) / 2, (width - src.width) / 2, dst + blockIdx.z * height * width * channels,
               height, width, values);
}

}  // namespace

template <class P, class T>
void normalise(Stream& stream, Batch<const P, Device> src, Tensor<T, Device> dst, const NormaliseParams& params) {
    const auto [count, height, width, channels] = dst.shape;
    expects(src.count == count, "dst must hold as many images as src");
    expects(allowed(params, channels), "1 to 3 channels, deviations above 0");
    const auto kernel = channels == 1   ? normalise_kernel<P, T, 1>
                        : channels == 2 ? normalise_kernel<P, T, 2>
                                        : normalise_kernel<P, T, 3>;
    slice_launch<T>(stream, count, height, width, channels)(kernel, src.images, dst.data, height, width, params);
}

template void normalise(Stream&, Batch<const uint8_t, Device>, Tensor<float, Device>, const NormaliseParams&);
template void normalise(Stream&, Batch<const uint8_t, Device>, Tensor<bfloat16, Device>, const NormaliseParams&);
template void normalise(Stream&, Batch<const uint16_t, Device>, Tensor<float, Device>, const NormaliseParams&);
template void normalise(Stream&, Batch<const uint16_t, Device>, Tensor<bfloat16, Device>, const NormaliseParams&);

}  // namespace boneage

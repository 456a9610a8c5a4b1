#include "kernels/nn/unfold.h"

#include "kernels/nn/unfold_math.h"

namespace boneage {

template <class T>
void unfold_rows(Workers& workers, Activations<const T, Host> src, Activations<T, Host> dst,
                 const UnfoldParams& params) {
    check_unfold(src, dst, params);
    workers.parallel_for(src.n * src.h, 8, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const T* from = src.data + row * src.w * src.pixel_stride;
            T* to = dst.data + row * dst.w * kUnfoldedChannels;
            for (int64_t x = 0; x < dst.w; ++x, to += kUnfoldedChannels) {
                for (int64_t j = 0; j < kUnfoldedChannels; ++j) {
                    to[j] = window_pixel(from, src.w, src.pixel_stride, x * params.stride - params.padding, j,
                                         params.width);
                }
            }
        }
    });
}

template void unfold_rows(Workers&, Activations<const bfloat16, Host>, Activations<bfloat16, Host>,
                          const UnfoldParams&);
template void unfold_rows(Workers&, Activations<const float16, Host>, Activations<float16, Host>, const UnfoldParams&);

}  // namespace boneage

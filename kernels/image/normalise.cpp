#include "kernels/image/normalise.h"

#include "kernels/base/error.h"
#include "kernels/image/normalise_rows.h"

namespace boneage {

template <class P, class T>
void normalise(Workers& workers, Batch<const P, Host> src, Tensor<T, Host> dst, const NormaliseParams& params) {
    const auto [count, height, width, channels] = dst.shape;
    expects(src.count == count, "dst must hold as many images as src");
    expects(allowed(params, channels), "1 to 3 channels, deviations above 0");
    for (int64_t i = 0; i < count; ++i) {
        expects(src.images[i].height <= height && src.images[i].width <= width, "an image is larger than dst");
    }
    // Structured bindings cannot be captured.
    const int64_t h = height;
    const int64_t w = width;
    const int64_t c = channels;
    // Rows of all images in one range: small images of a large batch still fill every worker.
    workers.parallel_for(count * h, 16, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const Image<const P, Host>& image = src.images[r / h];
            const int64_t y = r % h - (h - image.height) / 2;
            const bool inside = y >= 0 && y < image.height;
            normalise_row<P, T>(inside ? image.row(y) : nullptr, inside ? image.width : 0,
                                inside ? (w - image.width) / 2 : 0, dst.data + r * w * c, w, c, params);
        }
    });
}

template void normalise(Workers&, Batch<const uint8_t, Host>, Tensor<float, Host>, const NormaliseParams&);
template void normalise(Workers&, Batch<const uint8_t, Host>, Tensor<bfloat16, Host>, const NormaliseParams&);
template void normalise(Workers&, Batch<const uint16_t, Host>, Tensor<float, Host>, const NormaliseParams&);
template void normalise(Workers&, Batch<const uint16_t, Host>, Tensor<bfloat16, Host>, const NormaliseParams&);

}  // namespace boneage

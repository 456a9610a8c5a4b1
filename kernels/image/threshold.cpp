#include "kernels/image/threshold.h"

#include "kernels/base/error.h"

namespace boneage {

template <class P>
void threshold(Workers& workers, Batch<const P, Host> src, Batch<uint8_t, Host> dst, std::type_identity_t<P> limit) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    for (int64_t i = 0; i < src.count; ++i) {
        const Image<const P, Host>& in = src.images[i];
        const Image<uint8_t, Host>& out = dst.images[i];
        expects(same_size(in, out), "src and dst must have the same size");
        workers.parallel_for(in.height, 64, [&](int64_t begin, int64_t end) {
            for (int64_t y = begin; y < end; ++y) {
                const P* values = in.row(y);
                uint8_t* mask = out.row(y);
                for (int64_t x = 0; x < in.width; ++x) {
                    mask[x] = values[x] > limit ? 255 : 0;
                }
            }
        });
    }
}

template void threshold(Workers&, Batch<const uint8_t, Host>, Batch<uint8_t, Host>, uint8_t);
template void threshold(Workers&, Batch<const uint16_t, Host>, Batch<uint8_t, Host>, uint16_t);
template void threshold(Workers&, Batch<const float, Host>, Batch<uint8_t, Host>, float);

}  // namespace boneage

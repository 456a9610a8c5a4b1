#include "kernels/image/overlay.h"

#include "kernels/base/error.h"

namespace boneage {

template <class P>
void overlay(Workers& workers, Batch<const P, Host> src, Batch<const uint8_t, Host> mask, Batch<P, Host> dst,
             std::type_identity_t<P> background) {
    expects(src.count == dst.count && src.count == mask.count, "src, mask and dst must hold as many images");
    for (int64_t i = 0; i < src.count; ++i) {
        const Image<const P, Host>& in = src.images[i];
        const Image<const uint8_t, Host>& keep = mask.images[i];
        const Image<P, Host>& out = dst.images[i];
        expects(same_size(in, out) && same_size(in, keep), "src, mask and dst must have the same size");
        workers.parallel_for(in.height, 64, [&](int64_t begin, int64_t end) {
            // Bytes may alias anything: what the inner loop reads besides pixels must lie in registers.
            const int64_t columns = in.width;
            const P fill = background;
            for (int64_t y = begin; y < end; ++y) {
                const P* from = in.row(y);
                const uint8_t* kept = keep.row(y);
                P* to = out.row(y);
#pragma GCC ivdep
                for (int64_t x = 0; x < columns; ++x) {
                    const P pixel = from[x];  // loaded in any case, so that the choice needs no branch
                    to[x] = kept[x] != 0 ? pixel : fill;
                }
            }
        });
    }
}

template void overlay(Workers&, Batch<const uint8_t, Host>, Batch<const uint8_t, Host>, Batch<uint8_t, Host>, uint8_t);
template void overlay(Workers&, Batch<const uint16_t, Host>, Batch<const uint8_t, Host>, Batch<uint16_t, Host>,
                      uint16_t);

}  // namespace boneage

#include "kernels/image/threshold.h"

#include "kernels/base/error.h"

namespace boneage {
namespace {

// Everything by value: a byte stored through `mask` could otherwise change any of it, and nothing would vectorise.
template <class P>
void threshold_row(const P* values, int64_t width, P limit, uint8_t* mask) {
    for (int64_t x = 0; x < width; ++x) {
        mask[x] = values[x] > limit ? 255 : 0;
    }
}

}  // namespace

template <class P>
void threshold(Workers& workers, Batch<const P, Host> src, Batch<uint8_t, Host> dst, std::type_identity_t<P> limit) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    for (int64_t i = 0; i < src.count; ++i) {
        const Image<const P, Host>& in = src.images[i];
        const Image<uint8_t, Host>& out = dst.images[i];
        expects(same_size(in, out), "src and dst must have the same size");
        workers.parallel_for(in.height, 64, [&](int64_t begin, int64_t end) {
            for (int64_t y = begin; y < end; ++y) {
                threshold_row<P>(in.row(y), in.width, limit, out.row(y));
            }
        });
    }
}

template void threshold(Workers&, Batch<const uint8_t, Host>, Batch<uint8_t, Host>, uint8_t);
template void threshold(Workers&, Batch<const uint16_t, Host>, Batch<uint8_t, Host>, uint16_t);
template void threshold(Workers&, Batch<const float, Host>, Batch<uint8_t, Host>, float);

}  // namespace boneage

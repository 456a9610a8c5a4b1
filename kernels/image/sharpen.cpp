#include "kernels/image/sharpen.h"

#include "kernels/base/error.h"
#include "kernels/image/sharpen_math.h"

namespace boneage {
namespace {

template <class P>
void mask_row(P* row, const uint8_t* kept, int64_t width, P background) {
#pragma GCC ivdep
    for (int64_t x = 0; x < width; ++x) {
        const P pixel = row[x];
        row[x] = kept[x] != 0 ? pixel : background;
    }
}

// Rows are independent, so each range of rows is one pass over three source rows. The kernel is a template argument
// of the row loop: inside, it is a constant and the loop vectorises.
template <SharpenKernel kernel, class P>
void sharpen_rows(const Image<const P, Host>& src, const Image<const uint8_t, Host>& mask, const Image<P, Host>& dst,
                  SharpenParams params, P background, int64_t begin, int64_t end) {
    params.kernel = kernel;
    const int64_t last = src.width - 1;
    for (int64_t y = begin; y < end; ++y) {
        const P* above = src.row(reflect_101(y - 1, src.height));
        const P* here = src.row(y);
        const P* below = src.row(reflect_101(y + 1, src.height));
        P* out = dst.row(y);
        const auto at = [&](int64_t left, int64_t x, int64_t right) {
            return sharpen_pixel<P>({above[left], above[x], above[right], here[left], here[x], here[right], below[left],
                                     below[x], below[right]},
                                    params);
        };
        out[0] = at(reflect_101(-1, src.width), 0, reflect_101(1, src.width));
        for (int64_t x = 1; x < last; ++x) {
            out[x] = at(x - 1, x, x + 1);
        }
        if (last > 0) {
            out[last] = at(last - 1, last, reflect_101(last + 1, src.width));
        }
        if (mask.data != nullptr) {
            mask_row(out, mask.row(y), src.width, background);  // while the row is in L1
        }
    }
}

// Every image of the batch; `mask_of` gives an image's mask, or one without data.
template <class P, class MaskOf>
void sharpen_images(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, const SharpenParams& params,
                    const MaskOf& mask_of, P background) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    for (int64_t i = 0; i < src.count; ++i) {
        const Image<const P, Host>& in = src.images[i];
        const Image<P, Host>& out = dst.images[i];
        const Image<const uint8_t, Host> mask = mask_of(i);
        expects(same_size(in, out), "src and dst must have the same size");
        expects(mask.data == nullptr || same_size(in, mask), "src and mask must have the same size");
        if (in.empty()) {
            continue;
        }
        workers.parallel_for(in.height, 16, [&](int64_t begin, int64_t end) {
            switch (params.kernel) {
                case SharpenKernel::laplacian4:
                    return sharpen_rows<SharpenKernel::laplacian4>(in, mask, out, params, background, begin, end);
                case SharpenKernel::laplacian8:
                    return sharpen_rows<SharpenKernel::laplacian8>(in, mask, out, params, background, begin, end);
                case SharpenKernel::unsharp:
                    return sharpen_rows<SharpenKernel::unsharp>(in, mask, out, params, background, begin, end);
            }
        });
    }
}

}  // namespace

template <class P>
void sharpen(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, const SharpenParams& params) {
    sharpen_images<P>(
        workers, src, dst, params, [](int64_t) { return Image<const uint8_t, Host>(); }, P{0});
}

template <class P>
void sharpen_masked(Workers& workers, Batch<const P, Host> src, Batch<const uint8_t, Host> mask, Batch<P, Host> dst,
                    const SharpenParams& params, std::type_identity_t<P> background) {
    expects(src.count == mask.count, "src and mask must hold as many images");
    sharpen_images<P>(
        workers, src, dst, params, [&](int64_t i) { return mask.images[i]; }, background);
}

template void sharpen(Workers&, Batch<const uint8_t, Host>, Batch<uint8_t, Host>, const SharpenParams&);
template void sharpen(Workers&, Batch<const uint16_t, Host>, Batch<uint16_t, Host>, const SharpenParams&);
template void sharpen_masked(Workers&, Batch<const uint8_t, Host>, Batch<const uint8_t, Host>, Batch<uint8_t, Host>,
                             const SharpenParams&, uint8_t);
template void sharpen_masked(Workers&, Batch<const uint16_t, Host>, Batch<const uint8_t, Host>, Batch<uint16_t, Host>,
                             const SharpenParams&, uint16_t);

}  // namespace boneage

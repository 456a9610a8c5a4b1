#include "kernels/image/polarity.h"

#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/image/polarity_math.h"

#include <atomic>
#include <limits>

namespace boneage {
namespace {

template <class P>
int64_t region_sum(Workers& workers, const Image<const P, Host>& src, const Region& region) {
    std::atomic<int64_t> sum = 0;
    workers.parallel_for(region.bottom - region.top, 64, [&](int64_t begin, int64_t end) {
        int64_t part = 0;
        for (int64_t y = region.top + begin; y < region.top + end; ++y) {
            const P* row = src.row(y);
            for (int64_t x = region.left; x < region.right; ++x) {
                part += row[x];
            }
        }
        sum += part;
    });
    return sum;
}

}  // namespace

int64_t find_inverted_scratch_bytes(int64_t count) {
    return scratch_part<RegionSums>(count);
}

template <class P>
void find_inverted(Workers& workers, Batch<const P, Host> src, Tensor<uint8_t, Host> inverted, Bytes<Host> scratch) {
    expects(inverted.size() == src.count, "there must be one result for each image");
    expects(scratch.size >= find_inverted_scratch_bytes(src.count), "scratch is too small");
    auto* sums = ScratchCursor<Host>(scratch).take<RegionSums>(src.count);
    for (int64_t i = 0; i < src.count; ++i) {
        const Image<const P, Host>& image = src.images[i];
        expects(!image.empty(), "an image without pixels has no polarity");
        for (int region = 0; region < kPolarityRegions; ++region) {
            sums[i].of[region] = static_cast<unsigned long long>(
                region_sum(workers, image, polarity_region(image.height, image.width, region)));
        }
        inverted.data[i] = is_inverted(image.height, image.width, sums[i]);
    }
}

template <class P>
void invert(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, Tensor<const uint8_t, Host> flags) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    expects(flags.data == nullptr || flags.size() == src.count, "there must be one flag for each image");
    for (int64_t i = 0; i < src.count; ++i) {
        const Image<const P, Host>& in = src.images[i];
        const Image<P, Host>& out = dst.images[i];
        expects(same_size(in, out), "src and dst must have the same size");
        // All bits set inverts; none set copies: v ^ max == max - v.
        const P mask = flags.data == nullptr || flags.data[i] != 0 ? std::numeric_limits<P>::max() : P{0};
        workers.parallel_for(in.height, 64, [&](int64_t begin, int64_t end) {
            // Bytes may alias anything: what the inner loop reads besides pixels must lie in registers.
            const int64_t columns = in.width;
            const P flip = mask;
            for (int64_t y = begin; y < end; ++y) {
                const P* from = in.row(y);
                P* to = out.row(y);
#pragma GCC ivdep
                for (int64_t x = 0; x < columns; ++x) {
                    to[x] = static_cast<P>(from[x] ^ flip);
                }
            }
        });
    }
}

template void find_inverted(Workers&, Batch<const uint8_t, Host>, Tensor<uint8_t, Host>, Bytes<Host>);
template void find_inverted(Workers&, Batch<const uint16_t, Host>, Tensor<uint8_t, Host>, Bytes<Host>);
template void invert(Workers&, Batch<const uint8_t, Host>, Batch<uint8_t, Host>, Tensor<const uint8_t, Host>);
template void invert(Workers&, Batch<const uint16_t, Host>, Batch<uint16_t, Host>, Tensor<const uint8_t, Host>);

}  // namespace boneage

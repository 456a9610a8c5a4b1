#include "engine/onednn/places.h"

#include "kernels/nn/convert_math.h"
#include "kernels/nn/copy.h"

#include <algorithm>
#include <cstring>

namespace boneage::onednn {
namespace {

// Between different blocks, runs of channels that lie together on both sides are moved one by one.
template <class From, class To>
void reblock(Workers& workers, const plan::Place& from, const plan::Place& to) {
    const plan::Shape& s = from.shape;
    const int64_t run = std::max(from.channel_block, to.channel_block);
    const int64_t smallest = std::min(from.channel_block, to.channel_block);
    // Plain pixels hold all channels together, so a run is a whole block of the other side.
    const int64_t step = smallest == 1 ? run : smallest;
    const From* source = reinterpret_cast<const From*>(from.data);
    To* target = reinterpret_cast<To*>(to.data);
    workers.parallel_for(s.h, 8, [&](int64_t begin, int64_t end) {
        for (int64_t c = 0; c < s.c; c += step) {
            const int64_t count = std::min(step, s.c - c);
            for (int64_t y = begin; y < end; ++y) {
                for (int64_t x = 0; x < s.w; ++x) {
                    const From* in = source + from.offset(0, y, x, c);
                    To* out = target + to.offset(0, y, x, c);
                    for (int64_t k = 0; k < count; ++k) {
                        out[k] = from_float<To>(to_float(in[k]));
                    }
                }
            }
        }
    });
}

}  // namespace

plan::Place staged(const plan::Place& like, plan::DataType type, int64_t channel_block) {
    plan::Shape shape = like.shape;
    shape.n = 1;
    return {nullptr, shape, type, round_up(shape.c, channel_block), channel_block};
}

int64_t bytes_of(const plan::Place& place) {
    return place.shape.pixels() * place.pixel_stride * plan::size_of(place.type);
}

void move_image(Workers& workers, const plan::Place& from, const plan::Place& to) {
    const bool padded = to.channel_block > 1 && to.shape.c % to.channel_block != 0;
    if (padded) {
        std::memset(to.data, 0, static_cast<size_t>(bytes_of(to)));
    }
    with_type(from.type, [&](auto from_type) {
        with_type(to.type, [&](auto to_type) {
            using From = decltype(from_type);
            using To = decltype(to_type);
            if (from.channel_block == to.channel_block && !padded) {
                copy<From, To>(workers, activations<const From>(from), activations<To>(to));
            } else {
                reblock<From, To>(workers, from, to);
            }
        });
    });
}

}  // namespace boneage::onednn

#include "kernels/image/morphology_tile.cuh"

namespace boneage {
namespace {

// Two ways, chosen by the element's size alone. Elements up to about 60x60 pass once over the image, in shared memory:
// bits_kernel over what is a mask, tile_kernel over the rest. Larger ones are composed of many passes that look at nine
// pixels each: spread_kernel.

// How far a pass looks; a side of 0 is not looked at.
struct Reach {
    int32_t up = 0, down = 0, left = 0, right = 0;
};

// Each pixel becomes the extreme of the pixels at the corners, the sides and the middle of its reach. Over windows that
// earlier passes made, this makes windows of up to three times their size. A position outside the image is moved to
// its edge: the window there holds no pixel that the one outside would not have held, and none is left out.
template <class P, bool erodes>
__global__ void __launch_bounds__(32 * kMapWarps)
    spread_kernel(const Image<const P, Device>* shapes, const Plane<const P> from, const Plane<const P> also,
                  const Plane<P> to, const Reach reach) {
    const Image<P, Device> dst = to.like(shapes[blockIdx.z]);
    const int64_t x = map_column<1>();
    if (x >= dst.width) {
        return;
    }
    const Image<const P, Device> src = from.like(shapes[blockIdx.z]);
    const bool has_two = also.scratch != nullptr;
    const Image<const P, Device> second = has_two ? also.like(shapes[blockIdx.z]) : src;
    const int64_t columns[] = {x > reach.left ? x - reach.left : 0, x,
                               x + reach.right < src.width ? x + reach.right : src.width - 1};
    const bool looks_aside = reach.left + reach.right > 0;
#pragma unroll
    for (int r = 0; r < kMapRows; ++r) {
        const int64_t y = map_row(r);
        if (y >= dst.height) {
            continue;
        }
        const int64_t rows[] = {y > reach.up ? y - reach.up : 0, y,
                                y + reach.down < src.height ? y + reach.down : src.height - 1};
        uint32_t result = kNeutral<erodes>;
#pragma unroll
        for (int i = 0; i < 3; ++i) {
#pragma unroll
            for (int k = 0; k < 3; ++k) {
                if (k == 1 || looks_aside) {
                    result = pick<erodes>(result, src.at(rows[i], columns[k]));
                    if (has_two) {
                        result = pick<erodes>(result, second.at(rows[i], columns[k]));
                    }
                }
            }
        }
        dst.at(y, x) = static_cast<P>(result & 0xffffU);
    }
}

// One erosion or dilation of a batch, with all its iterations.
template <class P, bool erodes>
class Pass {
public:
    Pass(const Stream& stream, const Batch<const P, Device>& shapes, const MorphologyParams& params, uint8_t* done,
         const Plane<P>* scratch)
        : stream_(stream),
          shapes_(shapes),
          pass_(merged(params)),
          anchor_(anchor_of(params)),
          plan_(device_plan(params)),
          done_(done),
          spare_(scratch),
          wide_(scratch + plan_.spares),
          high_(wide_ + 2) {}

    void run(Plane<const P> from, const Plane<P>& to) const {
        for (int64_t i = 0; i < plan_.passes; ++i) {
            const Plane<P>& target = i + 1 == plan_.passes ? to : spare_[i % 2];
            if (plan_.in_tile) {
                in_tile(from, target);
            } else {
                by_spreading(from, target);
            }
            from = target.constant();
        }
    }

private:
    void in_tile(const Plane<const P>& from, const Plane<P>& to) const {
        const Element element = element_of(pass_, anchor_);
        const auto images = static_cast<unsigned>(shapes_.count);
        const unsigned rows = blocks_for(shapes_.max_height, kBitRows);
        const bool as_bits = element.last_level < kBitLevels;
        if (as_bits) {
            Launch{dim3(blocks_for(shapes_.max_width, kBitColumns), rows, images), dim3(kThreads), stream_,
                   static_cast<size_t>(bits_memory(element))}(bits_kernel<P, erodes>, shapes_.images, from, to, element,
                                                              done_);
        }
        Launch{dim3(blocks_for(shapes_.max_width, kColumns), rows, images), dim3(kThreads), stream_,
               static_cast<size_t>(tile_memory(pass_).bytes())}(tile_kernel<P, erodes>, shapes_.images, from, to,
                                                                element, as_bits ? done_ : nullptr);
    }

    void spread(const Plane<const P>& from, const Plane<const P>& also, const Plane<P>& to, const Reach& reach) const {
        map_launch(stream_, shapes_, 1)(spread_kernel<P, erodes>, shapes_.images, from, also, to, reach);
    }

    [[nodiscard]] bool covers(const ElementRow& outer, const ElementRow& inner) const {
        return outer.begin <= inner.begin && inner.end <= outer.end;
    }

    // Any element: the rows that hold a run of columns follow each other around the anchor, so it is a union of rects
    // there, from narrow and high to wide and low. Windows grow in both directions as they are needed: `wide` to the
    // side, from one rect to the next; what all rects so far make of them, vertically by as much as the next is lower.
    void by_spreading(const Plane<const P>& from, const Plane<P>& to) const {
        Plane<const P> wide = from;
        Plane<const P> high;
        int next_wide = 0;
        int next_high = 0;
        int64_t left = 0;
        int64_t right = 0;
        int64_t i = 0;
        while (i <= anchor_.y) {
            const ElementRow run = element_row(pass_, i);
            const int64_t up = anchor_.y - i;
            const int64_t down = rows_below(run);
            while (left < anchor_.x - run.begin || right < run.end - 1 - anchor_.x) {
                const int64_t window = left + right + 1;
                const int64_t more_left = std::min(anchor_.x - run.begin - left, window);
                const int64_t more_right = std::min(run.end - 1 - anchor_.x - right, window);
                spread(wide, {}, wide_[next_wide],
                       {0, 0, static_cast<int32_t>(more_left), static_cast<int32_t>(more_right)});
                wide = wide_[next_wide].constant();
                next_wide = 1 - next_wide;
                left += more_left;
                right += more_right;
            }
            // The first row of the next rect.
            do {
                ++i;
            } while (i <= anchor_.y && covers(run, element_row(pass_, i)));
            const bool last = i > anchor_.y;
            const int64_t grow_up = last ? up : up - (anchor_.y - i);
            const int64_t grow_down = last ? down : down - rows_below(element_row(pass_, i));
            int64_t above = 0;
            int64_t below = 0;
            Plane<const P> source = wide;
            do {
                const int64_t window = above + below + 1;
                const int64_t more_up = std::min(grow_up - above, window);
                const int64_t more_down = std::min(grow_down - below, window);
                above += more_up;
                below += more_down;
                const bool ends = last && above == grow_up && below == grow_down;
                spread(source, high, ends ? to : high_[next_high],
                       {static_cast<int32_t>(more_up), static_cast<int32_t>(more_down), 0, 0});
                source = high_[next_high].constant();
                high = {};
                next_high = 1 - next_high;
            } while (above < grow_up || below < grow_down);
            high = source;
        }
    }

    // How many rows below the anchor's hold a run, one after another.
    [[nodiscard]] int64_t rows_below(const ElementRow& run) const {
        int64_t rows = 0;
        while (anchor_.y + rows + 1 < pass_.height && covers(element_row(pass_, anchor_.y + rows + 1), run)) {
            ++rows;
        }
        return rows;
    }

    const Stream& stream_;
    const Batch<const P, Device>& shapes_;
    MorphologyParams pass_;
    Anchor anchor_;
    DevicePlan plan_;
    uint8_t* done_;  // for each tile of a mask
    const Plane<P>* spare_;
    const Plane<P>* wide_;
    const Plane<P>* high_;
};

}  // namespace

template <class P>
void morphology(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, const MorphologyParams& params,
                Bytes<Device> scratch) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    expects(params.width >= 1 && params.height >= 1 && params.iterations >= 1,
            "element and iterations must be at least 1");
    expects(src.count == 0 ||
                scratch.size >= morphology_scratch_bytes<P, Device>(params, src.max_height, src.max_width, src.count),
            "scratch is too small");
    ScratchCursor cursor(scratch);
    auto* const done = cursor.template take<uint8_t>(src.count * mask_tiles(src.max_height, src.max_width));
    constexpr int kMostImages = 7;
    const int64_t pitch = device_pitch<P>(src.max_width);
    Plane<P> planes[kMostImages];
    for (int64_t i = 0; i < device_plan(params).images; ++i) {
        const int64_t pixels = src.max_height * pitch;
        planes[i] = {nullptr, cursor.template take<P>(src.count * pixels), pitch, pixels};
    }
    const Plane<const P> from{src.images};
    const Plane<P> to{dst.images};
    const Plane<P>& between = planes[0];
    switch (params.op) {
        case MorphologyOp::dilate:
            Pass<P, false>(stream, src, params, done, planes).run(from, to);
            break;
        case MorphologyOp::erode:
            Pass<P, true>(stream, src, params, done, planes).run(from, to);
            break;
        case MorphologyOp::open:
            Pass<P, true>(stream, src, params, done, planes + 1).run(from, between);
            Pass<P, false>(stream, src, params, done, planes + 1).run(between.constant(), to);
            break;
        case MorphologyOp::close:
            Pass<P, false>(stream, src, params, done, planes + 1).run(from, between);
            Pass<P, true>(stream, src, params, done, planes + 1).run(between.constant(), to);
            break;
    }
}

template void morphology(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, const MorphologyParams&,
                         Bytes<Device>);
template void morphology(Stream&, Batch<const uint16_t, Device>, Batch<uint16_t, Device>, const MorphologyParams&,
                         Bytes<Device>);

}  // namespace boneage

#include "kernels/image/morphology.h"

#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/image/morphology_math.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace boneage {
namespace {

struct Max {
    template <class P>
    static constexpr P kNeutral = P{0};
    template <class P>
    static P of(P a, P b) {
        return a < b ? b : a;
    }
};

struct Min {
    template <class P>
    static constexpr P kNeutral = std::numeric_limits<P>::max();
    template <class P>
    static P of(P a, P b) {
        return b < a ? b : a;
    }
};

int levels_of(int64_t width) {
    int levels = 1;
    while ((int64_t{2} << (levels - 1)) <= width) {
        ++levels;
    }
    return levels;
}

int64_t row_room(const MorphologyParams& params, int64_t width) {
    return round_up(width + params.width, kScratchAlignment);
}

// Rows of one worker: the window levels of a source row, then the rows that vertical passes keep.
int64_t rows_per_part(const MorphologyParams& params) {
    return levels_of(params.width) + 2 * params.height + 2;
}

template <class Op, class P>
void combine(const P* a, const P* b, P* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        out[i] = Op::of(a[i], b[i]);
    }
}

// Extremes over all windows of 1, 2, 4, ... columns of one source row: level p at j covers columns [j, j + 2^p) of the
// row padded with neutral values, column j of which is the image's j - anchor. Any window is the union of two of these.
template <class Op, class P>
class RowWindows {
public:
    RowWindows(P* memory, int64_t room, int64_t element_width, int64_t anchor)
        : memory_(memory),
          room_(room),
          levels_(levels_of(element_width)),
          element_width_(element_width),
          anchor_(anchor) {}

    void load(const P* row, int64_t width) {
        const int64_t padded = width + element_width_ - 1;
        std::fill(memory_, memory_ + anchor_, Op::template kNeutral<P>);
        std::copy(row, row + width, memory_ + anchor_);
        std::fill(memory_ + anchor_ + width, memory_ + padded, Op::template kNeutral<P>);
        for (int level = 1; level < levels_; ++level) {
            const P* half = memory_ + (level - 1) * room_;
            const int64_t step = int64_t{1} << (level - 1);
            combine<Op>(half, half + step, memory_ + level * room_, padded - 2 * step + 1);
        }
        width_ = width;
    }

    // into[x] = extreme of into[x] (or nothing, when `assign`) and the element's columns [begin, end) at x.
    void gather(const ElementRow& run, P* into, bool assign) const {
        int level = 0;
        while ((int64_t{2} << level) <= run.end - run.begin) {
            ++level;
        }
        const P* windows = memory_ + level * room_;
        const P* first = windows + run.begin;
        const P* second = windows + run.end - (int64_t{1} << level);
        if (assign) {
            combine<Op>(first, second, into, width_);
        } else {
            for (int64_t x = 0; x < width_; ++x) {
                into[x] = Op::of(into[x], Op::of(first[x], second[x]));
            }
        }
    }

private:
    P* memory_;
    int64_t room_;
    int levels_;
    int64_t element_width_;
    int64_t anchor_;
    int64_t width_ = 0;
};

template <class Op, class P>
struct Pass {
    Image<const P, Host> src;
    Image<P, Host> dst;
    MorphologyParams params;
    Anchor anchor;

    [[nodiscard]] bool in_image(int64_t y) const { return y >= 0 && y < src.height; }

    // Rows [begin, end) for an ellipse. Every source row is added to the results of all rows whose element covers it;
    // results wait in a ring of as many rows as the element has.
    void ellipse_rows(P* memory, int64_t room, int64_t begin, int64_t end) const {
        RowWindows<Op, P> windows(memory, room, params.width, anchor.x);
        P* ring = memory + levels_of(params.width) * room;
        const auto result = [&](int64_t y) { return ring + (y % params.height) * room; };
        std::fill(ring, ring + params.height * room, Op::template kNeutral<P>);
        P* line = ring + params.height * room;
        for (int64_t s = begin - anchor.y; s < end - anchor.y + params.height - 1; ++s) {
            if (in_image(s)) {
                windows.load(src.row(s), src.width);
                ElementRow last;
                for (int64_t i = 0; i < params.height; ++i) {
                    const int64_t y = s - i + anchor.y;
                    const ElementRow run = element_row(params, i);
                    if (y < begin || y >= end || run.begin == run.end) {
                        continue;
                    }
                    // Neighbouring rows of an ellipse often have equal runs: those are gathered once.
                    if (run.begin != last.begin || run.end != last.end) {
                        windows.gather(run, line, true);
                        last = run;
                    }
                    combine<Op>(result(y), line, result(y), src.width);
                }
            }
            const int64_t done = s - (params.height - 1) + anchor.y;
            if (done >= begin && done < end) {
                std::copy(result(done), result(done) + src.width, dst.row(done));
                std::fill(result(done), result(done) + src.width, Op::template kNeutral<P>);
            }
        }
    }

    // Rows [begin, end) for a rect: van Herk's two blocks. Within a block of `height` source rows, suffix k is the
    // extreme of rows k and later, and prefix k that of the rows before k in the next block; a window is one of each.
    void rect_rows(P* memory, int64_t room, int64_t begin, int64_t end) const {
        RowWindows<Op, P> windows(memory, room, params.width, anchor.x);
        P* suffix = memory + levels_of(params.width) * room;
        P* next = suffix + params.height * room;
        P* prefix = next + params.height * room;
        const auto load = [&](int64_t s, P* into) {
            if (in_image(s)) {
                windows.load(src.row(s), src.width);
                windows.gather({0, params.width}, into, true);
            } else {
                std::fill(into, into + src.width, Op::template kNeutral<P>);
            }
        };
        const auto make_suffixes = [&](P* block) {
            for (int64_t k = params.height - 2; k >= 0; --k) {
                combine<Op>(block + k * room, block + (k + 1) * room, block + k * room, src.width);
            }
        };
        for (int64_t k = 0; k < params.height; ++k) {
            load(begin - anchor.y + k, suffix + k * room);
        }
        make_suffixes(suffix);
        for (int64_t y = begin; y < end; y += params.height) {
            const int64_t rows = std::min(params.height, end - y);
            std::copy(suffix, suffix + src.width, dst.row(y));
            for (int64_t k = 1; k < rows; ++k) {
                P* line = next + (k - 1) * room;
                load(y - anchor.y + params.height + k - 1, line);
                if (k == 1) {
                    std::copy(line, line + src.width, prefix);
                } else {
                    combine<Op>(prefix, line, prefix, src.width);
                }
                combine<Op>(suffix + k * room, prefix, dst.row(y + k), src.width);
            }
            if (y + rows < end) {
                load(y - anchor.y + 2 * params.height - 1, next + (params.height - 1) * room);
                make_suffixes(next);
                std::swap(suffix, next);
            }
        }
    }

    // Rows [begin, end) for a cross: its column is a rect of width 1, its row is one run.
    void cross_rows(P* memory, int64_t room, int64_t begin, int64_t end) const {
        Pass column = *this;
        column.params.width = 1;
        column.anchor.x = 0;
        column.rect_rows(memory, room, begin, end);
        RowWindows<Op, P> windows(memory, room, params.width, anchor.x);
        for (int64_t y = begin; y < end; ++y) {
            windows.load(src.row(y), src.width);
            windows.gather({0, params.width}, dst.row(y), false);
        }
    }
};

template <class Op, class P>
void run_pass(Workers& workers, const Image<const P, Host>& src, const Image<P, Host>& dst,
              const MorphologyParams& params, Anchor anchor, P* memory) {
    const Pass<Op, P> pass{src, dst, params, anchor};
    const int64_t room = row_room(params, src.width);
    const int64_t parts = workers.count();
    workers.parallel_for(parts, 1, [&](int64_t first, int64_t last) {
        for (int64_t part = first; part < last; ++part) {
            const int64_t begin = src.height * part / parts;
            const int64_t end = src.height * (part + 1) / parts;
            P* own = memory + part * rows_per_part(params) * room;
            if (begin == end) {
                continue;
            }
            switch (params.shape) {
                case ElementShape::rect:
                    pass.rect_rows(own, room, begin, end);
                    break;
                case ElementShape::cross:
                    pass.cross_rows(own, room, begin, end);
                    break;
                case ElementShape::ellipse:
                    pass.ellipse_rows(own, room, begin, end);
                    break;
            }
        }
    });
}

// One erosion or dilation with all its iterations, from src to dst by way of `spare`.
template <class Op, class P>
void run_all(Workers& workers, const Image<const P, Host>& src, const Image<P, Host>& dst, const Image<P, Host>& spare,
             const MorphologyParams& params, P* memory) {
    const MorphologyParams pass = merged(params);
    // The last pass must write dst; passes alternate between the two targets.
    Image<const P, Host> from = src;
    for (int64_t i = 0; i < pass.iterations; ++i) {
        const Image<P, Host>& to = (pass.iterations - i) % 2 == 1 ? dst : spare;
        run_pass<Op>(workers, from, to, pass, anchor_of(params), memory);
        from = to;
    }
}

}  // namespace

ElementRow element_row(const MorphologyParams& params, int64_t i) {
    const bool single = params.width == 1 && params.height == 1;
    if (params.shape == ElementShape::rect || single) {
        return {0, params.width};
    }
    const int64_t r = params.height / 2;
    const int64_t c = params.width / 2;
    if (params.shape == ElementShape::cross) {
        return i == r ? ElementRow{0, params.width} : ElementRow{c, c + 1};
    }
    const int64_t dy = i - r;
    if (dy < -r || dy > r) {
        return {0, 0};
    }
    const double inverse_r2 = r != 0 ? 1.0 / (static_cast<double>(r) * static_cast<double>(r)) : 0.0;
    const auto dx = static_cast<int64_t>(
        std::nearbyint(static_cast<double>(c) * std::sqrt(static_cast<double>(r * r - dy * dy) * inverse_r2)));
    return {std::max<int64_t>(c - dx, 0), std::min(c + dx + 1, params.width)};
}

template <class P, class Space>
int64_t morphology_scratch_bytes(const MorphologyParams& params, int64_t max_height, int64_t max_width, int64_t parts) {
    if constexpr (std::is_same_v<Space, Device>) {
        return scratch_part<uint8_t>(parts * mask_tiles(max_height, max_width)) +
               device_plan(params).images * scratch_part<P>(parts * max_height * device_pitch<P>(max_width));
    } else {
        const MorphologyParams pass = merged(params);
        const int64_t image = round_up(max_height * max_width, kScratchAlignment);
        return 2 * scratch_part<P>(image) + scratch_part<P>(parts * rows_per_part(pass) * row_room(pass, max_width));
    }
}

template <class P>
void morphology(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, const MorphologyParams& params,
                Bytes<Host> scratch) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    expects(params.width >= 1 && params.height >= 1 && params.iterations >= 1,
            "element and iterations must be at least 1");
    for (int64_t i = 0; i < src.count; ++i) {
        const Image<const P, Host>& in = src.images[i];
        const Image<P, Host>& out = dst.images[i];
        expects(same_size(in, out), "src and dst must have the same size");
        expects(scratch.size >= morphology_scratch_bytes<P>(params, in.height, in.width, workers.count()),
                "scratch is too small");
        if (in.empty()) {
            continue;
        }
        const MorphologyParams pass = merged(params);
        ScratchCursor cursor(scratch);
        const int64_t image = round_up(in.pixels(), kScratchAlignment);
        const Image<P, Host> spare(cursor.template take<P>(image), in.height, in.width);
        const Image<P, Host> between(cursor.template take<P>(image), in.height, in.width);
        P* memory = cursor.template take<P>(workers.count() * rows_per_part(pass) * row_room(pass, in.width));
        switch (params.op) {
            case MorphologyOp::dilate:
                run_all<Max>(workers, in, out, spare, params, memory);
                break;
            case MorphologyOp::erode:
                run_all<Min>(workers, in, out, spare, params, memory);
                break;
            case MorphologyOp::open:
                run_all<Min>(workers, in, between, spare, params, memory);
                run_all<Max>(workers, Image<const P, Host>(between), out, spare, params, memory);
                break;
            case MorphologyOp::close:
                run_all<Max>(workers, in, between, spare, params, memory);
                run_all<Min>(workers, Image<const P, Host>(between), out, spare, params, memory);
                break;
        }
    }
}

template int64_t morphology_scratch_bytes<uint8_t, Host>(const MorphologyParams&, int64_t, int64_t, int64_t);
template int64_t morphology_scratch_bytes<uint8_t, Device>(const MorphologyParams&, int64_t, int64_t, int64_t);
template int64_t morphology_scratch_bytes<uint16_t, Host>(const MorphologyParams&, int64_t, int64_t, int64_t);
template int64_t morphology_scratch_bytes<uint16_t, Device>(const MorphologyParams&, int64_t, int64_t, int64_t);
template void morphology(Workers&, Batch<const uint8_t, Host>, Batch<uint8_t, Host>, const MorphologyParams&,
                         Bytes<Host>);
template void morphology(Workers&, Batch<const uint16_t, Host>, Batch<uint16_t, Host>, const MorphologyParams&,
                         Bytes<Host>);

}  // namespace boneage

#include "kernels/image/resize.h"

#include "kernels/base/error.h"
#include "kernels/image/resize_math.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace boneage {
namespace {

// Destination columns handled at a time: their taps and row buffers live on the stack of the thread that works on them.
constexpr int64_t kTile = 1024;
constexpr int64_t kAreaTile = 512;
// Source columns whose block sums are formed at a time.
constexpr int64_t kBlockColumns = 1024;

struct Rows {
    int64_t begin, end;
};

// sums[i] = the sum of `height` pixels below row[i].
template <class P>
void sum_columns(const P* row, int64_t stride, int64_t height, int64_t columns, uint32_t* sums) {
    for (int64_t x = 0; x < columns; ++x) {
        sums[x] = row[x];
    }
    for (int64_t y = 1; y < height; ++y) {
        row += stride;
        for (int64_t x = 0; x < columns; ++x) {
            sums[x] += row[x];
        }
    }
}

// Two neighbouring pixels fetched as one.
template <class P>
struct Pair {
    using Bits = std::conditional_t<sizeof(P) == 1, uint16_t, uint32_t>;
    Bits bits;
    [[nodiscard]] P first() const { return static_cast<P>(bits); }
    [[nodiscard]] P second() const { return static_cast<P>(bits >> (8 * sizeof(P))); }
};
template <>
struct Pair<float> {
    float values[2];
    [[nodiscard]] float first() const { return values[0]; }
    [[nodiscard]] float second() const { return values[1]; }
};
static_assert(std::endian::native == std::endian::little, "the first of two pixels is in the lower bits");

// words[x] = the pixels from row[starts[x]] on. Unrolled, so that more cache misses are under way at a time; volatile,
// because compilers otherwise make this a loop of gather instructions, which take several times as long.
template <class P, class Word>
void fetch(const P* row, const volatile int32_t* starts, size_t columns, Word* words) {
#pragma GCC unroll 8
    for (size_t x = 0; x < columns; ++x) {
        std::memcpy(&words[x], row + starts[x], sizeof(Word));
    }
}

// block_mean of 2x2 blocks in the narrowest integers that hold their sums, so that more of them fit a vector.
template <class P>
void halve_row(const P* above, const P* below, P* out, int64_t width) {
    using Sum = typename Pair<P>::Bits;
    for (int64_t x = 0; x < width; ++x) {
        Pair<P> a;
        Pair<P> b;
        std::memcpy(&a, above + 2 * x, sizeof(a));
        std::memcpy(&b, below + 2 * x, sizeof(b));
        const Sum sum = static_cast<Sum>(a.first() + a.second() + b.first() + b.second() + 2);
        out[x] = static_cast<P>(sum >> 2);
    }
}

template <class P>
void resize_blocks(const Image<const P, Host>& src, const Image<P, Host>& dst, const ResizePlan& plan, Rows rows) {
    const int64_t width = plan.block_width;
    const int64_t height = plan.block_height;
    std::array<uint32_t, kBlockColumns> sums;
    for (int64_t y = rows.begin; y < rows.end; ++y) {
        const P* top = src.row(y * height);
        P* out = dst.row(y);
        if (width == 2 && height == 2) {
            halve_row(top, top + src.stride, out, dst.width);
            continue;
        }
        // As many whole blocks as fit the buffer at once, or one block in pieces.
        const int64_t blocks = std::max<int64_t>(1, kBlockColumns / width);
        for (int64_t x = 0; x < dst.width; x += blocks) {
            const int64_t end = std::min(x + blocks, dst.width);
            if (width <= kBlockColumns) {
                sum_columns(top + x * width, src.stride, height, (end - x) * width, sums.data());
                const uint32_t* column = sums.data();
                for (int64_t i = x; i < end; ++i, column += width) {
                    uint64_t sum = 0;
                    for (int64_t k = 0; k < width; ++k) {
                        sum += column[k];
                    }
                    out[i] = block_mean<P>(sum, width, height);
                }
                continue;
            }
            uint64_t sum = 0;
            for (int64_t piece = 0; piece < width; piece += kBlockColumns) {
                const int64_t columns = std::min(kBlockColumns, width - piece);
                sum_columns(top + x * width + piece, src.stride, height, columns, sums.data());
                for (int64_t k = 0; k < columns; ++k) {
                    sum += sums[static_cast<size_t>(k)];
                }
            }
            out[x] = block_mean<P>(sum, width, height);
        }
    }
}

// How a tile's destination columns sum a source row. Most scales need few taps: then every column gets the same number
// of them, surplus ones weighing 0 (which leaves a sum of pixels as it is), and pixels are fetched 32 bits at a time
// from rows that end past them. Then the sums vectorise. Otherwise columns are summed one by one.
template <class P>
class AreaColumns {
public:
    AreaColumns(const ResizePlan& plan, int64_t src_width, int64_t left, int64_t columns) : columns_(columns) {
        int64_t most = 0;
        for (int64_t x = 0; x < columns; ++x) {
            const AreaTaps taps = area_taps(plan.x, left + x, src_width);
            taps_[static_cast<size_t>(x)] = taps;
            most = std::max(most, taps.count);
        }
        most = round_up(most, kGroup);
        if (std::is_integral_v<P> && most <= kMostTaps && most <= src_width) {
            pack(most, src_width);
        }
    }

    void sum(const P* row, float* out) const {
        if (groups_ > 0) {
            for (size_t g = 0; g < groups_; ++g) {
                add_group(row, g, out);
            }
        } else {
            for (int64_t x = 0; x < columns_; ++x) {
                out[x] = sum_column(row, taps_[static_cast<size_t>(x)]);
            }
        }
    }

private:
    static constexpr size_t kGroup = 4 / sizeof(P);
    static constexpr int64_t kMostTaps = 12;

    void pack(int64_t most, int64_t src_width) {
        groups_ = static_cast<size_t>(most) / kGroup;
        for (size_t x = 0; x < static_cast<size_t>(columns_); ++x) {
            const AreaTaps& taps = taps_[x];
            const int64_t first = std::min(taps.first, src_width - most);
            starts_[x] = static_cast<int32_t>(first);
            for (int64_t k = 0; k < most; ++k) {
                const int64_t tap = first + k - taps.first;
                weights_[static_cast<size_t>(k)][x] = tap >= 0 && tap < taps.count ? taps.weight(tap) : 0.0F;
            }
        }
    }

    // out += the pixels of group g, one after the other; the first group assigns.
    void add_group(const P* row, size_t g, float* out) const {
        const size_t n = static_cast<size_t>(columns_);
        std::array<uint32_t, kAreaTile> pixels;
        fetch(row + g * kGroup, starts_.data(), n, pixels.data());
        for (size_t x = 0; x < n; ++x) {
            float sum = g == 0 ? 0.0F : out[x];
#pragma GCC unroll 4
            for (size_t k = 0; k < kGroup; ++k) {
                const int32_t value = static_cast<P>(pixels[x] >> (8 * sizeof(P) * k));
                sum += static_cast<float>(value) * weights_[g * kGroup + k][x];
            }
            out[x] = sum;
        }
    }

    static float sum_column(const P* row, const AreaTaps& taps) {
        const P* pixel = row + taps.first;
        float sum = static_cast<float>(pixel[0]) * taps.head;
        for (int64_t k = 1; k < taps.count - 1; ++k) {
            sum += static_cast<float>(pixel[k]) * taps.middle;
        }
        return taps.count > 1 ? sum + static_cast<float>(pixel[taps.count - 1]) * taps.tail : sum;
    }

    int64_t columns_;
    size_t groups_ = 0;  // of kGroup taps a column; 0: one by one
    std::array<AreaTaps, kAreaTile> taps_;
    std::array<int32_t, kAreaTile> starts_;
    std::array<std::array<float, kAreaTile>, kMostTaps> weights_;
};

template <class P>
void resize_area(const Image<const P, Host>& src, const Image<P, Host>& dst, const ResizePlan& plan, Rows rows) {
    std::array<float, kAreaTile> across;
    std::array<float, kAreaTile> sums;
    for (int64_t left = 0; left < dst.width; left += kAreaTile) {
        const int64_t columns = std::min(kAreaTile, dst.width - left);
        const size_t n = static_cast<size_t>(columns);
        const AreaColumns<P> taps(plan, src.width, left, columns);
        int64_t across_row = -1;  // the source row that `across` holds: neighbouring destination rows share one
        for (int64_t y = rows.begin; y < rows.end; ++y) {
            const AreaTaps down = area_taps(plan.y, y, src.height);
            for (int64_t k = 0; k < down.count; ++k) {
                if (down.first + k != across_row) {
                    across_row = down.first + k;
                    taps.sum(src.row(across_row), across.data());
                }
                const float weight = down.weight(k);
                if (k == 0) {
                    for (size_t x = 0; x < n; ++x) {
                        sums[x] = across[x] * weight;
                    }
                } else {
                    for (size_t x = 0; x < n; ++x) {
                        sums[x] += across[x] * weight;
                    }
                }
            }
            P* out = dst.row(y) + left;
            for (size_t x = 0; x < n; ++x) {
                out[x] = from_sum<P>(sums[x]);
            }
        }
    }
}

// The source columns and weights of a tile's destination columns.
template <class P>
struct LinearColumns {
    using Arithmetic = LinearArithmetic<P>;
    std::array<int32_t, kTile> starts;
    std::array<typename Arithmetic::Weight, kTile> w0, w1;

    LinearColumns(const ResizePlan& plan, int64_t src_width, int64_t left, int64_t columns) {
        for (int64_t x = 0; x < columns; ++x) {
            const LinearPair<P> pair = linear_pair<P>(plan.path, plan.x, left + x, src_width);
            const size_t i = static_cast<size_t>(x);
            starts[i] = static_cast<int32_t>(pair.first);
            w0[i] = pair.w0;
            w1[i] = pair.w1;
        }
    }

    // Fetching and computing are separate loops: only the second one vectorises.
    void across(const P* row, int64_t src_width, int64_t columns, typename Arithmetic::Row* out) const {
        std::array<Pair<P>, kTile> pairs;
        const size_t n = static_cast<size_t>(columns);
        if (src_width == 1) {
            const P twice[2] = {row[0], row[0]};
            std::fill_n(pairs.data(), n, std::bit_cast<Pair<P>>(twice));
        } else {
            fetch(row, starts.data(), n, pairs.data());
        }
        for (size_t i = 0; i < n; ++i) {
            out[i] = Arithmetic::across(pairs[i].first(), pairs[i].second(), w0[i], w1[i]);
        }
    }
};

template <class P>
void resize_linear(const Image<const P, Host>& src, const Image<P, Host>& dst, const ResizePlan& plan, Rows rows) {
    using Arithmetic = LinearArithmetic<P>;
    using Row = typename Arithmetic::Row;
    std::array<std::array<Row, kTile>, 2> across;
    for (int64_t left = 0; left < dst.width; left += kTile) {
        const int64_t columns = std::min(kTile, dst.width - left);
        const LinearColumns<P> taps(plan, src.width, left, columns);
        // Enlarging meets the same source rows again: row y lives in buffer y % 2.
        std::array<int64_t, 2> held{-1, -1};
        const auto interpolated = [&](int64_t y) -> const Row* {
            const size_t slot = static_cast<size_t>(y % 2);
            if (held[slot] != y) {
                held[slot] = y;
                taps.across(src.row(y), src.width, columns, across[slot].data());
            }
            return across[slot].data();
        };
        for (int64_t y = rows.begin; y < rows.end; ++y) {
            const LinearTap tap = linear_tap(plan.path, plan.y, y);
            const Row* above = interpolated(clamp<int64_t>(tap.index, 0, src.height - 1));
            const Row* below = interpolated(clamp<int64_t>(tap.index + 1, 0, src.height - 1));
            const auto w0 = Arithmetic::weight(1.0F - tap.fraction);
            const auto w1 = Arithmetic::weight(tap.fraction);
            P* out = dst.row(y) + left;
            for (int64_t x = 0; x < columns; ++x) {
                out[x] = Arithmetic::down(above[x], below[x], w0, w1);
            }
        }
    }
}

// The upper bound keeps sums of a column's 16-bit pixels within 32 bits.
template <class T>
bool sides_allowed(const Image<T, Host>& image) {
    constexpr int64_t kLongest = 65536;
    return !image.empty() && image.height <= kLongest && image.width <= kLongest;
}

template <class P>
void resize_rows(const Image<const P, Host>& src, const Image<P, Host>& dst, const ResizePlan& plan, Rows rows) {
    switch (plan.path) {
        case ResizePath::blocks:
            if constexpr (std::is_integral_v<P>) {
                resize_blocks(src, dst, plan, rows);
            }
            return;
        case ResizePath::area:
            return resize_area(src, dst, plan, rows);
        case ResizePath::linear:
        case ResizePath::enlarge:
            return resize_linear(src, dst, plan, rows);
    }
}

}  // namespace

template <class P>
void resize(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, ResizeFilter filter) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    for (int64_t i = 0; i < src.count; ++i) {
        const Image<const P, Host>& in = src.images[i];
        const Image<P, Host>& out = dst.images[i];
        expects(sides_allowed(in) && sides_allowed(out), "sides must be 1 to 65,536");
        const ResizePlan plan = resize_plan<P>(filter, in.height, in.width, out.height, out.width);
        // Rows cost the same, and each range makes its own tables: few ranges.
        workers.parallel_for(out.height, ceil_div(out.height, 2 * workers.count()), [&](int64_t begin, int64_t end) {
            resize_rows(in, out, plan, {begin, end});
        });
    }
}

template void resize(Workers&, Batch<const uint8_t, Host>, Batch<uint8_t, Host>, ResizeFilter);
template void resize(Workers&, Batch<const uint16_t, Host>, Batch<uint16_t, Host>, ResizeFilter);
template void resize(Workers&, Batch<const float, Host>, Batch<float, Host>, ResizeFilter);

}  // namespace boneage

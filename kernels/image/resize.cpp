#include "kernels/image/resize.h"

#include "kernels/base/error.h"
#include "kernels/image/resize_math.h"

#include <algorithm>
#include <array>

namespace boneage {
namespace {

// Destination columns handled at a time: their taps and row buffers live on the stack of the thread that works on them.
constexpr int64_t kTile = 256;
// Source columns whose block sums are formed at a time.
constexpr int64_t kBlockColumns = 1024;
constexpr int64_t kGrain = 4;

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

template <class P>
void halve_row(const P* above, const P* below, P* out, int64_t width) {
    for (int64_t x = 0; x < width; ++x) {
        const uint32_t sum = static_cast<uint32_t>(above[2 * x]) + above[2 * x + 1] + below[2 * x] + below[2 * x + 1];
        out[x] = block_mean<P>(sum, 2, 2);
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

// The horizontal sums of one source row for the tile's destination columns.
template <class P>
void area_row(const P* row, const AreaTaps* taps, int64_t columns, float* out) {
    for (int64_t x = 0; x < columns; ++x) {
        const AreaTaps& t = taps[x];
        const P* pixel = row + t.first;
        float sum = static_cast<float>(pixel[0]) * t.head;
        for (int64_t k = 1; k < t.count - 1; ++k) {
            sum += static_cast<float>(pixel[k]) * t.middle;
        }
        if (t.count > 1) {
            sum += static_cast<float>(pixel[t.count - 1]) * t.tail;
        }
        out[x] = sum;
    }
}

template <class P>
void resize_area(const Image<const P, Host>& src, const Image<P, Host>& dst, const ResizePlan& plan, Rows rows) {
    std::array<AreaTaps, kTile> taps;
    std::array<float, kTile> across;
    std::array<float, kTile> sums;
    for (int64_t left = 0; left < dst.width; left += kTile) {
        const int64_t columns = std::min(kTile, dst.width - left);
        for (int64_t x = 0; x < columns; ++x) {
            taps[static_cast<size_t>(x)] = area_taps(plan.x, left + x, src.width);
        }
        int64_t across_row = -1;  // the source row that `across` holds: neighbouring destination rows share one
        for (int64_t y = rows.begin; y < rows.end; ++y) {
            const AreaTaps down = area_taps(plan.y, y, src.height);
            for (int64_t k = 0; k < down.count; ++k) {
                if (down.first + k != across_row) {
                    across_row = down.first + k;
                    area_row(src.row(across_row), taps.data(), columns, across.data());
                }
                const float weight = down.weight(k);
                if (k == 0) {
                    for (int64_t x = 0; x < columns; ++x) {
                        sums[static_cast<size_t>(x)] = across[static_cast<size_t>(x)] * weight;
                    }
                } else {
                    for (int64_t x = 0; x < columns; ++x) {
                        sums[static_cast<size_t>(x)] += across[static_cast<size_t>(x)] * weight;
                    }
                }
            }
            P* out = dst.row(y) + left;
            for (int64_t x = 0; x < columns; ++x) {
                out[x] = from_sum<P>(sums[static_cast<size_t>(x)]);
            }
        }
    }
}

template <class P>
struct LinearColumns {
    using Weight = typename LinearArithmetic<P>::Weight;
    std::array<int32_t, kTile> index;
    std::array<Weight, kTile> w0, w1;
};

template <class P>
void resize_linear(const Image<const P, Host>& src, const Image<P, Host>& dst, const ResizePlan& plan, Rows rows) {
    using Arithmetic = LinearArithmetic<P>;
    using Row = typename Arithmetic::Row;
    LinearColumns<P> taps;
    std::array<std::array<Row, kTile>, 2> across;
    // Reading a pair never leaves the row: the last column is the second of its pair.
    const int64_t step = src.width > 1 ? 1 : 0;
    for (int64_t left = 0; left < dst.width; left += kTile) {
        const int64_t columns = std::min(kTile, dst.width - left);
        for (int64_t x = 0; x < columns; ++x) {
            const LinearTap tap = linear_column_tap(plan.path, plan.x, left + x, src.width);
            const bool last = step == 1 && tap.index == src.width - 1;
            const size_t i = static_cast<size_t>(x);
            taps.index[i] = static_cast<int32_t>(last ? tap.index - 1 : tap.index);
            taps.w0[i] = last ? Arithmetic::weight(0.0F) : Arithmetic::weight(1.0F - tap.fraction);
            taps.w1[i] = last ? Arithmetic::weight(1.0F) : Arithmetic::weight(tap.fraction);
        }
        // Enlarging meets the same source rows again: row y lives in buffer y % 2.
        std::array<int64_t, 2> held{-1, -1};
        const auto interpolated = [&](int64_t y) -> const Row* {
            const size_t slot = static_cast<size_t>(y % 2);
            Row* out = across[slot].data();
            if (held[slot] != y) {
                held[slot] = y;
                const P* row = src.row(y);
                for (int64_t x = 0; x < columns; ++x) {
                    const size_t i = static_cast<size_t>(x);
                    const P* pixel = row + taps.index[i];
                    out[x] = Arithmetic::across(pixel[0], pixel[step], taps.w0[i], taps.w1[i]);
                }
            }
            return out;
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
        workers.parallel_for(out.height, kGrain, [&](int64_t begin, int64_t end) {
            resize_rows(in, out, plan, {begin, end});
        });
    }
}

template void resize(Workers&, Batch<const uint8_t, Host>, Batch<uint8_t, Host>, ResizeFilter);
template void resize(Workers&, Batch<const uint16_t, Host>, Batch<uint16_t, Host>, ResizeFilter);
template void resize(Workers&, Batch<const float, Host>, Batch<float, Host>, ResizeFilter);

}  // namespace boneage

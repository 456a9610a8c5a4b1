// The geometry and the scalar formulas of resize.h, compiled by both twins.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/image/resize.h"

#include <type_traits>

namespace boneage {

// One side of an image pair: `scale` source pixels make one destination pixel.
struct ResizeAxis {
    double scale;
    double inverse;
};

BONEAGE_HD inline ResizeAxis resize_axis(int64_t src, int64_t dst) {
    const double inverse = static_cast<double>(dst) / static_cast<double>(src);
    return {1.0 / inverse, inverse};
}

enum class ResizePath {
    blocks,   // whole scales: integer block sums
    area,     // fractional scales, neither below 1
    linear,   // two pixels a side
    enlarge,  // the same with the weights INTER_AREA gives to enlarged images
};

struct ResizePlan {
    ResizePath path;
    ResizeAxis x, y;
    int64_t block_width, block_height;  // of ResizePath::blocks
};

// Whether a pixel is the mean over an area (`blocks` or `area`), not a mix of two pixels a side.
template <class P>
BONEAGE_HD inline bool averages_areas(ResizeFilter filter, int64_t src_height, int64_t src_width, int64_t dst_height,
                                      int64_t dst_width) {
    if (filter == ResizeFilter::linear) {
        return std::is_integral_v<P> && src_height == 2 * dst_height && src_width == 2 * dst_width;
    }
    return dst_height <= src_height && dst_width <= src_width;
}

template <class P>
BONEAGE_HD inline ResizePlan resize_plan(ResizeFilter filter, int64_t src_height, int64_t src_width, int64_t dst_height,
                                         int64_t dst_width) {
    constexpr double kEpsilon = 2.220446049250313e-16;
    ResizePlan plan{ResizePath::linear, resize_axis(src_width, dst_width), resize_axis(src_height, dst_height), 0, 0};
    plan.block_width = static_cast<int64_t>(std::nearbyint(plan.x.scale));
    plan.block_height = static_cast<int64_t>(std::nearbyint(plan.y.scale));
    const bool whole = std::is_integral_v<P> &&
                       std::fabs(plan.x.scale - static_cast<double>(plan.block_width)) < kEpsilon &&
                       std::fabs(plan.y.scale - static_cast<double>(plan.block_height)) < kEpsilon;
    if (averages_areas<P>(filter, src_height, src_width, dst_height, dst_width)) {
        plan.path = whole ? ResizePath::blocks : ResizePath::area;
    } else if (filter == ResizeFilter::area) {
        plan.path = ResizePath::enlarge;
    }
    return plan;
}

// Blocks. `sum` is exact, so the order in which a twin adds does not matter.

template <class P>
BONEAGE_HD inline P block_mean(uint64_t sum, int64_t block_width, int64_t block_height) {
    if (block_width == 2 && block_height == 2) {
        return static_cast<P>((sum + 2) >> 2);
    }
    const float share = 1.0F / static_cast<float>(block_width * block_height);
    return saturate<P>(round_half_even(static_cast<float>(sum) * share));
}

// Fractional area: the source pixels [first, first + count) of one destination position and what each contributes.
struct AreaTaps {
    int64_t first;
    int64_t count;
    float head, middle, tail;

    [[nodiscard]] BONEAGE_HD float weight(int64_t k) const { return k == 0 ? head : (k == count - 1 ? tail : middle); }
};

BONEAGE_HD inline AreaTaps area_taps(const ResizeAxis& axis, int64_t position, int64_t src_size) {
    constexpr double kNegligible = 1e-3;
    const double begin = static_cast<double>(position) * axis.scale;
    const double end = begin + axis.scale;
    const double rest = static_cast<double>(src_size) - begin;
    const double cell = axis.scale < rest ? axis.scale : rest;
    int64_t inner_end = static_cast<int64_t>(std::floor(end));
    inner_end = inner_end < src_size - 1 ? inner_end : src_size - 1;
    int64_t inner_begin = static_cast<int64_t>(std::ceil(begin));
    inner_begin = inner_begin < inner_end ? inner_begin : inner_end;

    const double head_part = static_cast<double>(inner_begin) - begin;
    double tail_part = end - static_cast<double>(inner_end);
    const bool has_head = head_part > kNegligible;
    const bool has_tail = tail_part > kNegligible;
    tail_part = tail_part < 1.0 ? tail_part : 1.0;
    tail_part = tail_part < cell ? tail_part : cell;

    AreaTaps taps{};
    taps.first = has_head ? inner_begin - 1 : inner_begin;
    taps.count = (inner_end - inner_begin) + (has_head ? 1 : 0) + (has_tail ? 1 : 0);
    taps.middle = static_cast<float>(1.0 / cell);
    taps.tail = has_tail ? static_cast<float>(tail_part / cell) : taps.middle;
    taps.head = has_head ? static_cast<float>(head_part / cell) : (inner_end > inner_begin ? taps.middle : taps.tail);
    return taps;
}

template <class P>
BONEAGE_HD inline P from_sum(float sum) {
    if constexpr (std::is_floating_point_v<P>) {
        return sum;
    } else {
        return saturate<P>(round_half_even(sum));
    }
}

// Linear: a position between pixel `index` and the next one.
struct LinearTap {
    int64_t index;
    float fraction;  // of the way to the next pixel
};

BONEAGE_HD inline LinearTap linear_tap(ResizePath path, const ResizeAxis& axis, int64_t position) {
    const double p = static_cast<double>(position);
    if (path == ResizePath::enlarge) {
        const double index = std::floor(p * axis.scale);
        const float f = static_cast<float>((p + 1.0) - (index + 1.0) * axis.inverse);
        return {static_cast<int64_t>(index), f <= 0.0F ? 0.0F : f - std::floor(f)};
    }
    const float at = static_cast<float>((p + 0.5) * axis.scale - 0.5);
    const float index = std::floor(at);
    return {static_cast<int64_t>(index), at - index};
}

// Columns past the edges take the outermost pixel alone; rows keep their weights and repeat the outermost row. In fixed
// point the two differ.
BONEAGE_HD inline LinearTap linear_column_tap(ResizePath path, const ResizeAxis& axis, int64_t x, int64_t src_width) {
    const LinearTap tap = linear_tap(path, axis, x);
    if (tap.index < 0) {
        return {0, 0.0F};
    }
    if (tap.index >= src_width - 1) {
        return {src_width - 1, 0.0F};
    }
    return tap;
}

// How a pixel type is interpolated: the type of its weights, of a horizontally interpolated pixel, and both steps.
template <class P>
struct LinearArithmetic {
    using Weight = float;
    using Row = float;

    BONEAGE_HD static Weight weight(float part) { return part; }
    BONEAGE_HD static Row across(P a, P b, Weight w0, Weight w1) {
        return static_cast<float>(a) * w0 + static_cast<float>(b) * w1;
    }
    BONEAGE_HD static P down(Row a, Row b, Weight w0, Weight w1) { return from_sum<P>(a * w0 + b * w1); }
};

// Fixed point in 16 bits: what the products hold beyond them is split off with the weights' lower 4 bits.
template <>
struct LinearArithmetic<uint8_t> {
    using Weight = uint16_t;  // 0..2048
    using Row = int16_t;      // 7 bits below the point, at most 255 * 128

    BONEAGE_HD static Weight weight(float part) { return static_cast<Weight>(round_half_even(part * 2048.0F)); }
    // (a * w0 + b * w1) >> 4
    BONEAGE_HD static Row across(uint8_t a, uint8_t b, Weight w0, Weight w1) {
        const uint16_t upper = static_cast<uint16_t>(a * (w0 >> 4) + b * (w1 >> 4));
        const uint16_t lower = static_cast<uint16_t>(a * (w0 & 15) + b * (w1 & 15));
        return static_cast<Row>(upper + (lower >> 4));
    }
    BONEAGE_HD static uint8_t down(Row a, Row b, Weight w0, Weight w1) {
        const Row high_a = static_cast<Row>((a * static_cast<Row>(w0)) >> 16);
        const Row high_b = static_cast<Row>((b * static_cast<Row>(w1)) >> 16);
        return static_cast<uint8_t>(static_cast<Row>(high_a + high_b + 2) >> 2);
    }
};

// A destination column as its source columns `first` and first + 1 (or `first` twice, of a source one column wide) and
// their weights. The last source column is the second of its pair, so that reading a pair never leaves the row.
template <class P>
struct LinearPair {
    int64_t first;
    typename LinearArithmetic<P>::Weight w0, w1;
};

template <class P>
BONEAGE_HD inline LinearPair<P> linear_pair(ResizePath path, const ResizeAxis& axis, int64_t x, int64_t src_width) {
    const LinearTap tap = linear_column_tap(path, axis, x, src_width);
    const bool last = src_width > 1 && tap.index == src_width - 1;
    const float fraction = last ? 1.0F : tap.fraction;
    return {last ? tap.index - 1 : tap.index, LinearArithmetic<P>::weight(1.0F - fraction),
            LinearArithmetic<P>::weight(fraction)};
}

}  // namespace boneage

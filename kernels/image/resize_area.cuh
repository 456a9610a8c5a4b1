// Tiles of a resized image whose pixels are means over source areas: the paths `blocks` and `area` of resize.h on a
// GPU.
//
// A block makes kTileRows rows of kTileColumns pixels, a thread a column of them. It marches down the source rows below
// the tile and sums each row's pixels once, also a row that two destination rows share. The rows come through shared
// memory, some 16 KiB at a time: each is read once with 16-byte loads, and the bytes that a thread then picks lie near
// those of its neighbours. While one block waits for its rows, others on the multiprocessor sum theirs.
#pragma once

#include "kernels/image/pixel_vectors.cuh"
#include "kernels/image/resize_math.h"

namespace boneage {
namespace {

constexpr int kTileColumns = 128;
constexpr int kTileRows = 16;
constexpr int kThreads = kTileColumns;
constexpr int kStageBytes = 16384;
constexpr int kMostTaps = 10;  // of a column whose taps are unrolled

// What one destination position takes from a source side.
struct Taps {
    int first, count;
    float head, middle, tail;

    [[nodiscard]] __device__ float weight(int k) const { return k == 0 ? head : (k == count - 1 ? tail : middle); }
};

__device__ Taps taps_of(ResizePath path, const ResizeAxis& axis, int64_t block, int64_t position, int64_t src_size) {
    if (path == ResizePath::blocks) {
        return {static_cast<int>(position * block), static_cast<int>(block), 1.0F, 1.0F, 1.0F};
    }
    const AreaTaps taps = area_taps(axis, position, src_size);
    return {static_cast<int>(taps.first), static_cast<int>(taps.count), taps.head, taps.middle, taps.tail};
}

// The row segment [left, right) of some source rows in shared memory. Every thread of the block makes the same calls.
template <class P>
class Stage {
public:
    __device__ Stage(const Image<const P, Device>& src, int left, int right)
        : src_(src),
          aligned_(vector_rows<kPixels>(src)),
          left_(left / kPixels * kPixels),
          vectors_((right - left_ + kPixels - 1) / kPixels),
          capacity_(kStageBytes / 16 / vectors_) {}

    // Whether at least one row fits.
    [[nodiscard]] __device__ bool holds_rows() const { return capacity_ > 0; }
    // The source column at which staged rows begin.
    [[nodiscard]] __device__ int left() const { return left_; }

    // Row y from column left() on; loads it and as many of the rows up to `bottom` as fit when it is not there yet.
    __device__ const P* row(int y, int bottom) {
        if (y >= end_) {
            load(y, y + capacity_ < bottom ? y + capacity_ : bottom);
        }
        return pixels() + (y - begin_) * vectors_ * kPixels;
    }

private:
    static constexpr int kPixels = kVectorPixels<P>;
    static constexpr int kBatch = 4;  // 16-byte loads that a thread has under way

    // Unrolled taps read past the last row's end, weighing what they find there with 0.
    __device__ static P* pixels() {
        __shared__ uint4 stage[kStageBytes / 16 + 2];
        static_assert(kMostTaps * sizeof(uint16_t) <= 32, "room for them");
        return reinterpret_cast<P*>(stage);
    }

    __device__ void load(int begin, int end) {
        __syncthreads();  // everybody is done with the rows that are there
        begin_ = begin;
        end_ = end;
        const int total = (end - begin) * vectors_;
        // The vector's place by row and column is kept, not divided out anew for each.
        const int step_rows = kThreads / vectors_;
        const int step_columns = kThreads % vectors_;
        int row = static_cast<int>(threadIdx.x) / vectors_;
        int column = static_cast<int>(threadIdx.x) % vectors_;
        for (int first = static_cast<int>(threadIdx.x); first < total; first += kBatch * kThreads) {
            uint4 batch[kBatch];
            bool whole[kBatch];
#pragma unroll
            for (int i = 0; i < kBatch; ++i) {
                const int x = left_ + column * kPixels;
                const P* from = src_.row(begin + row) + x;
                const int at = first + i * kThreads;
                whole[i] = at < total && aligned_ && x + kPixels <= src_.width;
                if (whole[i]) {
                    batch[i] = __ldg(reinterpret_cast<const uint4*>(from));
                } else if (at < total) {
#pragma unroll 1
                    for (int k = 0; k < kPixels && x + k < src_.width; ++k) {
                        pixels()[at * kPixels + k] = from[k];
                    }
                }
                row += step_rows;
                column += step_columns;
                if (column >= vectors_) {
                    column -= vectors_;
                    ++row;
                }
            }
#pragma unroll
            for (int i = 0; i < kBatch; ++i) {
                if (whole[i]) {
                    reinterpret_cast<uint4*>(pixels())[first + i * kThreads] = batch[i];
                }
            }
        }
        __syncthreads();
    }

    const Image<const P, Device>& src_;
    bool aligned_;
    int left_;
    int vectors_;   // of a staged row
    int capacity_;  // rows
    int begin_ = 0;
    int end_ = 0;
};

// How a column sums a source row, and a pixel its rows. `pixel` points to the column's first tap.

// Whole scales: exact integers.
template <class P>
struct BlockSum {
    using Across = uint32_t;
    using Total = uint64_t;
    int count;
    int64_t block_width, block_height;

    __device__ Across across(const P* pixel) const {
        uint32_t sum = 0;
#pragma unroll 4
        for (int k = 0; k < count; ++k) {
            sum += pixel[k];
        }
        return sum;
    }
    __device__ static Total add(Total total, Across row, bool first, float) {
        return first ? row : total + row;
    }
    __device__ P value(Total total) const {
        return block_mean<P>(total, block_width, block_height);
    }
};

// Fractional scales: float32 in the order of the contract.
template <class P>
struct AreaRows {
    using Across = float;
    using Total = float;
    __device__ static Total add(Total total, Across row, bool first, float weight) {
        return first ? row * weight : total + row * weight;
    }
    __device__ static P value(Total total) { return from_sum<P>(total); }
};

// Any number of taps.
template <class P>
struct AreaLoop : AreaRows<P> {
    Taps taps;

    __device__ explicit AreaLoop(const Taps& taps_) : taps(taps_) {}
    __device__ float across(const P* pixel) const {
        float sum = static_cast<float>(pixel[0]) * taps.head;
#pragma unroll 4
        for (int k = 1; k < taps.count - 1; ++k) {
            sum += static_cast<float>(pixel[k]) * taps.middle;
        }
        return taps.count > 1 ? sum + static_cast<float>(pixel[taps.count - 1]) * taps.tail : sum;
    }
};

// The same number for every column of the image, unrolled; surplus ones weigh 0, which leaves a sum of integers as it
// is. (Floats may be negative zeros.)
template <class P, int taps>
struct AreaUnrolled : AreaRows<P> {
    static_assert(std::is_integral_v<P> && taps <= kMostTaps);
    float weights[taps];

    __device__ explicit AreaUnrolled(const Taps& column) {
#pragma unroll
        for (int k = 0; k < taps; ++k) {
            weights[k] = k < column.count ? column.weight(k) : 0.0F;
        }
    }
    __device__ float across(const P* pixel) const {
        float sum = static_cast<float>(pixel[0]) * weights[0];
#pragma unroll
        for (int k = 1; k < taps; ++k) {
            sum += static_cast<float>(pixel[k]) * weights[k];
        }
        return sum;
    }
};

// A tile's place and what its rows take.
struct AreaTile {
    int64_t x;  // this thread's column; one past the image computes, but does not store, the last column
    int64_t top;
    int rows;
    int first;         // this thread's first tap
    int bottom;        // one past the last source row
    const Taps* down;  // of each row
};

template <bool staged, class P, class Sum>
__device__ void march(const Image<const P, Device>& src, const Image<P, Device>& dst, const AreaTile& tile,
                      Stage<P>& stage, const Sum& sum) {
    int held = -1;  // the source row that `across` holds
    typename Sum::Across across{};
    for (int r = 0; r < tile.rows; ++r) {
        const Taps down = tile.down[r];
        typename Sum::Total total{};
        for (int k = 0; k < down.count; ++k) {
            const int y = down.first + k;
            if (y != held) {
                held = y;
                if constexpr (staged) {
                    across = sum.across(stage.row(y, tile.bottom) + (tile.first - stage.left()));
                } else {
                    across = sum.across(src.row(y) + tile.first);
                }
            }
            total = sum.add(total, across, k == 0, down.weight(k));
        }
        if (tile.x < dst.width) {
            dst.at(tile.top + r, tile.x) = sum.value(total);
        }
    }
}

// The tile whose first pixel is (top, left).
template <class P>
__device__ void resize_area_tile(const Image<const P, Device>& src, const Image<P, Device>& dst, const ResizePlan& plan,
                                 int64_t top, int64_t left) {
    __shared__ Taps down[kTileRows];
    __shared__ int ends[2];
    const int thread = static_cast<int>(threadIdx.x);
    const int64_t x = left + thread;
    const Taps column = taps_of(plan.path, plan.x, plan.block_width, x < dst.width ? x : dst.width - 1, src.width);
    const int rows = top + kTileRows < dst.height ? kTileRows : static_cast<int>(dst.height - top);
    if (thread < rows) {
        down[thread] = taps_of(plan.path, plan.y, plan.block_height, top + thread, src.height);
    }
    if (thread == 0) {
        ends[0] = column.first;
    }
    if (thread == kThreads - 1) {
        ends[1] = column.first + column.count;
    }
    __syncthreads();
    Stage<P> stage(src, ends[0], ends[1]);
    const AreaTile tile{x, top, rows, column.first, down[rows - 1].first + down[rows - 1].count, down};
    if (plan.path == ResizePath::blocks) {
        if constexpr (std::is_integral_v<P>) {
            const BlockSum<P> sum{column.count, plan.block_width, plan.block_height};
            stage.holds_rows() ? march<true>(src, dst, tile, stage, sum) : march<false>(src, dst, tile, stage, sum);
        }
        return;
    }
    if (!stage.holds_rows()) {
        // Scales beyond 30 at the least: rows are read where they are.
        march<false>(src, dst, tile, stage, AreaLoop<P>(column));
        return;
    }
    if constexpr (std::is_integral_v<P>) {
        const double most = plan.x.scale + 2;  // taps, rounded down
        if (most < 4) {
            return march<true>(src, dst, tile, stage, AreaUnrolled<P, 3>(column));
        }
        if (most < 6) {
            return march<true>(src, dst, tile, stage, AreaUnrolled<P, 5>(column));
        }
        if (most < 8) {
            return march<true>(src, dst, tile, stage, AreaUnrolled<P, 7>(column));
        }
        if (most < kMostTaps + 1) {
            return march<true>(src, dst, tile, stage, AreaUnrolled<P, kMostTaps>(column));
        }
    }
    march<true>(src, dst, tile, stage, AreaLoop<P>(column));
}

}  // namespace
}  // namespace boneage

#include "kernels/image/resize.h"
#include "kernels/image/resize_area.cuh"

namespace boneage {
namespace {

// Two pixels a side. A thread makes four neighbouring pixels, stored at once, in each of its warp's rows; what its
// columns and rows take is computed once a tile and shared.
constexpr int kLinearColumns = 4;
constexpr int kLinearTileRows = 16;
constexpr int kLinearRows = kLinearTileRows / (kThreads / 32);
static_assert(kTileColumns == 32 * kLinearColumns && kLinearTileRows % kAreaRows == 0);

// LinearArithmetic in 32 bits, where nothing need be split to fit.
template <class P>
struct LinearSum : LinearArithmetic<P> {};

template <>
struct LinearSum<uint8_t> {
    using Row = int32_t;

    __device__ static Row across(int32_t a, int32_t b, int32_t w0, int32_t w1) { return (a * w0 + b * w1) >> 4; }
    __device__ static uint8_t down(Row a, Row b, int32_t w0, int32_t w1) {
        return static_cast<uint8_t>((((a * w0) >> 16) + ((b * w1) >> 16) + 2) >> 2);
    }
};

template <class P>
struct LinearColumn {
    using Weight = typename LinearArithmetic<P>::Weight;
    int first;
    Weight w0, w1;
};

template <class P>
struct LinearRow {
    using Weight = typename LinearArithmetic<P>::Weight;
    int above, below;
    Weight w0, w1;
};

// A thread's columns of the image.
template <class P>
struct LinearRun {
    const P* from[kLinearColumns];  // in the first row
    typename LinearColumn<P>::Weight w0[kLinearColumns], w1[kLinearColumns];
};

template <class P>
struct LinearPixels {
    typename LinearSum<P>::Row pixel[kLinearColumns];
};

template <int second, class P>
__device__ LinearPixels<P> across(const Image<const P, Device>& src, int y, const LinearRun<P>& run) {
    const uint64_t offset = row_offset(src, y);
    LinearPixels<P> row;
#pragma unroll
    for (int i = 0; i < kLinearColumns; ++i) {
        const P* from = run.from[i] + offset;
        row.pixel[i] = LinearSum<P>::across(__ldg(from), __ldg(from + second), run.w0[i], run.w1[i]);
    }
    return row;
}

// Rows [0, rows) of the tile from (top, x) on. `second`: how far the second pixel of a pair is from the first.
template <int second, class P>
__device__ void resize_linear_run(const Image<const P, Device>& src, const Image<P, Device>& dst, int64_t top,
                                  int64_t x, const LinearRow<P>* rows, const LinearRun<P>& run) {
    const bool vectors = vector_rows<kLinearColumns>(dst);
    // Enlarging meets the same source rows again.
    int held_above = -1;
    int held_below = -1;
    LinearPixels<P> above{};
    LinearPixels<P> below{};
    for (int r = 0; r < kLinearRows && top + r < dst.height; ++r) {
        const LinearRow<P> row = rows[r];
        if (row.above != held_above) {
            above = row.above == held_below ? below : across<second>(src, row.above, run);
            held_above = row.above;
        }
        if (row.below != held_below) {
            below = row.below == held_above ? above : across<second>(src, row.below, run);
            held_below = row.below;
        }
        PixelVector<P, kLinearColumns> out;
#pragma unroll
        for (int i = 0; i < kLinearColumns; ++i) {
            out.set(i, LinearSum<P>::down(above.pixel[i], below.pixel[i], row.w0, row.w1));
        }
        store_vector(dst.row(top + r), x, dst.width, vectors, out);
    }
}

template <class P>
__device__ void resize_linear_tile(const Image<const P, Device>& src, const Image<P, Device>& dst,
                                   const ResizePlan& plan, int64_t top, int64_t left) {
    using Arithmetic = LinearArithmetic<P>;
    __shared__ LinearColumn<P> tile_columns[kTileColumns];
    __shared__ LinearRow<P> tile_rows[kLinearTileRows];
    const int thread = static_cast<int>(threadIdx.x);
    const LinearPair<P> pair = linear_pair<P>(plan.path, plan.x, left + thread, src.width);
    tile_columns[thread] = {static_cast<int>(pair.first), pair.w0, pair.w1};
    if (thread < kLinearTileRows) {
        const LinearTap tap = linear_tap(plan.path, plan.y, top + thread);
        tile_rows[thread] = {static_cast<int>(clamp<int64_t>(tap.index, 0, src.height - 1)),
                             static_cast<int>(clamp<int64_t>(tap.index + 1, 0, src.height - 1)),
                             Arithmetic::weight(1.0F - tap.fraction), Arithmetic::weight(tap.fraction)};
    }
    __syncthreads();
    const int lane = thread % 32;
    const int first_row = thread / 32 * kLinearRows;
    const int64_t x = left + lane * kLinearColumns;
    if (x >= dst.width) {
        return;
    }
    LinearRun<P> run;
#pragma unroll
    for (int i = 0; i < kLinearColumns; ++i) {
        const LinearColumn<P> column = tile_columns[lane * kLinearColumns + i];
        run.from[i] = src.data + column.first;
        run.w0[i] = column.w0;
        run.w1[i] = column.w1;
    }
    if (src.width > 1) {
        resize_linear_run<1>(src, dst, top + first_row, x, tile_rows + first_row, run);
    } else {
        resize_linear_run<0>(src, dst, top + first_row, x, tile_rows + first_row, run);
    }
}

// The images of a batch may take different paths; a block takes one. Tiles of areas are lower than the others, of which
// every second block makes none.
template <class P>
__global__ void __launch_bounds__(kThreads, 10)
    resize_kernel(const Image<const P, Device>* sources, const Image<P, Device>* targets, ResizeFilter filter) {
    const Image<const P, Device> src = sources[blockIdx.z];
    const Image<P, Device> dst = targets[blockIdx.z];
    const int64_t left = static_cast<int64_t>(blockIdx.x) * kTileColumns;
    const int64_t top = static_cast<int64_t>(blockIdx.y) * kAreaRows;
    if (left >= dst.width || top >= dst.height || src.empty()) {
        return;
    }
    const bool areas = averages_areas<P>(filter, src.height, src.width, dst.height, dst.width);
    if (!areas && top % kLinearTileRows != 0) {
        return;
    }
    // By one thread: its divisions take as long as some pixels.
    __shared__ ResizePlan plan;
    if (threadIdx.x == 0) {
        plan = resize_plan<P>(filter, src.height, src.width, dst.height, dst.width);
    }
    __syncthreads();
    if (areas) {
        resize_area_tile(src, dst, plan, top, left);
    } else {
        resize_linear_tile(src, dst, plan, top, left);
    }
}

}  // namespace

template <class P>
void resize(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, ResizeFilter filter) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    const dim3 grid(blocks_for(dst.max_width, kTileColumns), blocks_for(dst.max_height, kAreaRows),
                    static_cast<unsigned>(dst.count));
    Launch{grid, dim3(kThreads), stream}(resize_kernel<P>, src.images, dst.images, filter);
}

template void resize(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, ResizeFilter);
template void resize(Stream&, Batch<const uint16_t, Device>, Batch<uint16_t, Device>, ResizeFilter);
template void resize(Stream&, Batch<const float, Device>, Batch<float, Device>, ResizeFilter);

}  // namespace boneage

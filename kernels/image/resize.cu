#include "kernels/image/resize.h"
#include "kernels/image/resize_area.cuh"

namespace boneage {
namespace {

// Two pixels a side. A thread makes four neighbouring pixels, stored at once, in each of its warp's rows; what its
// columns and rows take is computed once a tile and shared.
constexpr int kLinearColumns = 4;
constexpr int kLinearRows = kTileRows / (kThreads / 32);
static_assert(kTileColumns == 32 * kLinearColumns);

template <class P>
struct LinearColumn {
    using Weight = typename LinearArithmetic<P>::Weight;
    int first, second;
    Weight w0, w1;
};

template <class P>
struct LinearRow {
    using Weight = typename LinearArithmetic<P>::Weight;
    int above, below;
    Weight w0, w1;
};

template <class P>
struct LinearRun {
    typename LinearArithmetic<P>::Row pixel[kLinearColumns];
};

template <class P>
__device__ LinearRun<P> across(const P* row, const LinearColumn<P> (&columns)[kLinearColumns]) {
    LinearRun<P> run;
#pragma unroll
    for (int i = 0; i < kLinearColumns; ++i) {
        run.pixel[i] = LinearArithmetic<P>::across(__ldg(row + columns[i].first), __ldg(row + columns[i].second),
                                                   columns[i].w0, columns[i].w1);
    }
    return run;
}

template <class P>
__device__ void resize_linear_tile(const Image<const P, Device>& src, const Image<P, Device>& dst,
                                   const ResizePlan& plan, int64_t top, int64_t left) {
    using Arithmetic = LinearArithmetic<P>;
    __shared__ LinearColumn<P> tile_columns[kTileColumns];
    __shared__ LinearRow<P> tile_rows[kTileRows];
    const int thread = static_cast<int>(threadIdx.x);
    const LinearPair<P> pair = linear_pair<P>(plan.path, plan.x, left + thread, src.width);
    tile_columns[thread] = {static_cast<int>(pair.first), static_cast<int>(pair.first + (src.width > 1 ? 1 : 0)),
                            pair.w0, pair.w1};
    if (thread < kTileRows) {
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
    LinearColumn<P> columns[kLinearColumns];
#pragma unroll
    for (int i = 0; i < kLinearColumns; ++i) {
        columns[i] = tile_columns[lane * kLinearColumns + i];
    }
    const bool vectors = vector_rows<kLinearColumns>(dst);
    // Enlarging meets the same source rows again.
    int held_above = -1;
    int held_below = -1;
    LinearRun<P> above{};
    LinearRun<P> below{};
    for (int r = first_row; r < first_row + kLinearRows && top + r < dst.height; ++r) {
        const LinearRow<P> row = tile_rows[r];
        if (row.above != held_above) {
            above = row.above == held_below ? below : across(src.row(row.above), columns);
            held_above = row.above;
        }
        if (row.below != held_below) {
            below = row.below == held_above ? above : across(src.row(row.below), columns);
            held_below = row.below;
        }
        PixelVector<P, kLinearColumns> out;
#pragma unroll
        for (int i = 0; i < kLinearColumns; ++i) {
            out.set(i, Arithmetic::down(above.pixel[i], below.pixel[i], row.w0, row.w1));
        }
        store_vector(dst.row(top + r), x, dst.width, vectors, out);
    }
}

// The images of a batch may take different paths; a block takes one.
template <class P>
__global__ void __launch_bounds__(kThreads, 8)
    resize_kernel(const Image<const P, Device>* sources, const Image<P, Device>* targets, ResizeFilter filter) {
    const Image<const P, Device> src = sources[blockIdx.z];
    const Image<P, Device> dst = targets[blockIdx.z];
    const int64_t left = static_cast<int64_t>(blockIdx.x) * kTileColumns;
    const int64_t top = static_cast<int64_t>(blockIdx.y) * kTileRows;
    if (left >= dst.width || top >= dst.height || src.empty()) {
        return;
    }
    const ResizePlan plan = resize_plan<P>(filter, src.height, src.width, dst.height, dst.width);
    if (plan.path == ResizePath::blocks || plan.path == ResizePath::area) {
        resize_area_tile(src, dst, plan, top, left);
    } else {
        resize_linear_tile(src, dst, plan, top, left);
    }
}

}  // namespace

template <class P>
void resize(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, ResizeFilter filter) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    const dim3 grid(blocks_for(dst.max_width, kTileColumns), blocks_for(dst.max_height, kTileRows),
                    static_cast<unsigned>(dst.count));
    Launch{grid, dim3(kThreads), stream}(resize_kernel<P>, src.images, dst.images, filter);
}

template void resize(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, ResizeFilter);
template void resize(Stream&, Batch<const uint16_t, Device>, Batch<uint16_t, Device>, ResizeFilter);
template void resize(Stream&, Batch<const float, Device>, Batch<float, Device>, ResizeFilter);

}  // namespace boneage

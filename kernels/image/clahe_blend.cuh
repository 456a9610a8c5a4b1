// Blending CLAHE's tables, on a device.
#pragma once

#include "kernels/image/clahe.h"
#include "kernels/image/clahe_math.h"
#include "kernels/image/float_bits.cuh"
#include "kernels/image/pixel_vectors.cuh"

namespace boneage {
namespace {

constexpr int kThreads = 256;

// A cell of one image, and what blending needs of it: see clahe_cell_end().
struct CellShape {
    int32_t left, top, right, bottom;
    int32_t tile[4];    // above left, above right, below left, below right
    int32_t beyond[2];  // and those to the right of the latter
    int32_t tile_width;
    float inverse_width, inverse_height;
};

template <class P>
__device__ CellShape cell_shape(const Image<const P, Device>& src, const ClaheParams& params) {
    const ClaheGrid grid = clahe_grid<P>(src.height, src.width, params);
    const auto tiles_x = static_cast<int32_t>(params.tiles_x);
    const auto tiles_y = static_cast<int32_t>(params.tiles_y);
    const auto x = static_cast<int32_t>(blockIdx.x) % (tiles_x + 1);
    const auto y = static_cast<int32_t>(blockIdx.x) / (tiles_x + 1);
    const auto end_x = [&](int32_t cell) {
        return cell < 0 ? 0
                        : static_cast<int32_t>(
                              clahe_cell_end(cell, src.width, grid.inverse_width, grid.tile_width, tiles_x));
    };
    const auto end_y = [&](int32_t cell) {
        return cell < 0 ? 0
                        : static_cast<int32_t>(
                              clahe_cell_end(cell, src.height, grid.inverse_height, grid.tile_height, tiles_y));
    };
    const int32_t x1 = x > 0 ? x - 1 : 0;
    const int32_t x2 = x < tiles_x ? x : tiles_x - 1;
    const int32_t x3 = x2 + 1 < tiles_x ? x2 + 1 : x2;
    const int32_t y1 = y > 0 ? y - 1 : 0;
    const int32_t y2 = y < tiles_y ? y : tiles_y - 1;
    return {end_x(x - 1),
            end_y(y - 1),
            end_x(x),
            end_y(y),
            {y1 * tiles_x + x1, y1 * tiles_x + x2, y2 * tiles_x + x1, y2 * tiles_x + x2},
            {y1 * tiles_x + x3, y2 * tiles_x + x3},
            static_cast<int32_t>(grid.tile_width),
            grid.inverse_width,
            grid.inverse_height};
}

// clahe_blended() of four values, one in each byte.
__device__ __forceinline__ float blended_bytes(uint32_t four, float ax, float ay) {
    return clahe_blended(byte_as_float(four, 0), byte_as_float(four, 1), byte_as_float(four, 2), byte_as_float(four, 3),
                         ax, ay);
}

// The tables of a cell of 8-bit pixels, side by side in shared memory, so that one load gives all four values of a
// pixel; and those of the cell to the right.
struct CellTables {
    static constexpr int32_t kBeyond = kClaheBins<uint8_t>;  // where the latter begin
    uint32_t values[2 * kBeyond];

    __device__ void fill(const CellShape& cell, const uint8_t* tables) {
        const auto entry = [&](int32_t tile) -> uint32_t { return tables[tile * kClaheBins<uint8_t> + threadIdx.x]; };
        const uint32_t right = entry(cell.tile[1]);
        const uint32_t right_below = entry(cell.tile[3]);
        values[threadIdx.x] = entry(cell.tile[0]) | right << 8 | entry(cell.tile[2]) << 16 | right_below << 24;
        values[kBeyond + threadIdx.x] =
            right | entry(cell.beyond[0]) << 8 | right_below << 16 | entry(cell.beyond[1]) << 24;
    }
};

// A thread's pixels of one row. Cells end anywhere, so its last ones may belong to the cell to the right.
constexpr int kBlendPixels = 8;

// The block's share of a cell, for images whose rows can be accessed as vectors and whose cells are wide enough that a
// vector meets two of them at most. A thread keeps its columns from row to row, and so their weights and tables.
__device__ void blend_vectors(const Image<const uint8_t, Device>& src, const Image<uint8_t, Device>& dst,
                              const CellShape& cell, const CellTables& tables, const ClaheParams& params) {
    const auto first = static_cast<int32_t>(ceil_div(cell.left, kBlendPixels));
    const auto end = static_cast<int32_t>(ceil_div(cell.right, kBlendPixels));
    const int32_t columns = end - first < kThreads ? end - first : kThreads;
    const auto thread = static_cast<int32_t>(threadIdx.x);
    const int32_t rows = columns > 0 ? kThreads / columns : 0;
    if (thread >= rows * columns) {
        return;
    }
    const int32_t step = static_cast<int32_t>(gridDim.y) * rows;
    const int32_t begin = cell.top + static_cast<int32_t>(blockIdx.y) * rows + thread / columns;
    for (int32_t vector = first + thread % columns; vector < end; vector += columns) {
        const int32_t x = vector * kBlendPixels;
        float ax[kBlendPixels];
        int32_t table[kBlendPixels];
#pragma unroll
        for (int i = 0; i < kBlendPixels; ++i) {
            ax[i] = clahe_blend(x + i, cell.inverse_width, params.tiles_x).weight;
            table[i] = x + i < cell.right ? 0 : CellTables::kBeyond;
        }
        for (int32_t y = begin; y < cell.bottom; y += step) {
            const float ay = clahe_blend(y, cell.inverse_height, params.tiles_y).weight;
            const auto pixels = load_vector<kBlendPixels>(src.row(y), x, src.width, true);
            PixelVector<uint8_t, kBlendPixels> result;
#pragma unroll
            for (int i = 0; i < kBlendPixels; ++i) {
                const uint32_t four = tables.values[table[i] + pixels.get(i)];
                result.set(i, static_cast<uint8_t>(rounded_bits(blended_bytes(four, ax[i], ay))));
            }
            store_vector(dst.row(y), x, dst.width, true, result);
        }
    }
}

// A block blends the pixels of one cell, or with gridDim.y > 1 some of its rows, so that four tables serve it.
template <class P>
__global__ void __launch_bounds__(kThreads)
    blend_kernel(const Image<const P, Device>* sources, const Image<P, Device>* targets, const ClaheParams params,
                 const P* tables) {
    constexpr int kPixels = kVectorPixels<P>;
    constexpr bool kPacks = sizeof(P) == 1;
    __shared__ std::conditional_t<kPacks, CellTables, int> packed_tables;
    __shared__ CellShape cell;
    const Image<const P, Device> src = sources[blockIdx.z];
    const Image<P, Device> dst = targets[blockIdx.z];
    if (src.empty()) {
        return;
    }
    if (threadIdx.x == 0) {
        cell = cell_shape(src, params);
    }
    __syncthreads();
    const P* const image_tables = tables + blockIdx.z * params.tiles_x * params.tiles_y * kClaheBins<P>;
    if constexpr (kPacks) {
        packed_tables.fill(cell, image_tables);
        __syncthreads();
        if (vector_rows<kBlendPixels>(src) && vector_rows<kBlendPixels>(dst) && cell.tile_width >= 2 * kBlendPixels) {
            blend_vectors(src, dst, cell, packed_tables, params);
            return;
        }
    }
    const P* table[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        table[i] = image_tables + cell.tile[i] * kClaheBins<P>;
    }
    const auto blended = [&](P value, int64_t x, float ay) {
        const float ax = clahe_blend(static_cast<int32_t>(x), cell.inverse_width, params.tiles_x).weight;
        if constexpr (kPacks) {
            return static_cast<P>(round_half_even(blended_bytes(packed_tables.values[value], ax, ay)));
        } else {
            return saturate<P>(clahe_mix(__ldg(table[0] + value), __ldg(table[1] + value), __ldg(table[2] + value),
                                         __ldg(table[3] + value), ax, ay));
        }
    };
    const bool vectors = vector_rows<kPixels>(src) && vector_rows<kPixels>(dst);
    const int64_t first = cell.left / kPixels;
    const RowShare share = share_rows(static_cast<int>(threadIdx.x), kThreads, ceil_div(cell.right, kPixels) - first);
    for (int64_t y = cell.top + static_cast<int64_t>(blockIdx.y) * share.rows + share.row; y < cell.bottom;
         y += static_cast<int64_t>(gridDim.y) * share.rows) {
        const float ay = clahe_blend(static_cast<int32_t>(y), cell.inverse_height, params.tiles_y).weight;
        const P* in = src.row(y);
        P* out = dst.row(y);
        for (int64_t x = (first + share.lane) * kPixels; x < cell.right; x += share.lanes * kPixels) {
            if (vectors && x >= cell.left && x + kPixels <= cell.right) {
                const auto pixels = load_vector<kPixels>(in, x, src.width, true);
                PixelVector<P, kPixels> result;
#pragma unroll
                for (int i = 0; i < kPixels; ++i) {
                    result.set(i, blended(pixels.get(i), x + i, ay));
                }
                store_vector(out, x, dst.width, true, result);
            } else {
                // The pixels beyond the cell are other blocks'.
                for (int64_t i = x > cell.left ? x : cell.left; i < x + kPixels && i < cell.right; ++i) {
                    out[i] = blended(in[i], i, ay);
                }
            }
        }
    }
}

}  // namespace
}  // namespace boneage

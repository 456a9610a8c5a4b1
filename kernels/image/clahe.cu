#include "kernels/image/clahe_blend.cuh"
#include "kernels/image/clahe_halves.cuh"
#include "kernels/image/clahe_tile.cuh"

namespace boneage {
namespace {

// A histogram never leaves the chip: the block that counts a tile also clips it, sums it up and writes the table. Where
// the 65,536 bins of 16-bit pixels do not fit into shared memory, not even in counters of 16 bits (clahe_halves.cuh),
// as many blocks as there are pieces read the tile, each counting its own bins. They need each other's totals to share
// out what was clipped, so they count twice: reading a tile again from L2 costs less than keeping 256 KiB of counters
// for it in memory.
constexpr int kWarps = kThreads / 32;

// Neighbours in a radiograph are often equal and would wait for each other at one counter: with 8-bit pixels every warp
// has counters of its own.
template <class P>
constexpr int kCopies = kClahePieces<P> == 1 ? kWarps : 1;
template <class P>
constexpr int kThreadBins = kClahePieceBins<P> / kThreads;

// Where a bin's counter lies. A gap after every 32 keeps threads that walk 32 bins each out of one another's banks.
__device__ __forceinline__ int32_t counter(int32_t bin) {
    return bin + (bin >> 5);
}
template <class P>
constexpr int kCounters = kClahePieceBins<P> + kClahePieceBins<P> / 32;

// Counts the pixels of the tile whose bins belong to this block's piece.
template <class P>
__device__ void count_tile(const Image<const P, Device>& src, const TileShape& tile, int32_t* counts) {
    constexpr int kPixels = kVectorPixels<P>;
    int32_t* const own = counts + (threadIdx.x / 32) % kCopies<P> * kCounters<P>;
    const auto count = [own](P value) {
        // The result is not used, so that equal pixels of a warp become one addition.
        if (kClahePieces<P> == 1 || value / kClahePieceBins<P> == static_cast<int32_t>(blockIdx.y)) {
            atomicAdd(&own[counter(value % kClahePieceBins<P>)], 1);
        }
    };
    const bool vectors = vector_rows<kPixels>(src);
    const int64_t inside = clamp<int64_t>(src.width, tile.left, tile.right);
    const int64_t first = tile.left / kPixels;
    const RowShare share = share_rows(static_cast<int>(threadIdx.x), kThreads, ceil_div(inside, kPixels) - first);
    for (int64_t y = tile.top + share.row; y < tile.bottom; y += share.rows) {
        const P* row = src.row(reflect_101(y, src.height));
        for (int64_t x = (first + share.lane) * kPixels; x < inside; x += share.lanes * kPixels) {
            if (vectors && x >= tile.left && x + kPixels <= inside) {
                const auto pixels = load_vector<kPixels>(row, x, src.width, true);
#pragma unroll
                for (int i = 0; i < kPixels; ++i) {
                    count(pixels.get(i));
                }
            } else {
                for (int64_t i = x > tile.left ? x : tile.left; i < x + kPixels && i < inside; ++i) {
                    count(row[i]);
                }
            }
        }
        for (int64_t x = inside + share.lane; x < tile.right; x += share.lanes) {
            count(row[reflect_101(x, src.width)]);
        }
    }
}

// This thread's bins, which follow each other, once the whole block has counted.
template <class P>
struct ThreadBins {
    int32_t count[kThreadBins<P>];
};

template <class P>
__device__ ThreadBins<P> count_bins(const Image<const P, Device>& src, const TileShape& tile, int32_t* counts) {
    for (int i = static_cast<int>(threadIdx.x); i < kCopies<P> * kCounters<P>; i += kThreads) {
        counts[i] = 0;
    }
    __syncthreads();
    count_tile(src, tile, counts);
    __syncthreads();
    ThreadBins<P> bins;
#pragma unroll
    for (int k = 0; k < kThreadBins<P>; ++k) {
        bins.count[k] = 0;
#pragma unroll
        for (int copy = 0; copy < kCopies<P>; ++copy) {
            bins.count[k] +=
                counts[copy * kCounters<P> + counter(static_cast<int32_t>(threadIdx.x) * kThreadBins<P> + k)];
        }
    }
    return bins;
}

// Clips the bins, and says what they hold afterwards and what was cut off.
template <class P>
__device__ ClahePiece clip_bins(ThreadBins<P>& bins, int32_t clip) {
    ClahePiece sum{0, 0};
#pragma unroll
    for (int k = 0; k < kThreadBins<P>; ++k) {
        const int32_t excess = clip > 0 && bins.count[k] > clip ? bins.count[k] - clip : 0;
        bins.count[k] -= excess;
        sum.kept += bins.count[k];
        sum.cut_off += excess;
    }
    return sum;
}

// Both numbers in one word, because sums of them are what is exchanged between threads. Neither exceeds a tile's area.
__device__ __forceinline__ uint64_t packed(const ClahePiece& piece) {
    return static_cast<uint64_t>(piece.cut_off) << 32 | static_cast<uint32_t>(piece.kept);
}
__device__ __forceinline__ ClahePiece unpacked(uint64_t word) {
    return {static_cast<int32_t>(word & 0xffffffffU), static_cast<int32_t>(word >> 32)};
}

struct Scanned {
    ClahePiece before;  // the sum of all threads before this one
    ClahePiece total;
};

__device__ Scanned scan_block(const ClahePiece& piece) {
    __shared__ uint64_t warp_sums[kWarps];
    const unsigned lane = threadIdx.x % 32;
    const unsigned warp = threadIdx.x / 32;
    const uint64_t own = packed(piece);
    uint64_t sum = own;
#pragma unroll
    for (unsigned d = 1; d < 32; d *= 2) {
        const uint64_t other = __shfl_up_sync(kAllLanes, sum, d);
        sum += lane >= d ? other : 0;
    }
    if (lane == 31) {
        warp_sums[warp] = sum;
    }
    __syncthreads();
    uint64_t before = sum - own;
    uint64_t total = 0;
#pragma unroll
    for (unsigned w = 0; w < kWarps; ++w) {
        before += w < warp ? warp_sums[w] : 0;
        total += warp_sums[w];
    }
    return {unpacked(before), unpacked(total)};
}

// Blocks are (tile, piece, image) here and in the next kernel.
__device__ __forceinline__ int64_t piece_index() {
    return (static_cast<int64_t>(blockIdx.z) * gridDim.x + blockIdx.x) * gridDim.y;
}

// What each piece holds. Only where there are several: a tile of one piece sees all of itself.
template <class P>
__global__ void __launch_bounds__(kThreads)
    pieces_kernel(const Image<const P, Device>* sources, const ClaheParams params, ClahePiece* pieces) {
    __shared__ int32_t counts[kCopies<P> * kCounters<P>];
    __shared__ TileShape tile;
    const Image<const P, Device> src = sources[blockIdx.z];
    if (src.empty()) {
        return;
    }
    if (threadIdx.x == 0) {
        tile = tile_shape(src, params);
    }
    __syncthreads();
    ThreadBins<P> bins = count_bins(src, tile, counts);
    const Scanned scanned = scan_block(clip_bins(bins, tile.clip));
    if (threadIdx.x == 0) {
        pieces[piece_index() + blockIdx.y] = scanned.total;
    }
}

template <class P>
__global__ void __launch_bounds__(kThreads)
    tables_kernel(const Image<const P, Device>* sources, const ClaheParams params, const ClahePiece* pieces,
                  P* tables) {
    __shared__ int32_t counts[kCopies<P> * kCounters<P>];
    __shared__ TileShape tile;
    const Image<const P, Device> src = sources[blockIdx.z];
    if (src.empty()) {
        return;
    }
    if (threadIdx.x == 0) {
        tile = tile_shape(src, params);
    }
    __syncthreads();
    ThreadBins<P> bins = count_bins(src, tile, counts);
    const Scanned scanned = scan_block(clip_bins(bins, tile.clip));
    int32_t cumulative = scanned.before.kept;
    int32_t cut_off = scanned.total.cut_off;
    if constexpr (kClahePieces < P >> 1) {
        cut_off = 0;
        for (int p = 0; p < kClahePieces<P>; ++p) {
            const ClahePiece piece = pieces[piece_index() + p];
            cumulative += p < static_cast<int>(blockIdx.y) ? piece.kept : 0;
            cut_off += piece.cut_off;
        }
    }
    const ClaheSpread<kClaheBins<P>> spread(cut_off);
    const int32_t first =
        static_cast<int32_t>(blockIdx.y) * kClahePieceBins<P> + static_cast<int32_t>(threadIdx.x) * kThreadBins<P>;
    P* table = tables + piece_index() * kClahePieceBins<P> + first;
    const auto entry = [&](int32_t bin) {
        return clahe_lut_value<P>(cumulative + spread.share * (bin + 1) + spread.extras(bin), tile.lut_scale);
    };
    if constexpr (kThreadBins<P> == 1) {
        cumulative += bins.count[0];
        *table = entry(first);
    } else {
        constexpr int kPixels = kVectorPixels<P>;
#pragma unroll
        for (int k = 0; k < kThreadBins<P>; k += kPixels) {
            PixelVector<P, kPixels> entries;
#pragma unroll
            for (int i = 0; i < kPixels; ++i) {
                cumulative += bins.count[k + i];
                entries.set(i, entry(first + k + i));
            }
            store_vector(table, k, kThreadBins<P>, true, entries);
        }
    }
}

template <class P>
void make_tables(const Stream& stream, const Batch<const P, Device>& src, const ClaheParams& params, ClahePiece* pieces,
                 P* tables) {
    dim3 grid(static_cast<unsigned>(params.tiles_x * params.tiles_y), 1, static_cast<unsigned>(src.count));
    if constexpr (kClahePieces < P >> 1) {
        if (stream.device().shared_bytes_per_block >= static_cast<int64_t>(kHalvesBytes + sizeof(HalvesShared)) &&
            clahe_counts_in_halves(src.max_height, src.max_width, params)) {
            Launch{grid, dim3(kHalvesThreads), stream, kHalvesBytes}(halves_kernel, src.images, params, tables);
            return;
        }
        grid.y = kClahePieces<P>;
        Launch{grid, dim3(kThreads), stream}(pieces_kernel<P>, src.images, params, pieces);
    }
    Launch{grid, dim3(kThreads), stream}(tables_kernel<P>, src.images, params, pieces, tables);
}

}  // namespace

template <class P>
void clahe(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, const ClaheParams& params,
           Bytes<Device> scratch) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    expects(params.tiles_x >= 1 && params.tiles_y >= 1, "there must be at least one tile each way");
    expects(src.count == 0 || scratch.size >= clahe_scratch_bytes<P>(params, src.count), "scratch is too small");
    const int64_t tiles = params.tiles_x * params.tiles_y;
    ScratchCursor cursor(scratch);
    auto* pieces = cursor.template take<ClahePiece>(src.count * tiles * kClahePieces<P>);
    P* tables = cursor.template take<P>(src.count * tiles * kClaheBins<P>);
    const auto images = static_cast<unsigned>(src.count);
    make_tables(stream, src, params, pieces, tables);
    // One block is enough for a cell of a network's input; full-size radiographs have few cells and large ones.
    constexpr int64_t kBlockRows = 64;
    const dim3 cells(static_cast<unsigned>((params.tiles_x + 1) * (params.tiles_y + 1)),
                     blocks_for(ceil_div(src.max_height, params.tiles_y), kBlockRows), images);
    Launch{cells, dim3(kThreads), stream}(blend_kernel<P>, src.images, dst.images, params, tables);
}

template void clahe(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, const ClaheParams&, Bytes<Device>);
template void clahe(Stream&, Batch<const uint16_t, Device>, Batch<uint16_t, Device>, const ClaheParams&, Bytes<Device>);

}  // namespace boneage

// CLAHE's tables of 16-bit pixels, from counters of 16 bits: all 65,536 of a tile, two in a word, fill 128 KiB of a
// block's shared memory, so that one pass over the tile is enough.
//
// Counts may be larger than that. But a table depends on a bin by min(count, clip) alone, and on what was cut off
// altogether, which is the tile's area less what the bins keep. A thread therefore reads a pixel's counter first and
// adds to it only while it is below the clip; where nothing is clipped, the tile's area does as a clip. What the bins
// keep is then exact, in any order of threads:
// - A count up to the clip: before its last addition the counter was below the clip for whoever read it, so every pixel
//   was added.
// - A larger one: either all pixels were added, or somebody read a counter that had reached the clip, and counters
//   never fall.
// And no counter runs into its neighbour: after one has reached the clip, a thread adds to it only for pixels whose
// counter it read before. It reads kHalvesPixels counters, then adds to them, then reads the next ones; a read that
// follows an addition of the same thread to the same word sees that addition and all before it, so the pixels of no two
// such rounds of a thread can both be late. The overshoot is at most kHalvesPixels for each thread of the block:
// kClaheOvershoot, for which clahe_counts_in_halves() leaves room.
// Background, the most frequent value by far, costs a read of one address for a whole warp instead of an addition each.
#pragma once

#include "kernels/image/clahe_tile.cuh"
#include "kernels/image/float_bits.cuh"
#include "kernels/image/pixel_vectors.cuh"

namespace boneage {
namespace {

constexpr int kHalvesThreads = 1024;
constexpr int kHalvesWarps = kHalvesThreads / 32;
constexpr int kHalvesPixels = kVectorPixels<uint16_t>;
static_assert(kHalvesThreads * kHalvesPixels == kClaheOvershoot);
constexpr int32_t kHalvesBins = kClaheBins<uint16_t>;
constexpr int32_t kHalvesWords = kHalvesBins / 2;
constexpr size_t kHalvesBytes = kHalvesWords * sizeof(uint32_t);

// All shared memory that is not dynamic.
struct HalvesShared {
    TileShape tile;
    uint32_t warp_kept[kHalvesWarps];
};

// Counts those pixels get(i), i < count <= kHalvesPixels, whose bit is set in `wanted`.
template <int count, class Get>
__device__ __forceinline__ void count_halves(uint32_t* words, uint32_t ceiling, uint32_t wanted, const Get& get) {
    uint32_t seen[count];
#pragma unroll
    for (int i = 0; i < count; ++i) {
        seen[i] = load_relaxed(words + get(i) / 2);
    }
#pragma unroll
    for (int i = 0; i < count; ++i) {
        // Compared in the upper half, where the counter's neighbour does not follow.
        const uint32_t shift = ~get(i) % 2 * 16;
        if ((wanted >> i & 1U) != 0 && seen[i] << shift < ceiling << 16) {
            atomicAdd(words + get(i) / 2, 0x10000U >> shift);
        }
    }
}

// A thread's way through the aligned vectors of a tile, row after row: every kHalvesThreads-th, whatever their number
// in a row, so that all threads have equally many.
struct TileWalk {
    int32_t columns, row, column, row_step, column_step;

    // `columns_` >= 1.
    __device__ explicit TileWalk(int32_t columns_)
        : columns(columns_),
          row(static_cast<int32_t>(threadIdx.x) / columns_),
          column(static_cast<int32_t>(threadIdx.x) - row * columns_),
          row_step(kHalvesThreads / columns_),
          column_step(kHalvesThreads - row_step * columns_) {}

    __device__ __forceinline__ void advance() {
        row += row_step;
        column += column_step;
        if (column >= columns) {
            column -= columns;
            ++row;
        }
    }
};

struct TilePixels {
    PixelVector<uint16_t, kHalvesPixels> pixels;
    uint32_t wanted = 0;  // a bit for each that belongs to the tile
};

// Counts the tile's columns [left, inside), all of which the image has.
__device__ void count_inside(const Image<const uint16_t, Device>& src, const TileShape& tile, int32_t inside,
                             uint32_t* words, uint32_t ceiling) {
    // Vectors on their way from memory while those before them are counted.
    constexpr int kAhead = 2;
    const bool vectors = vector_rows<kHalvesPixels>(src);
    const int32_t first = tile.left / kHalvesPixels;
    const auto height = static_cast<int32_t>(src.height);
    TileWalk walk(static_cast<int32_t>(ceil_div(inside, kHalvesPixels)) - first);
    const auto load = [&](TilePixels(&few)[kAhead]) {
#pragma unroll
        for (int k = 0; k < kAhead; ++k) {
            few[k] = {};
            const int32_t y = tile.top + walk.row;
            if (y < tile.bottom) {
                const int32_t x = (first + walk.column) * kHalvesPixels;
                const int64_t row = y < height ? y : reflect_101(y, height);
                few[k].pixels = load_vector<kHalvesPixels>(src.row(row), x, src.width, vectors);
                const int32_t before = tile.left > x ? tile.left - x : 0;
                const int32_t behind = x + kHalvesPixels > inside ? x + kHalvesPixels - inside : 0;
                few[k].wanted = 0xffU << before & 0xffU >> behind;
            }
            walk.advance();
        }
    };
    TilePixels current[kAhead];
    TilePixels next[kAhead];
    load(current);
    while (current[0].wanted != 0) {
        load(next);
#pragma unroll
        for (int k = 0; k < kAhead; ++k) {
            count_halves<kHalvesPixels>(words, ceiling, current[k].wanted,
                                        [&](int i) { return uint32_t{current[k].pixels.get(i)}; });
            current[k] = next[k];
        }
    }
}

__device__ __forceinline__ void count_tile_in_halves(const Image<const uint16_t, Device>& src, const TileShape& tile,
                                                     uint32_t* words, uint32_t ceiling) {
    const auto inside = static_cast<int32_t>(clamp<int64_t>(src.width, tile.left, tile.right));
    if (inside > tile.left) {
        count_inside(src, tile, inside, words, ceiling);
    }
    if (inside < tile.right) {
        const auto lane = static_cast<int32_t>(threadIdx.x % 32);
        const auto warp = static_cast<int32_t>(threadIdx.x / 32);
        for (int32_t y = tile.top + warp; y < tile.bottom; y += kHalvesWarps) {
            const uint16_t* row = src.row(reflect_101(y, src.height));
            for (int32_t x = inside + lane; x < tile.right; x += 32) {
                const uint32_t pixel = row[reflect_101(x, src.width)];
                count_halves<1>(words, ceiling, 1, [pixel](int) { return pixel; });
            }
        }
    }
}

// How counters become a table: a warp takes 2,048 bins, 256 at a time, of which a lane takes 8. Both its counters and
// its entries are then 16 bytes beside those of its neighbours: no two lanes meet at a bank, and stores are of whole
// lines.
constexpr int kLaneBins = 8;
constexpr int kChunkBins = 32 * kLaneBins;
constexpr int kChunks = kHalvesBins / kHalvesWarps / kChunkBins;

__device__ __forceinline__ int32_t first_bin(int chunk) {
    const auto lane = static_cast<int32_t>(threadIdx.x % 32);
    const auto warp = static_cast<int32_t>(threadIdx.x / 32);
    return (warp * kChunks + chunk) * kChunkBins + lane * kLaneBins;
}

// The counters of kLaneBins bins as they were after clipping.
struct KeptBins {
    uint32_t word[kLaneBins / 2];

    __device__ KeptBins(const uint32_t* words, int32_t bin, uint32_t ceiling) {
        unpack(*reinterpret_cast<const uint4*>(words + bin / 2), word);
        const uint32_t both = ceiling | ceiling << 16;
#pragma unroll
        for (uint32_t& two : word) {
            two = __vminu2(two, both);
        }
    }
    [[nodiscard]] __device__ uint32_t get(int i) const {
        return i % 2 == 0 ? word[i / 2] & 0xffffU : word[i / 2] >> 16;
    }
};

// The sum of all lanes up to this one.
__device__ __forceinline__ uint32_t warp_sum_up_to(uint32_t v) {
    const unsigned lane = threadIdx.x % 32;
#pragma unroll
    for (unsigned d = 1; d < 32; d *= 2) {
        const uint32_t other = __shfl_up_sync(kAllLanes, v, d);
        v += lane >= d ? other : 0;
    }
    return v;
}

// Writes the table of a tile of `area` pixels once all of them are counted.
__device__ void write_table(const uint32_t* words, HalvesShared& shared, uint32_t area, uint32_t ceiling,
                            uint16_t* table) {
    uint32_t before[kChunks];  // what the warp's bins before this lane's keep
    uint32_t warp_kept = 0;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
        const KeptBins bins(words, first_bin(c), ceiling);
        uint32_t kept = 0;
#pragma unroll
        for (int i = 0; i < kLaneBins; ++i) {
            kept += bins.get(i);
        }
        const uint32_t sum = warp_sum_up_to(kept);
        before[c] = warp_kept + sum - kept;
        warp_kept += __shfl_sync(kAllLanes, sum, 31);
    }
    const auto warp = static_cast<int>(threadIdx.x / 32);
    if (threadIdx.x % 32 == 0) {
        shared.warp_kept[warp] = warp_kept;
    }
    __syncthreads();
    const uint32_t kept = warp_sum_up_to(shared.warp_kept[threadIdx.x % 32]);
    const uint32_t before_warp = __shfl_sync(kAllLanes, kept, warp) - warp_kept;
    const ClaheSpread<kHalvesBins> spread(static_cast<int32_t>(area - __shfl_sync(kAllLanes, kept, 31)));
    const float lut_scale = shared.tile.lut_scale;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
        const int32_t bin = first_bin(c);
        const KeptBins bins(words, bin, ceiling);
        auto cumulative = static_cast<int32_t>(before_warp + before[c]) + spread.share * bin;
        uint32_t rounded[kLaneBins];
#pragma unroll
        for (int i = 0; i < kLaneBins; ++i) {
            cumulative += static_cast<int32_t>(bins.get(i)) + spread.share;
            // clahe_lut_value(): no sum exceeds the area, so nothing but the last roundings could exceed the top value,
            // and they do not reach halfway to the next.
            rounded[i] = rounded_bits(static_cast<float>(cumulative + spread.extras(bin + i)) * lut_scale);
        }
        PixelVector<uint16_t, kLaneBins> entries;
#pragma unroll
        for (int k = 0; k < kLaneBins / 2; ++k) {
            entries.word[k] = __byte_perm(rounded[2 * k], rounded[2 * k + 1], 0x5410U);
        }
        store_vector(table + bin, 0, kLaneBins, true, entries);
    }
}

// Blocks are (tile, 1, image), with kHalvesBytes of dynamic shared memory.
__global__ void __launch_bounds__(kHalvesThreads)
    halves_kernel(const Image<const uint16_t, Device>* sources, const ClaheParams params, uint16_t* tables) {
    __shared__ HalvesShared shared;
    auto* const words = dynamic_shared<uint32_t>();
    const Image<const uint16_t, Device> src = sources[blockIdx.z];
    if (src.empty()) {
        return;
    }
    if (threadIdx.x == 0) {
        shared.tile = tile_shape(src, params);
    }
#pragma unroll
    for (int i = 0; i < kHalvesWords / 4; i += kHalvesThreads) {
        reinterpret_cast<uint4*>(words)[i + static_cast<int>(threadIdx.x)] = make_uint4(0, 0, 0, 0);
    }
    __syncthreads();
    const TileShape tile = shared.tile;
    const auto area = static_cast<uint32_t>((tile.right - tile.left) * (tile.bottom - tile.top));
    const auto clip = static_cast<uint32_t>(tile.clip);
    const uint32_t ceiling = clip > 0 && clip < area ? clip : area;
    count_tile_in_halves(src, tile, words, ceiling);
    __syncthreads();
    write_table(words, shared, area, ceiling,
                tables + (static_cast<int64_t>(blockIdx.z) * gridDim.x + blockIdx.x) * kHalvesBins);
}

}  // namespace
}  // namespace boneage

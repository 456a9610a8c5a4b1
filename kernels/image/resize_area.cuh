// Tiles of a resized image whose pixels are means over source areas: the paths `blocks` and `area` of resize.h on a
// GPU.
//
// A thread makes kAreaRows pixels of a column. It marches down the source rows below them, some at a time, and sums
// each row's pixels once, also a row that two destination rows share. It reads the words in which its pixels lie: a
// warp's lie side by side, so that memory sees every line once, and the multiprocessor's first cache few requests.
#pragma once

#include "kernels/image/pixel_vectors.cuh"
#include "kernels/image/resize_math.h"

namespace boneage {
namespace {

constexpr int kTileColumns = 128;
constexpr int kThreads = kTileColumns;
constexpr int kAreaRows = 8;
constexpr int kRowsAtOnce = 4;  // source rows whose loads a thread has under way
constexpr int kMostDown = 14;   // source rows of a pixel that is summed by words

// Where a row begins, counted in pixels from an image's first. One instruction: a product of 32 bits, which hold either
// side.
template <class P>
__device__ __forceinline__ uint64_t row_offset(const Image<const P, Device>& image, int y) {
    return static_cast<uint64_t>(static_cast<uint32_t>(y)) * static_cast<uint32_t>(image.stride);
}

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

// A column of a tile and what its rows take.
struct AreaTile {
    int64_t x, top;
    int rows;
    const Taps* down;                                 // of each row
    const float (*weights)[kMostDown + kRowsAtOnce];  // the same by source row; surplus ones weigh 0
};

// How a column sums the pixels of a source row (across), and what a destination pixel adds of a row (weighed).

// Whole scales: exact integers.
template <class P, class T>
struct BlockSum {
    using Across = uint32_t;
    using Total = T;
    int64_t block_width, block_height;

    __device__ static Total weighed(Across row, float weight) { return weight != 0 ? row : 0U; }
    __device__ P value(Total total) const { return block_mean<P>(total, block_width, block_height); }
};

// Fractional scales: float32 in the order of the contract.
template <class P>
struct AreaSum {
    using Across = float;
    using Total = float;

    __device__ static Total weighed(Across row, float weight) { return row * weight; }
    __device__ static P value(Total total) { return from_sum<P>(total); }
};

// By pixels, any number of them.

template <class P>
struct BlockPixels : BlockSum<P, uint64_t> {
    int count;

    __device__ BlockPixels(const ResizePlan& plan, const Taps& column)
        : BlockSum<P, uint64_t>{plan.block_width, plan.block_height}, count(column.count) {}
    __device__ uint32_t across(const P* pixel) const {
        uint32_t sum = 0;
#pragma unroll 4
        for (int k = 0; k < count; ++k) {
            sum += __ldg(pixel + k);
        }
        return sum;
    }
};

template <class P>
struct AreaPixels : AreaSum<P> {
    Taps taps;

    __device__ AreaPixels(const ResizePlan&, const Taps& column) : taps(column) {}
    __device__ float across(const P* pixel) const {
        float sum = static_cast<float>(__ldg(pixel)) * taps.head;
#pragma unroll 4
        for (int k = 1; k < taps.count - 1; ++k) {
            sum += static_cast<float>(__ldg(pixel + k)) * taps.middle;
        }
        return taps.count > 1 ? sum + static_cast<float>(__ldg(pixel + taps.count - 1)) * taps.tail : sum;
    }
};

template <class P, class Sum>
__device__ void march_by_pixels(const Image<const P, Device>& src, const Image<P, Device>& dst, const AreaTile& tile,
                                const Taps& column, const Sum& sum) {
    int held_row = -1;
    typename Sum::Across held{};
    for (int r = 0; r < tile.rows; ++r) {
        const Taps down = tile.down[r];
        typename Sum::Total total{};
        for (int k = 0; k < down.count; ++k) {
            const int y = down.first + k;
            if (y != held_row) {
                held_row = y;
                held = sum.across(src.row(y) + column.first);
            }
            // Floats may be negative zeros, and 0 + -0 is 0.
            const typename Sum::Total row = sum.weighed(held, down.weight(k));
            total = k == 0 ? row : total + row;
        }
        dst.at(tile.top + r, tile.x) = sum.value(total);
    }
}

// By words.

// `count` neighbouring pixels of a row, wherever in a word they begin.
template <class P, int count>
struct Window {
    static constexpr int kPerWord = 4 / static_cast<int>(sizeof(P));
    static constexpr int kWords = (count + 2 * (kPerWord - 1)) / kPerWord;
    uint32_t words[kWords];

    // `from`: the word in which the first pixel lies.
    __device__ void load(const P* from) {
#pragma unroll
        for (int i = 0; i < kWords; ++i) {
            words[i] = __ldg(reinterpret_cast<const uint32_t*>(from) + i);
        }
    }
    // Moves the first pixel, `bits` into its word, to the lowest place.
    __device__ void align(uint32_t bits) {
#pragma unroll
        for (int i = 0; i < kWords; ++i) {
            words[i] = __funnelshift_r(words[i], i + 1 < kWords ? words[i + 1] : 0U, bits);
        }
    }
    // Once aligned; i must be a constant after unrolling.
    [[nodiscard]] __device__ uint32_t pixel(int i) const {
        const auto place = static_cast<uint32_t>(i % kPerWord);
        return __byte_perm(words[i / kPerWord], 0, sizeof(P) == 1 ? 0x4440U + place : 0x4410U + 0x22U * place);
    }
};

// Surplus pixels are masked out. kMostDown rows of the most taps fit into 32 bits.
template <class P, int taps>
struct BlockWindow : BlockSum<P, uint32_t> {
    static constexpr int kWords = Window<P, taps>::kWords;
    uint32_t masks[kWords];

    __device__ BlockWindow(const ResizePlan& plan, const Taps& column)
        : BlockSum<P, uint32_t>{plan.block_width, plan.block_height} {
#pragma unroll
        for (int i = 0; i < kWords; ++i) {
            const int pixels = column.count - i * Window<P, taps>::kPerWord;
            const int bits = 8 * static_cast<int>(sizeof(P)) * pixels;
            masks[i] = bits <= 0 ? 0 : (bits >= 32 ? ~0U : (1U << bits) - 1);
        }
    }
    __device__ uint32_t across(const Window<P, taps>& window) const {
        uint32_t sum = 0;
#pragma unroll
        for (int i = 0; i < kWords; ++i) {
            const uint32_t word = window.words[i] & masks[i];
            if constexpr (sizeof(P) == 1) {
                sum += (word & 0x00ff00ffU) + (word >> 8 & 0x00ff00ffU);  // both halves of at most 8 pixels
            } else {
                sum += (word & 0xffffU) + (word >> 16);
            }
        }
        return sizeof(P) == 1 ? (sum & 0xffffU) + (sum >> 16) : sum;
    }
};

// Surplus pixels weigh 0, which leaves a sum of integers as it is. A pixel is not converted: its bits, taken for those
// of a float32, are 2^-149 of it, a denormal number. Weights are at most 1 and times 2^127, so that every product and
// sum is 2^-22 of the contract's and rounded alike.
template <class P, int taps>
struct AreaWindow : AreaSum<P> {
    float weights[taps];

    __device__ AreaWindow(const ResizePlan&, const Taps& column) {
#pragma unroll
        for (int k = 0; k < taps; ++k) {
            weights[k] = k < column.count ? column.weight(k) * 0x1p127F : 0.0F;
        }
    }
    __device__ float across(const Window<P, taps>& window) const {
        float sum = std::bit_cast<float>(window.pixel(0)) * weights[0];
#pragma unroll
        for (int k = 1; k < taps; ++k) {
            sum += std::bit_cast<float>(window.pixel(k)) * weights[k];
        }
        return sum;
    }
    __device__ static P value(float total) {
        return AreaSum<P>::value(total * 0x1p22F);
    }
};

template <int taps, class P, class Sum>
__device__ void march_by_words(const Image<const P, Device>& src, const Image<P, Device>& dst, const AreaTile& tile,
                               const Taps& column, const Sum& sum) {
    constexpr int kPerWord = Window<P, taps>::kPerWord;
    const P* const data = src.data + column.first / kPerWord * kPerWord;
    const uint32_t bits = static_cast<uint32_t>(column.first % kPerWord) * 8 * sizeof(P);
    P* out = &dst.at(tile.top, tile.x);
    int held_row = -1;
    typename Sum::Across held{};
    for (int r = 0; r < tile.rows; ++r) {
        const int first = tile.down[r].first;
        const int last = first + tile.down[r].count - 1;
        typename Sum::Total total{};
        int k = 0;
        if (first == held_row) {
            total = sum.weighed(held, tile.weights[r][k++]);
        }
        for (; first + k <= last; k += kRowsAtOnce) {
            Window<P, taps> windows[kRowsAtOnce];
#pragma unroll
            for (int i = 0; i < kRowsAtOnce; ++i) {
                const int y = first + k + i;
                windows[i].load(data + row_offset(src, y < last ? y : last));
            }
#pragma unroll
            for (int i = 0; i < kRowsAtOnce; ++i) {
                windows[i].align(bits);
                held = sum.across(windows[i]);
                total += sum.weighed(held, tile.weights[r][k + i]);
            }
        }
        held_row = last;
        *out = sum.value(total);
        out += dst.stride;
    }
}

template <int taps, template <class, int> class Sum, class P>
__device__ bool march_by_words_if_inside(const Image<const P, Device>& src, const Image<P, Device>& dst,
                                         const ResizePlan& plan, const AreaTile& tile, const Taps& column) {
    using Pixels = Window<P, taps>;
    if (column.first / Pixels::kPerWord + Pixels::kWords > src.width / Pixels::kPerWord) {
        return false;
    }
    march_by_words<taps>(src, dst, tile, column, Sum<P, taps>(plan, column));
    return true;
}

// The column whose first pixel is (tile.top, tile.x).
template <template <class, int> class ByWords, template <class> class ByPixels, class P>
__device__ void resize_area_column(const Image<const P, Device>& src, const Image<P, Device>& dst,
                                   const ResizePlan& plan, const AreaTile& tile, const Taps& column) {
    if constexpr (std::is_integral_v<P>) {
        const bool whole = plan.path == ResizePath::blocks;
        const auto most = [whole](double scale) {
            return whole ? static_cast<int>(scale + 0.5) : static_cast<int>(scale + 2);
        };
        const int taps = most(plan.x.scale);
        if (vector_rows<Window<P, 1>::kPerWord>(src) && most(plan.y.scale) <= kMostDown) {
            const bool done = taps <= 3   ? march_by_words_if_inside<3, ByWords>(src, dst, plan, tile, column)
                              : taps <= 5 ? march_by_words_if_inside<5, ByWords>(src, dst, plan, tile, column)
                              : taps <= 9
                                  ? march_by_words_if_inside<9, ByWords>(src, dst, plan, tile, column)
                                  : taps <= 13 && march_by_words_if_inside<13, ByWords>(src, dst, plan, tile, column);
            if (done) {
                return;
            }
        }
    }
    march_by_pixels(src, dst, tile, column, ByPixels<P>(plan, column));
}

// The tile whose first pixel is (top, left).
template <class P>
__device__ void resize_area_tile(const Image<const P, Device>& src, const Image<P, Device>& dst, const ResizePlan& plan,
                                 int64_t top, int64_t left) {
    __shared__ Taps down[kAreaRows];
    __shared__ float weights[kAreaRows][kMostDown + kRowsAtOnce];
    const int thread = static_cast<int>(threadIdx.x);
    const int rows = top + kAreaRows < dst.height ? kAreaRows : static_cast<int>(dst.height - top);
    if (thread < rows) {
        const Taps taps = taps_of(plan.path, plan.y, plan.block_height, top + thread, src.height);
        down[thread] = taps;
#pragma unroll 1
        for (int k = 0; k < kMostDown + kRowsAtOnce; ++k) {
            weights[thread][k] = k < taps.count ? taps.weight(k) : 0.0F;
        }
    }
    __syncthreads();
    const int64_t x = left + thread;
    if (x >= dst.width) {
        return;
    }
    const Taps column = taps_of(plan.path, plan.x, plan.block_width, x, src.width);
    const AreaTile tile{x, top, rows, down, weights};
    if (plan.path == ResizePath::area) {
        resize_area_column<AreaWindow, AreaPixels>(src, dst, plan, tile, column);
    } else if constexpr (std::is_integral_v<P>) {
        resize_area_column<BlockWindow, BlockPixels>(src, dst, plan, tile, column);
    }
}

}  // namespace
}  // namespace boneage

// Erosion and dilation of masks: an image, or a part of one, in which every pixel is 0 or the largest value.
#pragma once

#include "kernels/image/morphology.h"
#include "kernels/image/morphology_math.h"
#include "kernels/image/pixel_bits.cuh"

namespace boneage {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

// One image for each of the batch: the batch's own, or one of the same size in scratch.
template <class P>
struct Plane {
    const Image<P, Device>* images = nullptr;
    P* scratch = nullptr;
    int64_t pitch = 0;
    int64_t image_pixels = 0;

    template <class Any>
    [[nodiscard]] __device__ Image<P, Device> like(const Image<Any, Device>& image) const {
        return images != nullptr
                   ? images[blockIdx.z]
                   : Image<P, Device>(scratch + blockIdx.z * image_pixels, image.height, image.width, pitch);
    }
    Plane<const P> constant() const { return {nullptr, scratch, pitch, image_pixels}; }  // of a plane in scratch
};

// A row of the element: with windows of 2^level columns, those that begin at `first` and at `second` cover it.
struct Windows {
    int16_t first;
    int16_t second;
    int16_t level;
};

struct Element {
    int32_t width, height;
    int32_t anchor_x, anchor_y;
    int32_t last_level;
    bool rect;
    Windows rows[kTileElementRows];
};

Element element_of(const MorphologyParams& pass, Anchor anchor) {
    Element element{};
    element.width = static_cast<int32_t>(pass.width);
    element.height = static_cast<int32_t>(pass.height);
    element.anchor_x = static_cast<int32_t>(anchor.x);
    element.anchor_y = static_cast<int32_t>(anchor.y);
    element.rect = pass.shape == ElementShape::rect;
    for (int64_t i = 0; i < pass.height; ++i) {
        const ElementRow run = element_row(pass, i);
        int level = 0;
        while ((int64_t{2} << level) <= run.end - run.begin) {
            ++level;
        }
        element.rows[i] = {static_cast<int16_t>(run.begin), static_cast<int16_t>(run.end - (int64_t{1} << level)),
                           static_cast<int16_t>(level)};
        element.last_level = std::max(element.last_level, level);
    }
    return element;
}

// A block's results, one word of 32 pixels a thread.
constexpr int kBitColumns = static_cast<int>(kMaskTileColumns);
constexpr int kBitRows = static_cast<int>(kMaskTileRows);
constexpr int kBitWords = kBitColumns / kWordPixels;
static_assert(kBitWords * kBitRows == kThreads, "one word a thread");
// A row of the tile with its halo: at most 16 chunks of 16 pixels, since elements are narrower than 64. Rows lie so
// that the eight which a warp reads at once are in different banks of shared memory.
constexpr int kChunkPixels = 16;
constexpr int kRowWords = 8;
constexpr int kRowPitch = 12;
constexpr int kBitLevels = 6;  // of windows: their last shift is by half a word

int64_t bits_memory(const Element& element) {
    const int64_t rows = kBitRows + element.height - 1;
    return (element.last_level + 1) * rows * kRowPitch * static_cast<int64_t>(sizeof(uint32_t));
}

// The bits of row[x, x + 16); those of columns from `width` on are 0.
template <class P>
__device__ __forceinline__ uint32_t load_chunk(const P* row, int64_t x, int64_t width, bool vectors,
                                               uint32_t& between) {
    constexpr int kPixels = kVectorPixels<P>;
    uint32_t bits = 0;
#pragma unroll
    for (int i = 0; i < kChunkPixels; i += kPixels) {
        bits |= extreme_bits(load_vector<kPixels>(row, x + i, width, vectors), between) << i;
    }
    return bits;
}

// The tile's rows with their halo, as bits that are to spread: those of the largest value when it dilates, those of 0
// when it erodes. Returns whether all pixels are one or the other.
template <class P, bool erodes>
__device__ bool load_bits(const Image<const P, Device>& src, int64_t top, int64_t left, int rows, int chunks,
                          uint32_t* words) {
    const bool vectors = vector_rows<kVectorPixels<P>>(src);
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int64_t x = left + lane % 16 * kChunkPixels;  // of a chunk that is outside the image or begins in it
    uint32_t between = 0;
    for (int first = static_cast<int>(threadIdx.x) / 32 * 2; first < rows; first += kWarps * 2) {
        const int r = first + lane / 16;
        const int64_t y = top + r;
        uint32_t bits = 0;
        if (r < rows && lane % 16 < chunks && y >= 0 && y < src.height && x >= 0 && x < src.width) {
            bits = load_chunk(src.row(y), x, src.width, vectors, between);
            if (erodes) {
                bits = ~bits & low_bits(kChunkPixels) & low_bits(src.width - x);
            }
        }
        const uint32_t word = bits | __shfl_down_sync(kAllLanes, bits, 1) << kChunkPixels;
        if (r < rows && lane % 2 == 0) {
            words[r * kRowPitch + lane % 16 / 2] = word;
        }
    }
    return __syncthreads_or(between != 0 ? 1 : 0) == 0;
}

// Behind the rows come those of windows of 2, 4, ... columns: a bit is set where one of that many from there on is.
__device__ void widen_windows(int rows, int last_level, uint32_t* words) {
    const int column = static_cast<int>(threadIdx.x) % kRowWords;
    const int level_words = rows * kRowPitch;
    for (int first = 0; first < rows; first += kThreads / kRowWords) {
        const int r = first + static_cast<int>(threadIdx.x) / kRowWords;
        uint32_t* word = words + r * kRowPitch + column;
        uint32_t window = r < rows ? *word : 0U;
        for (int level = 0; level < last_level; ++level) {
            const uint32_t beside = __shfl_down_sync(kAllLanes, window, 1);
            window |= __funnelshift_r(window, column + 1 < kRowWords ? beside : 0U, 1U << level);
            word += level_words;
            if (r < rows) {
                *word = window;
            }
        }
    }
}

// 64 x 128 results of a block, where its tile is that of a mask: `done` says whether. Elements are of fewer than
// kBitLevels levels.
template <class P, bool erodes>
__global__ void __launch_bounds__(kThreads, 5)
    bits_kernel(const Image<const P, Device>* shapes, const Plane<const P> from, const Plane<P> to,
                const __grid_constant__ Element element, uint8_t* done) {
    uint32_t* const words = dynamic_shared<uint32_t>();
    const Image<const P, Device> src = from.like(shapes[blockIdx.z]);
    const int64_t left = static_cast<int64_t>(blockIdx.x) * kBitColumns;
    const int64_t top = static_cast<int64_t>(blockIdx.y) * kBitRows;
    if (left >= src.width || top >= src.height) {
        return;
    }
    // The tile begins where its first result's element does, or up to 15 columns before.
    const int extra = -element.anchor_x & (kChunkPixels - 1);
    const int rows = kBitRows + element.height - 1;
    const int chunks = (kBitColumns + element.width - 1 + extra + kChunkPixels - 1) / kChunkPixels;
    const bool is_mask =
        load_bits<P, erodes>(src, top - element.anchor_y, left - element.anchor_x - extra, rows, chunks, words);
    if (threadIdx.x == 0) {
        done[(static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = is_mask ? 1 : 0;
    }
    if (!is_mask) {
        return;
    }
    widen_windows(rows, element.last_level, words);
    __syncthreads();
    const int row = static_cast<int>(threadIdx.x) / kBitWords;
    const int column = static_cast<int>(threadIdx.x) % kBitWords * kWordPixels + extra;
    uint32_t result = 0;
    for (int i = 0; i < element.height; ++i) {
        const Windows windows = element.rows[i];
        const uint32_t* line = words + (windows.level * rows + row + i) * kRowPitch;
        result |= word_at(line, column + windows.first) | word_at(line, column + windows.second);
    }
    result = erodes ? ~result : result;
    // A warp has eight rows of 128 pixels; it stores four of them at once.
    constexpr int kPixels = kVectorPixels<P>;
    const Image<P, Device> dst = to.like(shapes[blockIdx.z]);
    const bool vectors = vector_rows<kPixels>(dst);
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int64_t x = left + lane % 8 * kChunkPixels;
#pragma unroll
    for (int step = 0; step < 2; ++step) {
        const int in_warp = step * 4 + lane / 8;
        const uint32_t bits =
            __shfl_sync(kAllLanes, result, in_warp * kBitWords + lane % 8 / 2) >> (lane % 2 * kChunkPixels);
        const int64_t y = top + static_cast<int64_t>(threadIdx.x) / 32 * 8 + in_warp;
        if (y < dst.height) {
#pragma unroll
            for (int i = 0; i < kChunkPixels; i += kPixels) {
                store_vector(dst.row(y), x + i, dst.width, vectors, pixels_of_bits<P, kPixels>(bits >> i));
            }
        }
    }
}

}  // namespace
}  // namespace boneage

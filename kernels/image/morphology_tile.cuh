// One erosion or dilation by an element that fits into shared memory with the pixels it meets.
#pragma once

#include "kernels/image/morphology_bits.cuh"

namespace boneage {
namespace {

// The hardware compares two 16-bit numbers at once and has nothing for bytes, so pixels of either type are worked on as
// halves of words. The halves are 32 rows apart, not neighbours: then a step to the side moves both by whole words.
constexpr int kColumns = static_cast<int>(kTileColumns);
constexpr int kHalf = static_cast<int>(kTileHalf);
constexpr int kResults = kColumns * kHalf / kThreads;  // words of one thread, one below the other

template <bool erodes>
__device__ __forceinline__ uint32_t pick(uint32_t a, uint32_t b) {
    return erodes ? __vminu2(a, b) : __vmaxu2(a, b);
}
// What lies outside the image never wins.
template <bool erodes>
constexpr uint32_t kNeutral = erodes ? 0xffffU : 0U;
template <bool erodes>
constexpr uint32_t kNeutralWord = kNeutral<erodes> * 0x10001U;

// row[x, x + 4), neutral outside the image. x is a multiple of 4.
template <bool erodes, class P>
__device__ PixelVector<P, 4> load_four(const Image<const P, Device>& src, int64_t y, int64_t x, bool vectors) {
    const bool outside = y < 0 || y >= src.height || x < 0 || x >= src.width;
    PixelVector<P, 4> four;
    if (!outside) {
        four = load_vector<4>(src.row(y), x, src.width, vectors);
    }
    if (erodes) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            if (outside || x + i >= src.width) {
                four.set(i, std::numeric_limits<P>::max());
            }
        }
    }
    return four;
}

// Brings the tile's rows and their halo into shared memory. A warp has whole rows, the same in load_rows() and
// double_windows(), so that no barrier of the block is needed between them.
template <bool erodes, class P>
__device__ void load_rows(const Image<const P, Device>& src, int64_t top, int64_t left, int rows, int pitch,
                          uint32_t* words) {
    const bool vectors = vector_rows<4>(src);
    const int lane = static_cast<int>(threadIdx.x) % 32;
    for (int r = static_cast<int>(threadIdx.x) / 32; r < rows; r += kWarps) {
        for (int c = lane * 4; c < pitch; c += 128) {
            const auto upper = load_four<erodes>(src, top + r, left + c, vectors);
            const auto lower = load_four<erodes>(src, top + r + kHalf, left + c, vectors);
            PixelVector<uint32_t, 4> four;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                four.set(i, static_cast<uint32_t>(upper.get(i)) | static_cast<uint32_t>(lower.get(i)) << 16);
            }
            *reinterpret_cast<uint4*>(words + r * pitch + c) = packed(four.word);  // pitch is whole vectors
        }
    }
}

// Every word becomes the extreme of itself and the one `step` further on: windows of twice as many columns.
template <bool erodes>
__device__ void double_windows(int rows, int pitch, int step, uint32_t* words) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    for (int r = static_cast<int>(threadIdx.x) / 32; r < rows; r += kWarps) {
        uint32_t* row = words + r * pitch;
        for (int begin = 0; begin < pitch; begin += 32) {
            const int c = begin + lane;
            uint32_t window = c < pitch ? row[c] : kNeutralWord<erodes>;
            window = pick<erodes>(window, c + step < pitch ? row[c + step] : kNeutralWord<erodes>);
            __syncwarp();  // a lane's word is another's second half
            if (c < pitch) {
                row[c] = window;
            }
        }
    }
}

// Adds the element's rows that windows of this level cover. Row i of the element meets row i + j of the tile for the
// thread's result j.
template <bool erodes>
__device__ __forceinline__ void gather(const Element& element, int level, const uint32_t* words, int pitch,
                                       uint32_t (&results)[kResults]) {
    for (int i = 0; i < element.height; ++i) {
        const Windows row = element.rows[i];
        if (row.level != level) {
            continue;
        }
        const uint32_t* first = words + i * pitch + row.first;
        const uint32_t* second = words + i * pitch + row.second;
#pragma unroll
        for (int j = 0; j < kResults; ++j) {
            results[j] = pick<erodes>(results[j], pick<erodes>(first[j * pitch], second[j * pitch]));
        }
    }
}

// The same for a rect of at least kResults rows, whose row extremes all results share: what is between the last
// result's first row and the first result's last row is common, and what is above and below grows from result to
// result. 2 * kResults rows more than the element's are read, not kResults times as many.
template <bool erodes>
__device__ __forceinline__ void gather_rect(const Element& element, const uint32_t* words, int pitch,
                                            uint32_t (&results)[kResults]) {
    const Windows window = element.rows[0];
    const auto row = [&](int i) {
        return pick<erodes>(words[i * pitch + window.first], words[i * pitch + window.second]);
    };
    uint32_t common = kNeutralWord<erodes>;
    for (int i = kResults - 1; i < element.height; ++i) {
        common = pick<erodes>(common, row(i));
    }
    uint32_t above = common;
    results[kResults - 1] = common;
#pragma unroll
    for (int j = kResults - 2; j >= 0; --j) {
        above = pick<erodes>(above, row(j));
        results[j] = above;
    }
    uint32_t below = kNeutralWord<erodes>;
#pragma unroll
    for (int j = 1; j < kResults; ++j) {
        below = pick<erodes>(below, row(element.height + j - 1));
        results[j] = pick<erodes>(results[j], below);
    }
}

// 64 x 64 results of a block, unless they are `done`, which may be null: see bits_kernel. The rows of the tile are
// doubled in place, so shared memory holds one copy only and a multiprocessor several blocks; between two doublings the
// threads take what they need of windows of that size.
template <class P, bool erodes>
__global__ void __launch_bounds__(kThreads) tile_kernel(const Image<const P, Device>* shapes, const Plane<const P> from,
                                                        const Plane<P> to, const Element element, const uint8_t* done) {
    uint32_t* const words = dynamic_shared<uint32_t>();
    const Image<const P, Device> src = from.like(shapes[blockIdx.z]);
    const int64_t left = static_cast<int64_t>(blockIdx.x) * kColumns;
    const int64_t top = static_cast<int64_t>(blockIdx.y) * (2 * kHalf);
    if (left >= src.width || top >= src.height) {
        return;
    }
    constexpr unsigned kAcross = kBitColumns / kColumns;  // tiles of this kernel in one of bits_kernel
    static_assert(kBitColumns % kColumns == 0 && kBitRows == 2 * kHalf, "whole tiles");
    const unsigned mask_tiles = (gridDim.x + kAcross - 1) / kAcross;
    if (done != nullptr &&
        done[(static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * mask_tiles + blockIdx.x / kAcross] != 0) {
        return;
    }
    // The tile begins where its first result's element does, or up to 3 columns before.
    const int extra = -element.anchor_x & 3;
    const int rows = kHalf + element.height - 1;
    const int pitch = (kColumns + element.width - 1 + extra + 3) / 4 * 4;
    load_rows<erodes>(src, top - element.anchor_y, left - element.anchor_x - extra, rows, pitch, words);
    const int column = static_cast<int>(threadIdx.x) % kColumns;
    const int first_row = static_cast<int>(threadIdx.x) / kColumns * kResults;
    const uint32_t* own = words + first_row * pitch + column + extra;
    uint32_t results[kResults];
#pragma unroll
    for (uint32_t& result : results) {
        result = kNeutralWord<erodes>;
    }
    for (int level = 0; level < element.last_level; ++level) {
        if (!element.rect) {
            __syncthreads();
            gather<erodes>(element, level, own, pitch, results);
            __syncthreads();
        }
        __syncwarp();
        double_windows<erodes>(rows, pitch, 1 << level, words);
    }
    __syncthreads();
    if (element.rect && element.height >= kResults) {
        gather_rect<erodes>(element, own, pitch, results);
    } else {
        gather<erodes>(element, element.last_level, own, pitch, results);
    }
    const Image<P, Device> dst = to.like(shapes[blockIdx.z]);
    const int64_t x = left + column;
    if (x >= dst.width) {
        return;
    }
#pragma unroll
    for (int j = 0; j < kResults; ++j) {
        const int64_t y = top + first_row + j;
        if (y < dst.height) {
            dst.at(y, x) = static_cast<P>(results[j] & 0xffffU);
        }
        if (y + kHalf < dst.height) {
            dst.at(y + kHalf, x) = static_cast<P>(results[j] >> 16);
        }
    }
}

}  // namespace
}  // namespace boneage

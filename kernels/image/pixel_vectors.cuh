// Neighbouring pixels of a row as one aligned access, and the launch geometry of kernels that map pixels one by one.
#pragma once

#include "kernels/base/launch.cuh"

#include <bit>

namespace boneage {
namespace {

// A vector's words as one value of CUDA's own vector types.
__device__ __forceinline__ uint32_t packed(const uint32_t (&w)[1]) {
    return w[0];
}
__device__ __forceinline__ uint2 packed(const uint32_t (&w)[2]) {
    return make_uint2(w[0], w[1]);
}
__device__ __forceinline__ uint4 packed(const uint32_t (&w)[4]) {
    return make_uint4(w[0], w[1], w[2], w[3]);
}
__device__ __forceinline__ void unpack(uint32_t v, uint32_t (&w)[1]) {
    w[0] = v;
}
__device__ __forceinline__ void unpack(uint2 v, uint32_t (&w)[2]) {
    w[0] = v.x;
    w[1] = v.y;
}
__device__ __forceinline__ void unpack(uint4 v, uint32_t (&w)[4]) {
    w[0] = v.x;
    w[1] = v.y;
    w[2] = v.z;
    w[3] = v.w;
}

// `count` pixels of an unsigned type or float, packed into 32-bit registers as they lie in memory. `i` must be a
// constant after unrolling: a run-time index would move the words to memory.
template <class P, int count>
struct PixelVector {
    static constexpr int kPerWord = 4 / static_cast<int>(sizeof(P));
    static constexpr int kWords = count / kPerWord;
    static_assert(count % kPerWord == 0, "whole words");
    uint32_t word[kWords] = {};
    using Access = decltype(packed(std::declval<const uint32_t (&)[kWords]>()));

    [[nodiscard]] __device__ P get(int i) const {
        if constexpr (sizeof(P) == 4) {
            return std::bit_cast<P>(word[i]);
        } else {
            return static_cast<P>(word[i / kPerWord] >> (8 * sizeof(P) * (i % kPerWord)));
        }
    }
    // Element `i` must be 0 so far.
    __device__ void set(int i, P value) {
        if constexpr (sizeof(P) == 4) {
            word[i] = std::bit_cast<uint32_t>(value);
        } else {
            word[i / kPerWord] |= static_cast<uint32_t>(value) << (8 * sizeof(P) * (i % kPerWord));
        }
    }
};

// As many pixels as the widest access holds.
template <class P>
constexpr int kVectorPixels = 16 / static_cast<int>(sizeof(P));

// Whether every `count`-th pixel of every row lies where a vector of `count` may be accessed at once.
template <int count, class P>
__device__ __forceinline__ bool vector_rows(const Image<P, Device>& image) {
    constexpr size_t kBytes = count * sizeof(P);
    return (reinterpret_cast<uintptr_t>(image.data) | static_cast<uintptr_t>(image.stride) * sizeof(P)) % kBytes == 0;
}

// The intrinsics below are one instruction whatever surrounds them, for global memory alone; a vector assigned through
// a pointer is sometimes split into words again.

// row[x, x + count), of which columns from `width` on are left alone and read as 0. `vectors` is vector_rows().
template <int count, class P>
__device__ __forceinline__ PixelVector<std::remove_const_t<P>, count> load_vector(P* row, int64_t x, int64_t width,
                                                                                  bool vectors) {
    using Pixel = std::remove_const_t<P>;
    PixelVector<Pixel, count> v;
    if (vectors && x + count <= width) {
        unpack(__ldca(reinterpret_cast<const typename PixelVector<Pixel, count>::Access*>(row + x)), v.word);
    } else {
#pragma unroll
        for (int i = 0; i < count; ++i) {
            if (x + i < width) {
                v.set(i, row[x + i]);
            }
        }
    }
    return v;
}

// Stores the columns of row[x, x + count) that lie below `width`.
template <int count, class P>
__device__ __forceinline__ void store_vector(P* row, int64_t x, int64_t width, bool vectors,
                                             const PixelVector<P, count>& v) {
    if (vectors && x + count <= width) {
        __stwb(reinterpret_cast<typename PixelVector<P, count>::Access*>(row + x), packed(v.word));
    } else {
#pragma unroll
        for (int i = 0; i < count; ++i) {
            if (x + i < width) {
                row[x + i] = v.get(i);
            }
        }
    }
}

// How a block of `threads` shares a region that is only a few vectors wide: a power of two of lanes, just enough, takes
// each row, so that most of a warp works and no index is divided.
struct RowShare {
    int lane;   // this thread's first vector
    int lanes;  // and the step to its next
    int row;    // its first row
    int rows;   // and the step to its next
};

__device__ __forceinline__ RowShare share_rows(int thread, int threads, int64_t vectors) {
    int lane_bits = 5;
    while (lane_bits > 0 && (int64_t{1} << (lane_bits - 1)) >= vectors) {
        --lane_bits;
    }
    const int lanes = 1 << lane_bits;
    return {thread & (lanes - 1), lanes, thread >> lane_bits, threads >> lane_bits};
}

// How pixels are mapped one by one: a warp takes 32 vectors side by side, a thread its vector in kMapRows rows. It
// loads them all before it stores the first, so that enough bytes are under way to fill the memory's bandwidth, also
// when the compiler must assume that source and destination overlap.
constexpr int kMapWarps = 8;
constexpr int kMapRows = 4;
constexpr int kMapTileRows = kMapWarps * kMapRows;

// The thread's column and first row; its others follow kMapWarps apart.
template <int count>
__device__ __forceinline__ int64_t map_column() {
    return (static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x) * count;
}
__device__ __forceinline__ int64_t map_row(int i) {
    return static_cast<int64_t>(blockIdx.y) * kMapTileRows + i * kMapWarps + threadIdx.y;
}

template <class T>
Launch map_launch(const Stream& stream, const Batch<T, Device>& batch, int count) {
    return {dim3(blocks_for(batch.max_width, 32 * count), blocks_for(batch.max_height, kMapTileRows),
                 static_cast<unsigned>(batch.count)),
            dim3(32, kMapWarps), stream};
}

}  // namespace
}  // namespace boneage

// Neighbouring pixels of a row as one aligned access, and the launch geometry of kernels that map pixels one by one.
#pragma once

#include "kernels/base/launch.cuh"

#include <bit>

namespace boneage {
namespace {

// `count` pixels of an unsigned type or float, packed into 32-bit registers as they lie in memory. `i` must be a
// constant after unrolling: a run-time index would move the words to memory.
template <class P, int count>
struct PixelVector {
    static constexpr int kPerWord = 4 / static_cast<int>(sizeof(P));
    static constexpr int kWords = count / kPerWord;
    static_assert(count % kPerWord == 0, "whole words");
    alignas(kWords * 4) uint32_t word[kWords] = {};

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

template <int words>
struct AccessOf;
template <>
struct AccessOf<1> {
    using Type = uint32_t;
};
template <>
struct AccessOf<2> {
    using Type = uint2;
};
template <>
struct AccessOf<4> {
    using Type = uint4;
};
template <class P, int count>
using Access = typename AccessOf<PixelVector<P, count>::kWords>::Type;

// Whether every `count`-th pixel of every row lies where a vector of `count` may be accessed at once.
template <int count, class P>
__device__ __forceinline__ bool vector_rows(const Image<P, Device>& image) {
    constexpr size_t kBytes = count * sizeof(P);
    return (reinterpret_cast<uintptr_t>(image.data) | static_cast<uintptr_t>(image.stride) * sizeof(P)) % kBytes == 0;
}

// row[x, x + count), of which columns from `width` on are left alone and read as 0. `vectors` is vector_rows().
template <int count, class P>
__device__ __forceinline__ PixelVector<std::remove_const_t<P>, count> load_vector(P* row, int64_t x, int64_t width,
                                                                                  bool vectors) {
    using Pixel = std::remove_const_t<P>;
    PixelVector<Pixel, count> v;
    if (vectors && x + count <= width) {
        *reinterpret_cast<Access<Pixel, count>*>(v.word) = *reinterpret_cast<const Access<Pixel, count>*>(row + x);
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
        *reinterpret_cast<Access<P, count>*>(row + x) = *reinterpret_cast<const Access<P, count>*>(v.word);
    } else {
#pragma unroll
        for (int i = 0; i < count; ++i) {
            if (x + i < width) {
                row[x + i] = v.get(i);
            }
        }
    }
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

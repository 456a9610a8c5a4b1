// Neighbouring channels that a thread moves at once, and launches over pixels and channels.
//
// A warp's lanes lie along channels first and along pixels with what is left, so that its accesses coalesce whatever
// the number of channels. The host picks the packet's width from addresses and strides, which a captured graph keeps:
// 16 bytes where everything is aligned, single elements elsewhere. No kernel tests alignment.
#pragma once

#include "kernels/base/launch.cuh"
#include "kernels/nn/activations.h"
#include "kernels/nn/convert_math.h"

#include <cstring>
#include <type_traits>

namespace boneage {
namespace {

// The widest access that moves `bytes` bytes in whole steps.
template <size_t bytes>
using AccessWord =
    std::conditional_t<bytes % 16 == 0, uint4,
                       std::conditional_t<bytes % 8 == 0, uint2,
                                          std::conditional_t<bytes % 4 == 0, uint32_t,
                                                             std::conditional_t<bytes % 2 == 0, uint16_t, uint8_t>>>>;

template <class T, int kCount>
struct Packet {
    static constexpr size_t kBytes = kCount * sizeof(T);
    using Word = AccessWord<kBytes>;
    static constexpr int kWords = static_cast<int>(kBytes / sizeof(Word));
    alignas(sizeof(Word)) T value[kCount];
};

template <int kCount, class T>
__device__ __forceinline__ Packet<T, kCount> load_packet(const T* from) {
    using P = Packet<T, kCount>;
    P packet;
#pragma unroll
    for (int i = 0; i < P::kWords; ++i) {
        reinterpret_cast<typename P::Word*>(packet.value)[i] = reinterpret_cast<const typename P::Word*>(from)[i];
    }
    return packet;
}

template <int kCount, class T>
__device__ __forceinline__ void store_packet(T* to, const Packet<T, kCount>& packet) {
    using P = Packet<T, kCount>;
#pragma unroll
    for (int i = 0; i < P::kWords; ++i) {
        reinterpret_cast<typename P::Word*>(to)[i] = reinterpret_cast<const typename P::Word*>(packet.value)[i];
    }
}

// Elements of T in 16 bytes.
template <class T>
constexpr int kFullPacket = static_cast<int>(16 / sizeof(T));

template <class T>
bool aligned_for(const T* data, int64_t count) {
    const auto bytes = static_cast<uint64_t>(count) * sizeof(T);
    return reinterpret_cast<uintptr_t>(data) % (bytes < 16 ? bytes : 16) == 0;
}

// Whether every pixel's channels are whole, aligned packets of `count`.
template <class T>
bool packets_fit(const Activations<T, Device>& a, int64_t count) {
    return a.c % count == 0 && aligned_for(a.data, count) && aligned_for(a.data + a.pixel_stride, count);
}

// A dense value as pixels of `count` channels, so that any number of channels can be moved in packets.
template <class T>
Activations<T, Device> flattened(const Activations<T, Device>& a, int64_t count) {
    return a.dense() && a.size() % count == 0 ? Activations<T, Device>(a.data, a.size() / count, 1, 1, count) : a;
}

constexpr unsigned kThreads = 256;

constexpr unsigned power_of_two_from(int64_t n, unsigned most) {
    unsigned p = 1;
    while (p < n && p < most) {
        p *= 2;
    }
    return p;
}

struct Geometry {
    dim3 grid;
    dim3 block;
};

// Threads x: packets of a pixel; threads y and blocks x: pixels; blocks y: further packets.
inline Geometry pixel_geometry(int64_t pixels, int64_t packets) {
    const unsigned across = power_of_two_from(packets, 64);
    return {dim3(blocks_for(pixels, kThreads / across), blocks_for(packets, across)), dim3(across, kThreads / across)};
}

struct PixelThread {
    int64_t pixel;
    int64_t packet;
};

__device__ __forceinline__ PixelThread pixel_thread() {
    return {static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y,
            static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x};
}

// The same for kernels that must know a pixel's row: no block spans two rows, and the one division a thread needs is
// of its block's number.
inline Geometry row_geometry(int64_t rows, int64_t width, int64_t packets) {
    const unsigned across = power_of_two_from(packets, 64);
    const unsigned along = power_of_two_from(width, kThreads / across);
    return {dim3(static_cast<unsigned>(rows) * blocks_for(width, along), blocks_for(packets, across)),
            dim3(across, along)};
}

struct RowThread {
    unsigned row;  // of all images
    int64_t x;
    int64_t packet;
};

__device__ __forceinline__ RowThread row_thread(int64_t width) {
    const unsigned blocks_per_row = blocks_for(width, blockDim.y);
    return {blockIdx.x / blocks_per_row, static_cast<int64_t>(blockIdx.x % blocks_per_row) * blockDim.y + threadIdx.y,
            static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x};
}

struct ImageRow {
    int64_t image;
    int64_t y;
};

// A 32-bit division: the 64-bit one would cost as much as a window of loads.
__device__ __forceinline__ ImageRow image_row(unsigned row, int64_t height) {
    const unsigned image = row / static_cast<unsigned>(height);
    return {image, row - image * static_cast<unsigned>(height)};
}

}  // namespace
}  // namespace boneage

// Sums of a block's 256 threads in the order that contracts call halving: i += i + 128, then + 64 ... + 1.
#pragma once

#include "kernels/nn/packet.cuh"

namespace boneage {
namespace {

// Halves the threads' sums; the totals are valid in the whole block. A warp for each sum: its lanes add what lies 128,
// 64 and 32 threads apart by themselves, the rest is a tree of shuffles. To be called once a kernel: another call would
// reuse the shared memory while threads still read it.
template <int kSums>
__device__ void halve(const double (&sums)[kSums], double (&totals)[kSums]) {
    constexpr int kLanes = static_cast<int>(kThreads);
    static_assert(kSums <= kLanes / 32);
    __shared__ double lanes[kSums][kLanes];
    __shared__ double halved[kSums];
#pragma unroll
    for (int s = 0; s < kSums; ++s) {
        lanes[s][threadIdx.x] = sums[s];
    }
    __syncthreads();
    const unsigned warp = threadIdx.x / 32;
    const unsigned lane = threadIdx.x % 32;
    if (warp < kSums) {
        double part[kLanes / 32];
#pragma unroll
        for (int i = 0; i < kLanes / 32; ++i) {
            part[i] = lanes[warp][lane + 32 * i];
        }
#pragma unroll
        for (int half = kLanes / 64; half >= 1; half /= 2) {
#pragma unroll
            for (int i = 0; i < half; ++i) {
                part[i] += part[i + half];
            }
        }
        part[0] = warp_sum(part[0]);
        if (lane == 0) {
            halved[warp] = part[0];
        }
    }
    __syncthreads();
#pragma unroll
    for (int s = 0; s < kSums; ++s) {
        totals[s] = halved[s];
    }
}

}  // namespace
}  // namespace boneage

// The GPU's body of the sums that pixel_sums.h defines.
#pragma once

#include "kernels/nn/packet.cuh"
#include "kernels/nn/pixel_sums.h"

namespace boneage {
namespace {

// A thread is one of the 16 pixel lanes of a packet of channels: threads x are packets, y lanes, z further chunks where
// few channels would leave the block small. Lanes meet once, in shared memory, where a thread halves the lanes of one
// channel by itself: one barrier instead of four.
//   terms.begin<kCount>(first, channel)                 what the terms of these channels share, kept in registers
//   terms.add<kCount>(shared, pixel, channel, sums)     adds a pixel's terms to sums[kSums][kCount]
//   terms.finish(first, count, channel, sums, totals)   as on the CPU
template <int kSums, int kCount, class Terms>
__global__ void __launch_bounds__(kThreads)
    chunk_sums_kernel(Terms terms, int64_t pixels, int64_t channels, double* partials) {
    const int64_t chunk = static_cast<int64_t>(blockIdx.x) * blockDim.z + threadIdx.z;
    const int64_t first = chunk * kChunkPixels;
    const int64_t end = min(first + kChunkPixels, pixels);
    const unsigned width = blockDim.x * kCount;  // channels of the block
    const int64_t left = static_cast<int64_t>(blockIdx.y) * width;
    const int64_t channel = left + threadIdx.x * kCount;
    float sums[kSums][kCount] = {};
    if (first < pixels && channel < channels) {
        const auto common = terms.template begin<kCount>(first, channel);
#pragma unroll 4
        for (int64_t p = first + threadIdx.y; p < end; p += kPixelLanes) {
            terms.template add<kCount>(common, p, channel, sums);
        }
    }
    // [chunk of the block][sum][lane][channel]
    float* lanes = dynamic_shared<float>() + threadIdx.z * kSums * kPixelLanes * width;
#pragma unroll
    for (int s = 0; s < kSums; ++s) {
        Packet<float, kCount> packet;
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            packet.value[i] = sums[s][i];
        }
        store_packet(lanes + (s * kPixelLanes + threadIdx.y) * width + threadIdx.x * kCount, packet);
    }
    __syncthreads();
    for (unsigned k = threadIdx.y * blockDim.x + threadIdx.x; k < width; k += kPixelLanes * blockDim.x) {
        if (first >= pixels || left + k >= channels) {
            break;
        }
        float halved[kSums];
        double totals[kSums];
#pragma unroll
        for (int s = 0; s < kSums; ++s) {
            float lane[kPixelLanes];
#pragma unroll
            for (int l = 0; l < kPixelLanes; ++l) {
                lane[l] = lanes[(s * kPixelLanes + l) * width + k];
            }
#pragma unroll
            for (int half = kPixelLanes / 2; half >= 1; half /= 2) {
#pragma unroll
                for (int l = 0; l < half; ++l) {
                    lane[l] += lane[l + half];
                }
            }
            halved[s] = lane[0];
        }
        terms.finish(first, end - first, left + k, halved, totals);
#pragma unroll
        for (int s = 0; s < kSums; ++s) {
            partials[(chunk * kSums + s) * channels + left + k] = totals[s];
        }
    }
}

constexpr int kTotalChannels = 16;  // of a block: 128-byte reads of float64, and a warp to halve each channel

template <int kSums, class Finish>
__global__ void __launch_bounds__(kTotalChannels* kChunkLanes)
    channel_totals_kernel(const double* partials, int64_t chunks, int64_t channels, Finish finish) {
    // One column more than needed, so that a warp that reads a column meets every bank.
    __shared__ double lanes[kSums][kChunkLanes][kTotalChannels + 1];
    const int64_t left = static_cast<int64_t>(blockIdx.x) * kTotalChannels;
    double sums[kSums] = {};
    if (left + threadIdx.x < channels) {
#pragma unroll 4
        for (int64_t chunk = threadIdx.y; chunk < chunks; chunk += kChunkLanes) {
#pragma unroll
            for (int s = 0; s < kSums; ++s) {
                sums[s] += partials[(chunk * kSums + s) * channels + left + threadIdx.x];
            }
        }
    }
#pragma unroll
    for (int s = 0; s < kSums; ++s) {
        lanes[s][threadIdx.y][threadIdx.x] = sums[s];
    }
    __syncthreads();
    const unsigned thread = threadIdx.y * kTotalChannels + threadIdx.x;
    const unsigned lane = thread % kChunkLanes;
    const int64_t channel = left + thread / kChunkLanes;
    double totals[kSums];
#pragma unroll
    for (int s = 0; s < kSums; ++s) {
        totals[s] = warp_sum(lanes[s][lane][thread / kChunkLanes]);  // lane 0 gets the contract's halving
    }
    if (lane == 0 && channel < channels) {
        finish(channel, totals);
    }
}

// `packets`: whether the values the terms read can be loaded in packets of kCount channels.
template <int kSums, int kCount, class Terms, class Finish>
void pixel_sums(const Stream& stream, int64_t pixels, int64_t channels, bool packets, const Terms& terms,
                double* partials, const Finish& finish) {
    const auto launch = [&](auto count) {
        const unsigned across = power_of_two_from(ceil_div(channels, count), kThreads / kPixelLanes);
        const unsigned deep = std::max(1U, kThreads / 2 / (across * kPixelLanes));
        const dim3 grid(blocks_for(pixel_chunks(pixels), deep), blocks_for(channels, int64_t{across} * count));
        const dim3 block(across, kPixelLanes, deep);
        const size_t shared_bytes = sizeof(float) * kSums * block.x * block.y * block.z * static_cast<size_t>(count);
        Launch{grid, block, stream, shared_bytes}(chunk_sums_kernel<kSums, decltype(count)::value, Terms>, terms,
                                                  pixels, channels, partials);
    };
    if (packets) {
        launch(std::integral_constant<int, kCount>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
    Launch{dim3(blocks_for(channels, kTotalChannels)), dim3(kTotalChannels, kChunkLanes), stream}(
        channel_totals_kernel<kSums, Finish>, partials, pixel_chunks(pixels), channels, finish);
}

}  // namespace
}  // namespace boneage

// Sums over the pixels of every channel in one order for both twins: the body that reduce.h and batch_norm.h share.
//
// The order, which depends on the number of pixels alone:
//   - pixels, in row order over all images, are cut into chunks of 512, the last one shorter;
//   - pixel j of a chunk is added, in rising j, to partial sum j mod 16, in float32;
//   - a chunk's 16 partial sums are halved (i += i + 8, then + 4, + 2, + 1) in float32 and become float64;
//   - chunk q is added, in rising q, to partial sum q mod 32, and these are halved likewise, in float64.
// No float32 sum is longer than 36 additions, so the error stays near that of one rounding whatever the image's size.
#pragma once

#include "kernels/base/buffer.h"
#include "kernels/base/workers.h"

#include <algorithm>

namespace boneage {

inline constexpr int64_t kChunkPixels = 512;
inline constexpr int kPixelLanes = 16;
inline constexpr int kChunkLanes = 32;

constexpr int64_t pixel_chunks(int64_t pixels) {
    return ceil_div(pixels, kChunkPixels);
}

// For `sums` sums of every channel.
constexpr int64_t pixel_sums_scratch_bytes(int64_t pixels, int64_t channels, int64_t sums) {
    return scratch_part<double>(pixel_chunks(pixels) * channels * sums);
}

// `kSums` sums of every channel, on the CPU.
//   terms.add(first, pixel, channel, count, sums)      adds a pixel's terms of channels [channel, channel + count) to
//                                                      sums[0][0 .. count) ... sums[kSums - 1][0 .. count); `first` is
//                                                      the first pixel of the chunk
//   terms.finish(first, count, channel, sums, total)   makes float64 sums of a chunk's float32 ones
//   finish(channel, totals)                            takes the kSums totals of a channel
//   partials   room for pixel_chunks(pixels) * kSums * channels
template <int kSums, class Terms, class Finish>
void pixel_sums(Workers& workers, int64_t pixels, int64_t channels, const Terms& terms, double* partials,
                const Finish& finish) {
    constexpr int64_t kBlock = 128;  // channels: the lanes of two sums fill half of a 32 KiB first-level cache
    const int64_t chunks = pixel_chunks(pixels);
    const int64_t blocks = ceil_div(channels, kBlock);
    workers.parallel_for(chunks * blocks, 1, [&](int64_t begin, int64_t end) {
        alignas(64) float lanes[kSums][kPixelLanes][kBlock];
        for (int64_t task = begin; task < end; ++task) {
            const int64_t chunk = task / blocks;
            const int64_t channel = task % blocks * kBlock;
            const int64_t count = std::min(kBlock, channels - channel);
            const int64_t first = chunk * kChunkPixels;
            const int64_t length = std::min(kChunkPixels, pixels - first);
            std::fill(&lanes[0][0][0], &lanes[0][0][0] + kSums * kPixelLanes * kBlock, 0.0F);
            for (int64_t j = 0; j < length; ++j) {
                float* sums[kSums];
                for (int s = 0; s < kSums; ++s) {
                    sums[s] = lanes[s][j % kPixelLanes];
                }
                terms.add(first, first + j, channel, count, sums);
            }
            for (auto& sum : lanes) {
                for (int half = kPixelLanes / 2; half >= 1; half /= 2) {
                    for (int lane = 0; lane < half; ++lane) {
                        for (int64_t k = 0; k < count; ++k) {
                            sum[lane][k] += sum[lane + half][k];
                        }
                    }
                }
            }
            for (int64_t k = 0; k < count; ++k) {
                float sums[kSums];
                double totals[kSums];
                for (int s = 0; s < kSums; ++s) {
                    sums[s] = lanes[s][0][k];
                }
                terms.finish(first, length, channel + k, sums, totals);
                for (int s = 0; s < kSums; ++s) {
                    partials[(chunk * kSums + s) * channels + channel + k] = totals[s];
                }
            }
        }
    });
    workers.parallel_for(channels, 8, [&](int64_t begin, int64_t end) {
        for (int64_t channel = begin; channel < end; ++channel) {
            double lanes[kSums][kChunkLanes] = {};
            for (int64_t chunk = 0; chunk < chunks; ++chunk) {
                for (int s = 0; s < kSums; ++s) {
                    lanes[s][chunk % kChunkLanes] += partials[(chunk * kSums + s) * channels + channel];
                }
            }
            double totals[kSums];
            for (int s = 0; s < kSums; ++s) {
                for (int half = kChunkLanes / 2; half >= 1; half /= 2) {
                    for (int lane = 0; lane < half; ++lane) {
                        lanes[s][lane] += lanes[s][lane + half];
                    }
                }
                totals[s] = lanes[s][0];
            }
            finish(channel, totals);
        }
    });
}

}  // namespace boneage

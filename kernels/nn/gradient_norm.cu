#include "kernels/nn/gradient_norm.h"
#include "kernels/nn/gradient_norm_math.h"
#include "kernels/nn/halve.cuh"

namespace boneage {
namespace {

// A thread keeps four neighbouring lanes, which is what a 16-byte load brings.
constexpr int kLanesEach = 4;
static_assert(kThreads * kLanesEach == kNormLanes && kThreads == kChunkSumLanes);

// A block for each chunk; 16-byte loads where kCount is 4. A full chunk's loads are all under way together.
template <int kCount>
__global__ void __launch_bounds__(kThreads) chunk_sums_kernel(const float* gradients, int64_t size, double* sums) {
    const int64_t first = blockIdx.x * kNormChunk + threadIdx.x * kLanesEach;
    double lanes[kLanesEach] = {};
    if (blockIdx.x * kNormChunk + kNormChunk <= size) {
#pragma unroll
        for (int64_t row = 0; row < kNormChunk; row += kNormLanes) {
#pragma unroll
            for (int k = 0; k < kLanesEach; k += kCount) {
                const Packet<float, kCount> packet = load_packet<kCount>(gradients + first + row + k);
#pragma unroll
                for (int i = 0; i < kCount; ++i) {
                    lanes[k + i] += squared(packet.value[i]);
                }
            }
        }
    } else {
        for (int64_t row = first; row < size; row += kNormLanes) {
#pragma unroll
            for (int k = 0; k < kLanesEach; ++k) {
                lanes[k] += row + k < size ? squared(gradients[row + k]) : 0.0;
            }
        }
    }
    double totals[kLanesEach];
    halve(lanes, totals);
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = (totals[0] + totals[2]) + (totals[1] + totals[3]);
    }
}

// One block.
__global__ void __launch_bounds__(kThreads)
    clipping_kernel(const double* sums, int64_t chunks, double max_norm, GradientNorm* norm) {
    double lane[1] = {};
    for (int64_t chunk = threadIdx.x; chunk < chunks; chunk += kThreads) {
        lane[0] += sums[chunk];
    }
    double total[1];
    halve(lane, total);
    if (threadIdx.x == 0) {
        *norm = clipping(total[0], max_norm);
    }
}

// Where nothing is clipped no gradient is touched.
template <int kCount>
__global__ void __launch_bounds__(kThreads) scale_kernel(const GradientNorm* norm, float* gradients, int64_t size) {
    const float factor = norm->factor;
    if (factor == 1.0F) {
        return;
    }
    const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kCount;
    if (begin + kCount <= size) {
        Packet<float, kCount> packet = load_packet<kCount>(gradients + begin);
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            packet.value[i] *= factor;
        }
        store_packet(gradients + begin, packet);
        return;
    }
    for (int64_t i = begin; i < size; ++i) {
        gradients[i] *= factor;
    }
}

}  // namespace

void clip_gradients(Stream& stream, Tensor<float, Device> gradients, double max_norm, Tensor<GradientNorm, Device> norm,
                    Bytes<Device> scratch) {
    check_clipping(gradients, max_norm, norm, scratch);
    const int64_t chunks = norm_chunks(gradients.size());
    auto* sums = ScratchCursor<Device>(scratch).take<double>(chunks);
    const auto launch = [&](auto count) {
        constexpr int kCount = decltype(count)::value;
        const dim3 threads(kThreads);
        Launch{dim3(static_cast<unsigned>(chunks)), threads, stream}(chunk_sums_kernel<kCount>, gradients.data,
                                                                     gradients.size(), sums);
        Launch{dim3(1), threads, stream}(clipping_kernel, sums, chunks, max_norm, norm.data);
        Launch{dim3(blocks_for(gradients.size(), int64_t{kThreads} * kCount)), threads, stream}(
            scale_kernel<kCount>, norm.data, gradients.data, gradients.size());
    };
    if (aligned_for(gradients.data, kLanesEach)) {
        launch(std::integral_constant<int, kLanesEach>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

}  // namespace boneage

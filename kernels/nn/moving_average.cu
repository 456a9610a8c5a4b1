#include "kernels/nn/moving_average.h"
#include "kernels/nn/moving_average_math.h"
#include "kernels/nn/packet.cuh"

namespace boneage {
namespace {

// 12 bytes of traffic an element: bound by memory.
template <int kCount>
__global__ void __launch_bounds__(kThreads)
    moving_average_kernel(const float* decay, const float* values, float* average, int64_t size) {
    const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kCount;
    const float share = *decay;
    if (begin + kCount <= size) {
        const Packet<float, kCount> value = load_packet<kCount>(values + begin);
        Packet<float, kCount> mean = load_packet<kCount>(average + begin);
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            mean.value[i] = averaged(share, mean.value[i], value.value[i]);
        }
        store_packet(average + begin, mean);
        return;
    }
    for (int64_t i = begin; i < size; ++i) {
        average[i] = averaged(share, average[i], values[i]);
    }
}

}  // namespace

void moving_average(Stream& stream, Tensor<const float, Device> decay, Tensor<const float, Device> values,
                    Tensor<float, Device> average) {
    check_moving_average(decay, values, average);
    const auto launch = [&](auto count) {
        Launch{dim3(blocks_for(values.size(), int64_t{kThreads} * count)), dim3(kThreads), stream}(
            moving_average_kernel<decltype(count)::value>, decay.data, values.data, average.data, values.size());
    };
    constexpr int kFull = kFullPacket<float>;
    if (aligned_for(values.data, kFull) && aligned_for(average.data, kFull)) {
        launch(std::integral_constant<int, kFull>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

}  // namespace boneage

#include "kernels/nn/adam.h"
#include "kernels/nn/adam_math.h"
#include "kernels/nn/packet.cuh"

namespace boneage {
namespace {

// The powers take some hundred float64 instructions: once here, not once a weight.
__global__ void begin_step_kernel(AdamState* state) {
    begin_step(*state);
}

// 28 bytes of traffic a weight and little arithmetic: bound by memory. A thread has four 16-byte loads under way.
template <int kCount>
__global__ void __launch_bounds__(kThreads) adam_kernel(const AdamState* state, float* weights, const float* gradients,
                                                        float* first_moment, float* second_moment, int64_t size) {
    const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kCount;
    const AdamFactors factors = state->factors;
    if (begin + kCount <= size) {
        const Packet<float, kCount> gradient = load_packet<kCount>(gradients + begin);
        Packet<float, kCount> weight = load_packet<kCount>(weights + begin);
        Packet<float, kCount> m = load_packet<kCount>(first_moment + begin);
        Packet<float, kCount> v = load_packet<kCount>(second_moment + begin);
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            adam_weight(factors, gradient.value[i], weight.value[i], m.value[i], v.value[i]);
        }
        store_packet(weights + begin, weight);
        store_packet(first_moment + begin, m);
        store_packet(second_moment + begin, v);
        return;
    }
    for (int64_t i = begin; i < size; ++i) {
        adam_weight(factors, gradients[i], weights[i], first_moment[i], second_moment[i]);
    }
}

}  // namespace

void adam(Stream& stream, Tensor<AdamState, Device> state, Tensor<float, Device> weights,
          Tensor<const float, Device> gradients, Tensor<float, Device> first_moment,
          Tensor<float, Device> second_moment) {
    check_adam(state, weights, gradients, first_moment, second_moment);
    Launch{dim3(1), dim3(1), stream}(begin_step_kernel, state.data);
    const auto launch = [&](auto count) {
        Launch{dim3(blocks_for(weights.size(), int64_t{kThreads} * count)), dim3(kThreads), stream}(
            adam_kernel<decltype(count)::value>, state.data, weights.data, gradients.data, first_moment.data,
            second_moment.data, weights.size());
    };
    constexpr int kFull = kFullPacket<float>;
    if (aligned_for(weights.data, kFull) && aligned_for(gradients.data, kFull) &&
        aligned_for(first_moment.data, kFull) && aligned_for(second_moment.data, kFull)) {
        launch(std::integral_constant<int, kFull>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

}  // namespace boneage

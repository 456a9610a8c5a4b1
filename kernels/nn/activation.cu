#include "kernels/nn/activation.h"
#include "kernels/nn/activation_math.h"
#include "kernels/nn/packet.cuh"

namespace boneage {
namespace {

struct Relu {
    __device__ float operator()(float value) const { return relu_value(value); }
};
struct Sigmoid {
    __device__ float operator()(float value) const { return sigmoid_value(value); }
};

// A packet a thread; the last one may be cut. src and dst may be the same memory: a thread reads what it writes.
template <class Op, class T, int kCount>
__global__ void __launch_bounds__(kThreads) map_kernel(const T* src, T* dst, int64_t size) {
    const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kCount;
    if (begin + kCount <= size) {
        Packet<T, kCount> packet = load_packet<kCount>(src + begin);
#pragma unroll
        for (T& value : packet.value) {
            value = from_float<T>(Op{}(to_float(value)));
        }
        store_packet(dst + begin, packet);
        return;
    }
    for (int64_t i = begin; i < size; ++i) {
        dst[i] = from_float<T>(Op{}(to_float(src[i])));
    }
}

// As map_kernel, of two values.
template <class T, int kCount>
__global__ void __launch_bounds__(kThreads) relu_backward_kernel(const T* d_dst, const T* dst, T* d_src, int64_t size) {
    const int64_t begin = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kCount;
    if (begin + kCount <= size) {
        Packet<T, kCount> gradient = load_packet<kCount>(d_dst + begin);
        const Packet<T, kCount> y = load_packet<kCount>(dst + begin);
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            gradient.value[i] = from_float<T>(relu_gradient(to_float(gradient.value[i]), to_float(y.value[i])));
        }
        store_packet(d_src + begin, gradient);
        return;
    }
    for (int64_t i = begin; i < size; ++i) {
        d_src[i] = from_float<T>(relu_gradient(to_float(d_dst[i]), to_float(dst[i])));
    }
}

template <class Op, class T>
void map(const Stream& stream, const Tensor<const T, Device>& src, const Tensor<T, Device>& dst) {
    expects(src.shape == dst.shape, "src and dst must have the same shape");
    const auto launch = [&](auto count) {
        Launch{dim3(blocks_for(src.size(), int64_t{kThreads} * count)), dim3(kThreads), stream}(
            map_kernel<Op, T, decltype(count)::value>, src.data, dst.data, src.size());
    };
    if (aligned_for(src.data, kFullPacket<T>) && aligned_for(dst.data, kFullPacket<T>)) {
        launch(std::integral_constant<int, kFullPacket<T>>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

}  // namespace

template <class T>
void relu(Stream& stream, Tensor<const T, Device> src, Tensor<T, Device> dst) {
    map<Relu>(stream, src, dst);
}

template <class T>
void relu_backward(Stream& stream, Tensor<const T, Device> d_dst, Tensor<const T, Device> dst,
                   Tensor<T, Device> d_src) {
    expects(d_dst.shape == dst.shape && dst.shape == d_src.shape, "d_dst, dst and d_src must have the same shape");
    const auto launch = [&](auto count) {
        Launch{dim3(blocks_for(dst.size(), int64_t{kThreads} * count)), dim3(kThreads), stream}(
            relu_backward_kernel<T, decltype(count)::value>, d_dst.data, dst.data, d_src.data, dst.size());
    };
    constexpr int kFull = kFullPacket<T>;
    if (aligned_for(d_dst.data, kFull) && aligned_for(dst.data, kFull) && aligned_for(d_src.data, kFull)) {
        launch(std::integral_constant<int, kFull>{});
    } else {
        launch(std::integral_constant<int, 1>{});
    }
}

void sigmoid(Stream& stream, Tensor<const float, Device> src, Tensor<float, Device> dst) {
    map<Sigmoid>(stream, src, dst);
}

template void relu(Stream&, Tensor<const float, Device>, Tensor<float, Device>);
template void relu(Stream&, Tensor<const bfloat16, Device>, Tensor<bfloat16, Device>);
template void relu_backward(Stream&, Tensor<const float, Device>, Tensor<const float, Device>, Tensor<float, Device>);
template void relu_backward(Stream&, Tensor<const bfloat16, Device>, Tensor<const bfloat16, Device>,
                            Tensor<bfloat16, Device>);
template void relu(Stream&, Tensor<const float16, Device>, Tensor<float16, Device>);
template void relu_backward(Stream&, Tensor<const float16, Device>, Tensor<const float16, Device>,
                            Tensor<float16, Device>);

}  // namespace boneage

#include "kernels/nn/batch_norm.h"
#include "tests/support/batch_norm_layer.h"
#include "tests/support/device_tensors.h"
#include "tests/support/thread_orders.h"

namespace boneage {
namespace {

using testing::BatchNormLayer;
using testing::DeviceTensor;
using testing::PixelLayout;

// The layer's values after a forward and a backward run on the device; the inputs are `start`'s.
template <class T>
BatchNormLayer<T> run_on_device(Stream& stream, const BatchNormLayer<T>& start, const BatchNormParams& params,
                                const PixelLayout& layout, int64_t channel_offset) {
    const PixelLayout vector{0, channel_offset};
    const DeviceTensor<T> src(stream, start.src, layout);
    const DeviceTensor<T> residual(stream, start.residual, layout);
    const DeviceTensor<T> d_dst(stream, start.d_dst, layout);
    DeviceTensor<T> dst(stream, start.dst, layout);
    DeviceTensor<T> d_src(stream, start.d_src, layout);
    DeviceTensor<T> d_residual(stream, start.d_residual, layout);
    const DeviceTensor<float> weight(stream, start.weight, vector);
    const DeviceTensor<float> bias(stream, start.bias, vector);
    DeviceTensor<float> running_mean(stream, start.running_mean, vector);
    DeviceTensor<float> running_variance(stream, start.running_variance, vector);
    DeviceTensor<float> mean(stream, start.mean, vector);
    DeviceTensor<float> inverse_deviation(stream, start.inverse_deviation, vector);
    DeviceTensor<float> d_weight(stream, start.d_weight, vector);
    DeviceTensor<float> d_bias(stream, start.d_bias, vector);
    const Buffer<std::byte, Device> memory(start.scratch_bytes());
    const Bytes<Device> scratch{memory.data(), memory.size()};
    const BatchNormChannels<Device> channels{weight.const_tensor(), bias.const_tensor(),
                                             running_mean.tensor(), running_variance.tensor(),
                                             mean.tensor(),         inverse_deviation.tensor()};
    batch_norm<T>(stream, src.const_view(), start.add ? residual.const_view() : Activations<const T, Device>(),
                  channels, dst.view(), params, scratch);
    batch_norm_backward<T>(
        stream, d_dst.const_view(), dst.const_view(), src.const_view(), channels,
        {d_src.view(), start.add ? d_residual.view() : Activations<T, Device>(), d_weight.tensor(), d_bias.tensor()},
        params, scratch);
    if (!start.add) {
        DeviceTensor<T> again(stream, start.dst, layout);
        batch_norm_again<T>(stream, src.const_view(), channels, again.view(), params);
        testing::expect_same(again.download(), dst.download(), "made again");
    }
    BatchNormLayer<T> got = start;
    got.dst = dst.download();
    got.d_src = d_src.download();
    got.d_residual = d_residual.download();
    got.running_mean = running_mean.download();
    got.running_variance = running_variance.download();
    got.mean = mean.download();
    got.inverse_deviation = inverse_deviation.download();
    got.d_weight = d_weight.download();
    got.d_bias = d_bias.download();
    return got;
}

template <class T>
class BatchNormDeviceTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(BatchNormDeviceTest, ElementTypes);

TYPED_TEST(BatchNormDeviceTest, forward_and_backward_equal_the_cpu_twin_bit_for_bit) {
    Stream stream;
    Workers workers(1);
    for (const auto& shape : {std::array<int64_t, 4>{2, 1, 1, 1}, {2, 13, 41, 3}, {1, 23, 24, 48}, {1, 2, 3, 264}}) {
        for (const bool relu : {false, true}) {
            for (const bool add : {false, true}) {
                const BatchNormParams params{1e-5, 0.1, relu};
                const BatchNormLayer<TypeParam> start(shape, add);
                BatchNormLayer<TypeParam> want = start;
                want.forward(workers, params);
                want.backward(workers, params);
                testing::in_every_thread_order([&] {
                    for (const auto& layout : testing::kPixelLayouts) {
                        run_on_device(stream, start, params, layout, layout.offset)
                            .expect_same_as(want, std::to_string(shape[3]) + " channels");
                    }
                });
            }
        }
    }
}

TYPED_TEST(BatchNormDeviceTest, many_chunks_add_up_as_on_the_cpu) {
    Stream stream;
    Workers workers(1);
    const BatchNormParams params{1e-5, 0.1, true};
    const BatchNormLayer<TypeParam> start({2, 91, 93, 2}, false);  // 34 chunks: more than the lanes that add them
    BatchNormLayer<TypeParam> want = start;
    want.forward(workers, params);
    want.backward(workers, params);
    run_on_device(stream, start, params, {}, 0).expect_same_as(want, "34 chunks");
}

}  // namespace
}  // namespace boneage

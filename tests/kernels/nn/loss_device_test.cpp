#include "kernels/nn/loss.h"
#include "tests/support/device_tensors.h"
#include "tests/support/thread_orders.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::OwnedTensor;
using testing::random_tensor;

TEST(LossDevice, absolute_error_equals_the_cpu_twin_bit_for_bit) {
    Stream stream;
    Workers workers(1);
    for (const int64_t n : {1, 2, 31, 256, 257, 1000}) {
        const std::array<int64_t, 4> shape{n, 1, 1, 1};
        const auto p = random_tensor<float>(shape, 1);
        auto t = random_tensor<float>(shape, 2);
        auto w = random_tensor<float>(shape, 3);
        for (int64_t i = 0; i < n; ++i) {
            w[i] = std::abs(w[i]);
            t[i] = i % 5 == 4 ? p[i] : t[i];
        }
        OwnedTensor<float> want_loss({1, 1, 1, 1});
        OwnedTensor<float> want(shape);
        absolute_error_loss(workers, p.tensor(), t.tensor(), w.tensor(), want_loss.tensor(), want.tensor());
        const DeviceTensor<float> predictions(stream, p);
        const DeviceTensor<float> targets(stream, t);
        const DeviceTensor<float> weights(stream, w);
        testing::in_every_thread_order([&] {
            DeviceTensor<float> loss(stream, want_loss.shape());
            DeviceTensor<float> gradient(stream, shape);
            absolute_error_loss(stream, predictions.const_tensor(), targets.const_tensor(), weights.const_tensor(),
                                loss.tensor(), gradient.tensor());
            expect_same(loss.download(), want_loss, "loss");
            expect_same(gradient.download(), want, "gradient");
        });
    }
}

template <class T>
class SegmentationLossDeviceTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(SegmentationLossDeviceTest, ElementTypes);

TYPED_TEST(SegmentationLossDeviceTest, loss_and_gradient_equal_the_cpu_twin_bit_for_bit) {
    Stream stream;
    Workers workers(1);
    HostScratch host_scratch;
    const SegmentationLossParams params{0.5F, 2, 1};
    for (const auto& shape : {std::array<int64_t, 4>{1, 1, 1, 1}, {3, 5, 7, 1}, {2, 67, 65, 1}, {259, 1, 2, 1}}) {
        auto x = random_tensor<TypeParam>(shape, 1);
        auto t = random_tensor<float>(shape, 2);
        for (int64_t i = 0; i < x.size(); ++i) {
            x[i] = testing::as(20 * to_float(x[i]), TypeParam{});
            t[i] = std::clamp(2 * t[i], 0.0F, 1.0F);
        }
        const int64_t bytes = segmentation_loss_scratch_bytes(shape[0], shape[1] * shape[2]);
        SegmentationLoss want{};
        OwnedTensor<TypeParam> want_gradient(shape);
        segmentation_loss<TypeParam>(workers, std::as_const(x).view(), std::as_const(t).view(), params, {&want, 1},
                                     want_gradient.view(), host_scratch.bytes(bytes));
        const Buffer<std::byte, Device> scratch(bytes);
        const Buffer<SegmentationLoss, Device> loss(1);
        testing::in_every_thread_order([&] {
            for (const auto& layout : testing::kPixelLayouts) {
                if (shape[0] > 3 && layout.gap > 0) {
                    continue;  // more images than a block has threads: a block each takes the CPU runner its time
                }
                const DeviceTensor<TypeParam> logits(stream, x, layout);
                const DeviceTensor<float> targets(stream, t, {layout.gap, 0});
                DeviceTensor<TypeParam> gradient(stream, shape, layout);
                segmentation_loss<TypeParam>(stream, logits.const_view(), targets.const_view(), params,
                                             {loss.data(), 1}, gradient.view(), {scratch.data(), bytes});
                SegmentationLoss got{};
                copy_to_host(stream, &got, loss.data(), sizeof(SegmentationLoss));
                stream.synchronize();
                EXPECT_EQ(got.total, want.total);
                EXPECT_EQ(got.cross_entropy, want.cross_entropy);
                EXPECT_EQ(got.dice, want.dice);
                expect_same(gradient.download(), want_gradient, "gradient");
                DeviceTensor<TypeParam> in_place(stream, x, layout);
                segmentation_loss<TypeParam>(stream, in_place.const_view(), targets.const_view(), params,
                                             {loss.data(), 1}, in_place.view(), {scratch.data(), bytes});
                expect_same(in_place.download(), want_gradient, "gradient in place");
            }
        });
    }
}

}  // namespace
}  // namespace boneage

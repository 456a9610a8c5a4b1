#include "kernels/nn/pool_backward.h"
#include "tests/support/device_tensors.h"

#include <limits>

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::kPixelLayouts;
using testing::OwnedTensor;
using testing::random_tensor;

constexpr std::array<int64_t, 4> kShapes[] = {{1, 2, 2, 1}, {2, 7, 5, 3}, {3, 9, 16, 40}, {1, 3, 70, 16}};

template <class T>
class PoolBackwardDeviceTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(PoolBackwardDeviceTest, ElementTypes);

TYPED_TEST(PoolBackwardDeviceTest, max_pool_forward_and_backward_equal_the_cpu_twin) {
    Stream stream;
    Workers workers(1);
    for (const auto& shape : kShapes) {
        auto values = random_tensor<TypeParam>(shape, 11);
        for (int64_t i = 0; i < values.size(); i += 3) {
            values[i] = testing::as(0.0F, TypeParam{});
        }
        values[values.size() / 2] = testing::as(std::numeric_limits<float>::quiet_NaN(), TypeParam{});
        const auto before = random_tensor<TypeParam>(shape, 12);
        for (const PoolParams& params : {PoolParams{3, 2, 1}, PoolParams{2, 2, 0}, PoolParams{2, 3, 1}}) {
            const std::array<int64_t, 4> pooled{shape[0], pooled_size(shape[1], params), pooled_size(shape[2], params),
                                                shape[3]};
            const auto gradient = random_tensor<TypeParam>(pooled, 13);
            OwnedTensor<TypeParam> want(pooled);
            OwnedTensor<uint8_t> want_positions(pooled);
            max_pool_with_positions<TypeParam>(workers, std::as_const(values).view(), want.view(),
                                               want_positions.view(), params);
            for (const auto& layout : kPixelLayouts) {
                const DeviceTensor<TypeParam> src(stream, values, layout);
                DeviceTensor<TypeParam> dst(stream, pooled, layout);
                DeviceTensor<uint8_t> positions(stream, pooled, layout);
                max_pool_with_positions<TypeParam>(stream, src.const_view(), dst.view(), positions.view(), params);
                expect_same(dst.download(), want, "maxima");
                expect_same(positions.download(), want_positions, "positions");
                for (const Write write : {Write::assign, Write::accumulate}) {
                    auto want_d_src = before;
                    max_pool_backward<TypeParam>(workers, gradient.view(), std::as_const(want_positions).view(),
                                                 want_d_src.view(), params, write);
                    const DeviceTensor<TypeParam> d_dst(stream, gradient, layout);
                    DeviceTensor<TypeParam> d_src(stream, before, layout);
                    max_pool_backward<TypeParam>(stream, d_dst.const_view(), positions.const_view(), d_src.view(),
                                                 params, write);
                    expect_same(d_src.download(), want_d_src, "window of " + std::to_string(params.size));
                }
            }
        }
    }
}

TYPED_TEST(PoolBackwardDeviceTest, average_gradient_equals_the_cpu_twin) {
    Stream stream;
    Workers workers(1);
    for (const auto& shape : kShapes) {
        const auto gradient = random_tensor<float>({shape[0], 1, 1, shape[3]}, 1);
        const auto before = random_tensor<TypeParam>(shape, 2);
        for (const Write write : {Write::assign, Write::accumulate}) {
            auto want = before;
            global_average_pool_backward<TypeParam>(workers, gradient.view(), want.view(), write);
            for (const auto& layout : kPixelLayouts) {
                const DeviceTensor<float> d_dst(stream, gradient, layout);
                DeviceTensor<TypeParam> d_src(stream, before, layout);
                global_average_pool_backward<TypeParam>(stream, d_dst.const_view(), d_src.view(), write);
                expect_same(d_src.download(), want, std::to_string(shape[3]) + " channels");
            }
        }
    }
}

}  // namespace
}  // namespace boneage

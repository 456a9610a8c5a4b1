#include "kernels/nn/pool.h"
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
class PoolDeviceTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(PoolDeviceTest, ElementTypes);

TYPED_TEST(PoolDeviceTest, max_pool_equals_the_cpu_twin_for_all_windows_and_slices) {
    Stream stream;
    Workers workers(1);
    for (const auto& shape : kShapes) {
        auto values = random_tensor<TypeParam>(shape, 11);
        values[values.size() / 2] = testing::as(std::numeric_limits<float>::quiet_NaN(), TypeParam{});
        values[0] = testing::as(-std::numeric_limits<float>::infinity(), TypeParam{});
        for (const PoolParams& params : {PoolParams{3, 2, 1}, PoolParams{2, 2, 0}, PoolParams{3, 1, 1}}) {
            const int64_t height = pooled_size(shape[1], params);
            const int64_t width = pooled_size(shape[2], params);
            OwnedTensor<TypeParam> want({shape[0], height, width, shape[3]});
            max_pool<TypeParam>(workers, std::as_const(values).view(), want.view(), params);
            for (const auto& layout : kPixelLayouts) {
                const DeviceTensor<TypeParam> src(stream, values, layout);
                DeviceTensor<TypeParam> dst(stream, want.shape(), layout);
                max_pool<TypeParam>(stream, src.const_view(), dst.view(), params);
                expect_same(dst.download(), want, "window of " + std::to_string(params.size));
            }
        }
    }
}

TYPED_TEST(PoolDeviceTest, global_average_equals_the_cpu_twin_bit_for_bit) {
    Stream stream;
    Workers workers(1);
    for (const auto& shape : {std::array<int64_t, 4>{1, 1, 1, 1}, {3, 7, 7, 130}, {2, 5, 3, 33}, {1, 8, 8, 64}}) {
        const auto values = random_tensor<TypeParam>(shape, 5);
        OwnedTensor<float> want({shape[0], 1, 1, shape[3]});
        global_average_pool<TypeParam>(workers, values.view(), want.view());
        for (const auto& layout : kPixelLayouts) {
            const DeviceTensor<TypeParam> src(stream, values, layout);
            DeviceTensor<float> dst(stream, want.shape(), layout);
            global_average_pool<TypeParam>(stream, src.const_view(), dst.view());
            expect_same(dst.download(), want, std::to_string(shape[3]) + " channels");
        }
    }
}

}  // namespace
}  // namespace boneage

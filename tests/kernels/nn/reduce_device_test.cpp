#include "kernels/nn/reduce.h"
#include "tests/support/device_tensors.h"
#include "tests/support/thread_orders.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::kPixelLayouts;
using testing::OwnedTensor;

template <class T>
class ReduceDeviceTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(ReduceDeviceTest, ElementTypes);

TYPED_TEST(ReduceDeviceTest, sums_of_pixels_equal_the_cpu_twin_bit_for_bit) {
    Stream stream;
    Workers workers(1);
    HostScratch host_scratch;
    for (const auto& shape : {std::array<int64_t, 4>{1, 1, 1, 1},
                              {2, 3, 5, 3},
                              {1, 16, 32, 16},
                              {2, 19, 29, 40},
                              {1, 1, 5, 300},
                              {1, 133, 131, 1},
                              {0, 3, 3, 5}}) {
        const auto values = testing::random_tensor<TypeParam>(shape, 11);
        const int64_t bytes = sum_pixels_scratch_bytes(values.view().pixels(), shape[3]);
        OwnedTensor<float> want({shape[3], 1, 1, 1});
        sum_pixels<TypeParam>(workers, values.view(), want.tensor(), host_scratch.bytes(bytes));
        const Buffer<std::byte, Device> scratch(bytes);
        testing::in_every_thread_order([&] {
            for (const auto& layout : kPixelLayouts) {
                const DeviceTensor<TypeParam> src(stream, values, layout);
                DeviceTensor<float> dst(stream, want.shape());
                sum_pixels<TypeParam>(stream, src.const_view(), dst.tensor(), {scratch.data(), bytes});
                expect_same(dst.download(), want, std::to_string(shape[3]) + " channels");
            }
        });
    }
}

}  // namespace
}  // namespace boneage

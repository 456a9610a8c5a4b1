#include "kernels/base/error.h"
#include "kernels/nn/unfold.h"
#include "tests/support/device_tensors.h"
#include "tests/support/thread_orders.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::kPixelLayouts;
using testing::OwnedTensor;

template <class T>
class UnfoldDeviceTest : public ::testing::Test {};
using SixteenBits = ::testing::Types<bfloat16, float16>;
TYPED_TEST_SUITE(UnfoldDeviceTest, SixteenBits);

TYPED_TEST(UnfoldDeviceTest, equals_the_cpu_twin_bit_for_bit) {
    Stream stream;
    Workers workers(1);
    for (const auto& [n, h, w] : {std::array<int64_t, 3>{1, 1, 8}, {2, 3, 13}, {1, 2, 300}, {3, 17, 30}}) {
        const auto values = testing::random_tensor<TypeParam>({n, h, w, 1}, 5);
        for (const UnfoldParams& params :
             {UnfoldParams{1, 1, 0}, UnfoldParams{3, 1, 1}, UnfoldParams{7, 2, 3}, UnfoldParams{8, 3, 5}}) {
            OwnedTensor<TypeParam> want({n, h, unfolded_width(w, params), kUnfoldedChannels});
            unfold_rows<TypeParam>(workers, values.view(), want.view(), params);
            testing::in_every_thread_order([&] {
                for (const auto& layout : kPixelLayouts) {
                    const DeviceTensor<TypeParam> src(stream, values, layout);
                    DeviceTensor<TypeParam> dst(stream, want.shape());
                    unfold_rows<TypeParam>(stream, src.const_view(), dst.view(), params);
                    expect_same(dst.download(), want, std::to_string(params.width) + " wide");
                }
            });
        }
    }
}

TYPED_TEST(UnfoldDeviceTest, windows_that_are_not_aligned_are_refused) {
    Stream stream;
    const DeviceTensor<TypeParam> src(stream, {1, 4, 5, 1});
    const DeviceTensor<TypeParam> dst(stream, {1, 4, 5, kUnfoldedChannels}, {0, 1});
    EXPECT_THROW((unfold_rows<TypeParam>(stream, src.const_view(), dst.view(), {3, 1, 1})), ContractError);
}

}  // namespace
}  // namespace boneage

#include "kernels/nn/activation.h"
#include "tests/support/device_tensors.h"

#include <limits>

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::OwnedTensor;

constexpr int64_t kSizes[] = {1, 3, 4, 8, 255, 1031, 4096};

// Random values of both signs, and one of everything that is special.
template <class T>
OwnedTensor<T> special_tensor(int64_t size) {
    auto tensor = testing::random_tensor<T>({size, 1, 1, 1}, 7);
    const float specials[] = {-0.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(), -200.0F};
    for (int64_t i = 0; i < std::min<int64_t>(size, std::ssize(specials)); ++i) {
        tensor[size - 1 - i] = testing::as(specials[i], T{});
    }
    return tensor;
}

template <class T>
class ActivationDeviceTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(ActivationDeviceTest, ElementTypes);

TYPED_TEST(ActivationDeviceTest, relu_equals_the_cpu_twin_aligned_or_not_and_in_place) {
    Stream stream;
    Workers workers(1);
    for (const int64_t size : kSizes) {
        const auto values = special_tensor<TypeParam>(size);
        OwnedTensor<TypeParam> want(values.shape());
        relu<TypeParam>(workers, values.tensor(), want.tensor());
        for (const int64_t offset : {0, 1, 8}) {
            const DeviceTensor<TypeParam> src(stream, values, {0, offset});
            DeviceTensor<TypeParam> dst(stream, values.shape());
            relu<TypeParam>(stream, src.const_tensor(), dst.tensor());
            expect_same(dst.download(), want, std::to_string(size) + " elements from " + std::to_string(offset));
            DeviceTensor<TypeParam> in_place(stream, values, {0, offset});
            relu<TypeParam>(stream, in_place.const_tensor(), in_place.tensor());
            expect_same(in_place.download(), want, std::to_string(size) + " elements in place");
        }
    }
}

TYPED_TEST(ActivationDeviceTest, relu_backward_equals_the_cpu_twin_aligned_or_not_and_in_place) {
    Stream stream;
    Workers workers(1);
    for (const int64_t size : kSizes) {
        const auto y = special_tensor<TypeParam>(size);
        const auto gradient = testing::random_tensor<TypeParam>(y.shape(), 8);
        OwnedTensor<TypeParam> want(y.shape());
        relu_backward<TypeParam>(workers, gradient.tensor(), y.tensor(), want.tensor());
        for (const int64_t offset : {0, 1, 8}) {
            const DeviceTensor<TypeParam> dst(stream, y, {0, offset});
            DeviceTensor<TypeParam> d_dst(stream, gradient, {0, offset});
            DeviceTensor<TypeParam> d_src(stream, y.shape());
            relu_backward<TypeParam>(stream, d_dst.const_tensor(), dst.const_tensor(), d_src.tensor());
            expect_same(d_src.download(), want, std::to_string(size) + " elements from " + std::to_string(offset));
            relu_backward<TypeParam>(stream, d_dst.const_tensor(), dst.const_tensor(), d_dst.tensor());
            expect_same(d_dst.download(), want, std::to_string(size) + " elements in place");
        }
    }
}

TEST(ActivationDevice, sigmoid_is_within_4_units_in_the_last_place_of_the_cpu_twin) {
    Stream stream;
    Workers workers(1);
    for (const int64_t size : kSizes) {
        auto values = special_tensor<float>(size);
        for (int64_t i = 0; i < size / 2; ++i) {
            values[i] *= 30;
        }
        OwnedTensor<float> want(values.shape());
        sigmoid(workers, std::as_const(values).tensor(), want.tensor());
        const DeviceTensor<float> src(stream, values, {0, size % 2});
        DeviceTensor<float> dst(stream, values.shape());
        sigmoid(stream, src.const_tensor(), dst.tensor());
        const auto got = dst.download();
        for (int64_t i = 0; i < size; ++i) {
            if (std::isnan(want[i])) {
                EXPECT_TRUE(std::isnan(got[i])) << i;
                continue;
            }
            // Both are positive, where neighbouring floats are neighbouring integers.
            const auto distance =
                static_cast<int64_t>(std::bit_cast<int32_t>(got[i])) - std::bit_cast<int32_t>(want[i]);
            EXPECT_LE(std::abs(distance), 4) << "sigmoid(" << values[i] << ") = " << got[i] << ", want " << want[i];
        }
    }
}

}  // namespace
}  // namespace boneage

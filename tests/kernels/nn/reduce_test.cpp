#include "kernels/nn/reduce.h"

#include "kernels/base/error.h"
#include "tests/support/tensors.h"

namespace boneage {
namespace {

using testing::OwnedTensor;
using testing::random_tensor;

template <class T>
class ReduceTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(ReduceTest, ElementTypes);

template <class T>
OwnedTensor<float> sums_of(int threads, const Activations<const T, Host>& src) {
    Workers workers(threads);
    HostScratch scratch;
    auto sums = random_tensor<float>({src.c, 1, 1, 1}, 1);
    sum_pixels<T>(workers, src, sums.tensor(), scratch.bytes(sum_pixels_scratch_bytes(src.pixels(), src.c)));
    return sums;
}

// The order of summation word for word as pixel_sums.h states it.
float summed_by_the_book(const std::vector<float>& values) {
    const auto halve = [](auto lanes) {
        for (size_t half = lanes.size() / 2; half >= 1; half /= 2) {
            for (size_t i = 0; i < half; ++i) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    };
    std::vector<double> chunk_lanes(32);
    for (size_t first = 0; first < values.size(); first += 512) {
        std::vector<float> lanes(16);
        for (size_t j = 0; j < 512 && first + j < values.size(); ++j) {
            lanes[j % 16] += values[first + j];
        }
        chunk_lanes[first / 512 % 32] += static_cast<double>(halve(lanes));
    }
    return static_cast<float>(halve(chunk_lanes));
}

TYPED_TEST(ReduceTest, sums_of_pixels_follow_the_stated_order_with_any_number_of_workers) {
    for (const auto& shape :
         {std::array<int64_t, 4>{1, 1, 1, 1}, {2, 3, 5, 3}, {1, 16, 32, 17}, {3, 19, 9, 200}, {2, 101, 103, 2}}) {
        const auto src = random_tensor<TypeParam>(shape, 11);
        const int64_t channels = shape[3];
        OwnedTensor<float> want({channels, 1, 1, 1});
        for (int64_t k = 0; k < channels; ++k) {
            std::vector<float> values;
            double sum = 0;
            double size = 0;
            for (int64_t p = 0; p < src.size() / channels; ++p) {
                values.push_back(to_float(src[p * channels + k]));
                sum += static_cast<double>(values.back());
                size += std::abs(static_cast<double>(values.back()));
            }
            want[k] = summed_by_the_book(values);
            EXPECT_NEAR(want[k], sum, 1e-6 * size);
        }
        for (const int threads : {1, 2, 4}) {
            expect_same(sums_of<TypeParam>(threads, src.view()), want, std::to_string(threads) + " workers");
        }
    }
}

TYPED_TEST(ReduceTest, a_slice_is_summed_as_if_it_were_dense) {
    const auto wide = random_tensor<TypeParam>({2, 20, 31, 9}, 4);
    OwnedTensor<TypeParam> slice({2, 20, 31, 4});
    for (int64_t p = 0; p < 2 * 20 * 31; ++p) {
        for (int64_t k = 0; k < 4; ++k) {
            slice[p * 4 + k] = wide[p * 9 + 3 + k];
        }
    }
    expect_same(sums_of<TypeParam>(2, wide.view().channels(3, 4)), sums_of<TypeParam>(1, std::as_const(slice).view()),
                "slice");
}

TEST(Reduce, no_pixels_sum_to_zero_and_wrong_sizes_are_refused) {
    Workers workers(1);
    const OwnedTensor<float> empty({0, 4, 4, 3});
    const auto sums = sums_of<float>(1, empty.view());
    EXPECT_EQ(sums[0] + sums[1] + sums[2], 0);
    const auto src = random_tensor<float>({1, 1, 1, 3}, 1);
    OwnedTensor<float> dst({2, 1, 1, 1});
    HostScratch scratch;
    EXPECT_THROW(sum_pixels<float>(workers, src.view(), dst.tensor(), scratch.bytes(4096)), ContractError);
    OwnedTensor<float> fitting({3, 1, 1, 1});
    EXPECT_THROW(sum_pixels<float>(workers, src.view(), fitting.tensor(), scratch.bytes(8)), ContractError);
}

}  // namespace
}  // namespace boneage

#include "kernels/nn/unfold.h"

#include "kernels/base/error.h"
#include "tests/support/tensors.h"

namespace boneage {
namespace {

using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

template <class T>
class UnfoldTest : public ::testing::Test {};
using SixteenBits = ::testing::Types<bfloat16, float16>;
TYPED_TEST_SUITE(UnfoldTest, SixteenBits);

constexpr UnfoldParams kWindows[] = {{1, 1, 0}, {3, 1, 1}, {7, 2, 3}, {8, 3, 5}, {2, 5, 9}};

TYPED_TEST(UnfoldTest, every_window_is_a_pixel) {
    for (const int threads : {1, 3}) {
        Workers workers(threads);
        for (const auto& [n, h, w] : {std::array<int64_t, 3>{1, 1, 8}, {2, 3, 13}, {3, 17, 30}}) {
            const auto src = random_tensor<TypeParam>({n, h, w, 1}, 5);
            for (const UnfoldParams& p : kWindows) {
                const int64_t width = unfolded_width(w, p);
                OwnedTensor<TypeParam> want({n, h, width, kUnfoldedChannels});
                for (int64_t row = 0; row < n * h; ++row) {
                    for (int64_t x = 0; x < width; ++x) {
                        for (int64_t j = 0; j < p.width; ++j) {
                            const int64_t from = x * p.stride + j - p.padding;
                            if (from >= 0 && from < w) {
                                want[(row * width + x) * kUnfoldedChannels + j] = src[row * w + from];
                            }
                        }
                    }
                }
                auto got = random_tensor<TypeParam>(want.shape(), 6);
                unfold_rows<TypeParam>(workers, src.view(), got.view(), p);
                expect_same(got, want, std::to_string(p.width) + " wide");
            }
        }
    }
}

TYPED_TEST(UnfoldTest, one_channel_of_several_is_unfolded_by_itself) {
    Workers workers(1);
    const auto src = random_tensor<TypeParam>({2, 3, 9, 4}, 7);
    OwnedTensor<TypeParam> alone({2, 3, 9, 1});
    for (int64_t i = 0; i < alone.size(); ++i) {
        alone[i] = src[4 * i + 2];
    }
    OwnedTensor<TypeParam> got({2, 3, 9, kUnfoldedChannels});
    OwnedTensor<TypeParam> want(got.shape());
    unfold_rows<TypeParam>(workers, src.view().channels(2, 1), got.view(), {3, 1, 1});
    unfold_rows<TypeParam>(workers, std::as_const(alone).view(), want.view(), {3, 1, 1});
    expect_same(got, want, "the third channel of four");
}

TYPED_TEST(UnfoldTest, what_does_not_fit_is_refused) {
    Workers workers(1);
    const OwnedTensor<TypeParam> src({1, 4, 5, 1});
    const OwnedTensor<TypeParam> two_channels({1, 4, 5, 2});
    OwnedTensor<TypeParam> dst({1, 4, 5, kUnfoldedChannels});
    EXPECT_NO_THROW((unfold_rows<TypeParam>(workers, src.view(), dst.view(), {3, 1, 1})));
    EXPECT_THROW((unfold_rows<TypeParam>(workers, two_channels.view(), dst.view(), {3, 1, 1})), ContractError);
    EXPECT_THROW((unfold_rows<TypeParam>(workers, src.view(), dst.view(), {3, 2, 1})), ContractError);
    EXPECT_THROW((unfold_rows<TypeParam>(workers, src.view(), dst.view(), {9, 1, 4})), ContractError);
    EXPECT_THROW((unfold_rows<TypeParam>(workers, src.view(), dst.view(), {0, 1, 0})), ContractError);
    EXPECT_THROW((unfold_rows<TypeParam>(workers, src.view(), dst.view(), {3, 0, 1})), ContractError);
    OwnedTensor<TypeParam> nothing({1, 4, 0, kUnfoldedChannels});
    EXPECT_THROW((unfold_rows<TypeParam>(workers, src.view(), nothing.view(), {8, 1, 0})), ContractError);
}

}  // namespace
}  // namespace boneage

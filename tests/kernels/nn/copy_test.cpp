#include "kernels/nn/copy.h"

#include "kernels/base/error.h"
#include "tests/support/tensors.h"

#include <limits>

namespace boneage {
namespace {

using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

template <class T>
class CopyTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(CopyTest, ElementTypes);

TYPED_TEST(CopyTest, two_copies_make_a_concatenation) {
    for (const int threads : {1, 3}) {
        Workers workers(threads);
        for (const auto& [h, w, ca, cb] : {std::array<int64_t, 4>{1, 1, 1, 1}, {5, 7, 3, 8}, {4, 4, 512, 32}}) {
            const auto a = random_tensor<TypeParam>({2, h, w, ca}, 1);
            const auto b = random_tensor<float>({2, h, w, cb}, 2);
            OwnedTensor<TypeParam> got({2, h, w, ca + cb});
            OwnedTensor<TypeParam> want({2, h, w, ca + cb});
            copy<TypeParam, TypeParam>(workers, a.view(), got.view().channels(0, ca));
            copy<float, TypeParam>(workers, b.view(), got.view().channels(ca, cb));
            for (int64_t p = 0; p < 2 * h * w; ++p) {
                for (int64_t c = 0; c < ca + cb; ++c) {
                    want[p * (ca + cb) + c] = c < ca ? a[p * ca + c] : testing::as(b[p * cb + c - ca], TypeParam{});
                }
            }
            expect_same(got, want, "concatenation");
        }
    }
}

TYPED_TEST(CopyTest, different_shapes_are_refused) {
    Workers workers(1);
    const OwnedTensor<TypeParam> src({1, 2, 2, 3});
    OwnedTensor<TypeParam> dst({1, 2, 2, 4});
    EXPECT_THROW((copy<TypeParam, TypeParam>(workers, src.view(), dst.view())), ContractError);
}

TYPED_TEST(CopyTest, depth_to_space_puts_each_group_at_its_corner) {
    for (const int threads : {1, 3}) {
        Workers workers(threads);
        for (const auto& [n, h, w, c] :
             {std::array<int64_t, 4>{1, 1, 1, 1}, {2, 3, 5, 4}, {3, 4, 2, 8}, {1, 3, 3, 16}, {2, 2, 2, 20}}) {
            const auto src = random_tensor<TypeParam>({n, h, w, 4 * c}, 9);
            auto got = random_tensor<TypeParam>({n, 2 * h, 2 * w, c + 3}, 10);
            auto want = got;
            for (int64_t i = 0; i < n; ++i) {
                for (int64_t y = 0; y < 2 * h; ++y) {
                    for (int64_t x = 0; x < 2 * w; ++x) {
                        for (int64_t k = 0; k < c; ++k) {
                            want.set(i, y, x, 2 + k, src.at(i, y / 2, x / 2, (2 * (y % 2) + x % 2) * c + k));
                        }
                    }
                }
            }
            const auto view = src.view();
            depth_to_space<TypeParam>(
                workers, {view.channels(0, c), view.channels(c, c), view.channels(2 * c, c), view.channels(3 * c, c)},
                got.view().channels(2, c));
            expect_same(got, want, std::to_string(c) + " channels");
        }
    }
}

TYPED_TEST(CopyTest, space_to_depth_undoes_depth_to_space_and_keeps_to_its_slice) {
    for (const int threads : {1, 3}) {
        Workers workers(threads);
        for (const auto& [n, h, w, c] :
             {std::array<int64_t, 4>{1, 1, 1, 1}, {2, 3, 5, 4}, {3, 4, 2, 8}, {1, 3, 3, 16}, {2, 2, 2, 20}}) {
            const auto want = random_tensor<TypeParam>({n, h, w, 4 * c}, 9);
            const auto groups = [c = c](const auto& view) {
                return std::array{view.channels(0, c), view.channels(c, c), view.channels(2 * c, c),
                                  view.channels(3 * c, c)};
            };
            auto whole = random_tensor<TypeParam>({n, 2 * h, 2 * w, c + 3}, 10);
            depth_to_space<TypeParam>(workers, groups(want.view()), whole.view().channels(2, c));
            OwnedTensor<TypeParam> got(want.shape());
            space_to_depth<TypeParam>(workers, std::as_const(whole).view().channels(2, c), groups(got.view()));
            expect_same(got, want, std::to_string(c) + " channels");
        }
    }
}

TYPED_TEST(CopyTest, add_adds_to_the_channels_of_its_slice_alone) {
    for (const int threads : {1, 3}) {
        Workers workers(threads);
        for (const auto& [h, w, c] : {std::array<int64_t, 3>{1, 1, 1}, {5, 7, 3}, {40, 41, 24}}) {
            const auto src = random_tensor<TypeParam>({2, h, w, c}, 1);
            const auto before = random_tensor<TypeParam>({2, h, w, c + 5}, 2);
            auto slice = before;
            auto want = before;
            auto dense = src;
            for (int64_t p = 0; p < 2 * h * w; ++p) {
                for (int64_t k = 0; k < c; ++k) {
                    want[p * (c + 5) + 2 + k] =
                        testing::as(to_float(before[p * (c + 5) + 2 + k]) + to_float(src[p * c + k]), TypeParam{});
                }
            }
            add<TypeParam>(workers, src.view(), slice.view().channels(2, c));
            expect_same(slice, want, "slice");
            add<TypeParam>(workers, src.view(), dense.view());
            for (int64_t i = 0; i < src.size(); ++i) {
                ASSERT_EQ(to_float(dense[i]), 2 * to_float(src[i]));
            }
        }
    }
}

TEST(Copy, rounds_to_nearest_even_and_keeps_nan_and_infinity) {
    Workers workers(2);
    const std::vector<std::pair<uint32_t, uint16_t>> cases{
        {0x3f800000U, 0x3f80}, {0x3f808000U, 0x3f80}, {0x3f818000U, 0x3f82}, {0x3f808001U, 0x3f81},
        {0x7f7fffffU, 0x7f80}, {0x7f800000U, 0x7f80}, {0xff800000U, 0xff80}, {0x7f800001U, 0x7fc0},
        {0x80000000U, 0x8000}, {0x00000001U, 0x0000}};
    const auto count = static_cast<int64_t>(cases.size());
    OwnedTensor<float> src({count, 1, 1, 1});
    for (int64_t i = 0; i < count; ++i) {
        src[i] = std::bit_cast<float>(cases[static_cast<size_t>(i)].first);
    }
    OwnedTensor<bfloat16> half(src.shape());
    copy<float, bfloat16>(workers, std::as_const(src).view(), half.view());
    OwnedTensor<float> back(src.shape());
    copy<bfloat16, float>(workers, std::as_const(half).view(), back.view());
    for (int64_t i = 0; i < count; ++i) {
        EXPECT_EQ(half[i].bits, cases[static_cast<size_t>(i)].second) << i;
        EXPECT_EQ(std::bit_cast<uint32_t>(back[i]), uint32_t{half[i].bits} << 16) << i;
    }
}

TEST(Copy, every_bfloat16_survives_the_way_there_and_back) {
    Workers workers(4);
    OwnedTensor<bfloat16> all({65536, 1, 1, 1});
    for (int64_t i = 0; i < all.size(); ++i) {
        all[i] = {static_cast<uint16_t>(i)};
    }
    OwnedTensor<float> wide(all.shape());
    OwnedTensor<bfloat16> back(all.shape());
    copy<bfloat16, float>(workers, std::as_const(all).view(), wide.view());
    copy<float, bfloat16>(workers, std::as_const(wide).view(), back.view());
    for (int64_t i = 0; i < all.size(); ++i) {
        const int want = std::isnan(wide[i]) ? all[i].bits | 0x0040 : all[i].bits;
        ASSERT_EQ(back[i].bits, want) << i;
    }
}

}  // namespace
}  // namespace boneage

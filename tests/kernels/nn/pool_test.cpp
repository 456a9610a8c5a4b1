#include "kernels/nn/pool.h"

#include "kernels/base/error.h"
#include "tests/support/tensors.h"

#include <limits>

namespace boneage {
namespace {

using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <class T>
OwnedTensor<T> naive_max_pool(const OwnedTensor<T>& src, const PoolParams& p) {
    const auto [n, h, w, c] = src.shape();
    OwnedTensor<T> dst(
        {n, (h + 2 * p.padding - p.size) / p.stride + 1, (w + 2 * p.padding - p.size) / p.stride + 1, c});
    for (int64_t i = 0; i < n; ++i) {
        for (int64_t y = 0; y < dst.shape()[1]; ++y) {
            for (int64_t x = 0; x < dst.shape()[2]; ++x) {
                for (int64_t k = 0; k < c; ++k) {
                    float best = -std::numeric_limits<float>::infinity();
                    for (int64_t v = y * p.stride - p.padding; v < y * p.stride - p.padding + p.size; ++v) {
                        for (int64_t u = x * p.stride - p.padding; u < x * p.stride - p.padding + p.size; ++u) {
                            if (v < 0 || v >= h || u < 0 || u >= w) {
                                continue;
                            }
                            const float value = src.at(i, v, u, k);
                            if (value > best || std::isnan(value)) {
                                best = value;
                            }
                        }
                    }
                    dst.set(i, y, x, k, best);
                }
            }
        }
    }
    return dst;
}

template <class T>
class PoolTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(PoolTest, ElementTypes);

TYPED_TEST(PoolTest, max_pool_equals_the_naive_loops_with_any_number_of_workers) {
    for (const int threads : {1, 2, 4}) {
        Workers workers(threads);
        for (const PoolParams& params : {PoolParams{3, 2, 1}, PoolParams{2, 2, 0}, PoolParams{3, 1, 1}}) {
            for (const auto& shape :
                 {std::array<int64_t, 4>{1, 2, 2, 1}, {2, 7, 5, 3}, {3, 9, 16, 40}, {1, 16, 1 + 15, 64}}) {
                const auto src = random_tensor<TypeParam>(shape, 11);
                const auto want = naive_max_pool(src, params);
                OwnedTensor<TypeParam> got(want.shape());
                max_pool<TypeParam>(workers, src.view(), got.view(), params);
                expect_same(got, want, "window of " + std::to_string(params.size));
            }
        }
    }
}

TYPED_TEST(PoolTest, max_pool_reads_and_writes_channel_slices) {
    Workers workers(2);
    const auto wide = random_tensor<TypeParam>({2, 6, 4, 20}, 4);
    OwnedTensor<TypeParam> slice({2, 6, 4, 9});
    for (int64_t p = 0; p < 2 * 6 * 4; ++p) {
        for (int64_t c = 0; c < 9; ++c) {
            slice[p * 9 + c] = wide[p * 20 + 7 + c];
        }
    }
    const auto pooled = naive_max_pool(slice, {2, 2, 0});
    auto got = random_tensor<TypeParam>({2, 3, 2, 12}, 5);
    auto want = got;
    for (int64_t p = 0; p < 2 * 3 * 2; ++p) {
        for (int64_t c = 0; c < 9; ++c) {
            want[p * 12 + 2 + c] = pooled[p * 9 + c];
        }
    }
    max_pool<TypeParam>(workers, wide.view().channels(7, 9), got.view().channels(2, 9), {2, 2, 0});
    expect_same(got, want, "slices");
}

TYPED_TEST(PoolTest, max_pool_of_one_pixel_with_padding_is_that_pixel) {
    Workers workers(1);
    auto src = random_tensor<TypeParam>({2, 1, 1, 5}, 3);
    OwnedTensor<TypeParam> got({2, 1, 1, 5});
    max_pool<TypeParam>(workers, std::as_const(src).view(), got.view(), {3, 2, 1});
    expect_same(got, src, "one pixel");
}

TYPED_TEST(PoolTest, max_pool_keeps_nan_and_minus_infinity) {
    Workers workers(1);
    for (int64_t where = 0; where < 4; ++where) {
        auto src = random_tensor<TypeParam>({1, 2, 2, 8}, 3);
        src.set(0, where / 2, where % 2, 2, kNan);
        for (int64_t p = 0; p < 4; ++p) {
            src.set(0, p / 2, p % 2, 5, -std::numeric_limits<float>::infinity());
        }
        OwnedTensor<TypeParam> got({1, 1, 1, 8});
        max_pool<TypeParam>(workers, std::as_const(src).view(), got.view(), {2, 2, 0});
        expect_same(got, naive_max_pool(src, {2, 2, 0}), "NaN at " + std::to_string(where));
        EXPECT_TRUE(std::isnan(got.at(0, 0, 0, 2)));
        EXPECT_EQ(got.at(0, 0, 0, 5), -std::numeric_limits<float>::infinity());
    }
}

TYPED_TEST(PoolTest, max_pool_refuses_sizes_that_do_not_belong_together) {
    Workers workers(1);
    const OwnedTensor<TypeParam> src({1, 4, 4, 2});
    OwnedTensor<TypeParam> dst({1, 2, 2, 2});
    EXPECT_THROW(max_pool<TypeParam>(workers, src.view(), dst.view(), {3, 2, 2}), ContractError);
    EXPECT_THROW(max_pool<TypeParam>(workers, src.view(), dst.view(), {5, 1, 0}), ContractError);
    EXPECT_THROW(max_pool<TypeParam>(workers, src.view(), dst.view(), {2, 1, 0}), ContractError);
}

TYPED_TEST(PoolTest, global_average_is_the_mean_of_every_channel_at_any_batch_size) {
    for (const auto& shape : {std::array<int64_t, 4>{1, 1, 1, 1}, {3, 7, 7, 512}, {2, 5, 3, 33}, {1, 8, 8, 8}}) {
        const auto src = random_tensor<TypeParam>(shape, 5);
        OwnedTensor<float> want({shape[0], 1, 1, shape[3]});
        for (int64_t n = 0; n < shape[0]; ++n) {
            for (int64_t c = 0; c < shape[3]; ++c) {
                double sum = 0;
                for (int64_t p = 0; p < shape[1] * shape[2]; ++p) {
                    sum += static_cast<double>(src.at(n, p / shape[2], p % shape[2], c));
                }
                want.set(n, 0, 0, c, static_cast<float>(sum / static_cast<double>(shape[1] * shape[2])));
            }
        }
        for (const int threads : {1, 2, 4}) {
            Workers workers(threads);
            OwnedTensor<float> got(want.shape());
            global_average_pool<TypeParam>(workers, src.view(), got.view());
            expect_same(got, want, std::to_string(shape[3]) + " channels");
        }
    }
}

}  // namespace
}  // namespace boneage

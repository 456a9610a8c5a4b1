#include "kernels/nn/pool_backward.h"

#include "kernels/base/error.h"
#include "tests/support/tensors.h"

#include <limits>

namespace boneage {
namespace {

using testing::expect_close;
using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr PoolParams kWindows[] = {{3, 2, 1}, {2, 2, 0}, {3, 1, 1}, {2, 3, 1}, {5, 2, 2}};
constexpr std::array<int64_t, 4> kShapes[] = {{1, 3, 3, 1}, {2, 7, 5, 3}, {3, 9, 16, 40}, {1, 16, 16, 64}};

// Where PyTorch's max_pool2d finds the maximum of a window: index of the pixel in its image, by the letter of its loop.
template <class T>
int64_t winner(const OwnedTensor<T>& src, const PoolParams& p, int64_t n, int64_t y, int64_t x, int64_t k) {
    const auto [images, h, w, c] = src.shape();
    int64_t index = -1;
    float best = -kInfinity;
    for (int64_t v = std::max<int64_t>(y * p.stride - p.padding, 0); v < std::min(y * p.stride - p.padding + p.size, h);
         ++v) {
        for (int64_t u = std::max<int64_t>(x * p.stride - p.padding, 0);
             u < std::min(x * p.stride - p.padding + p.size, w); ++u) {
            const float value = src.at(n, v, u, k);
            index = index < 0 ? v * w + u : index;
            if (value > best || std::isnan(value)) {
                best = value;
                index = v * w + u;
            }
        }
    }
    return index;
}

template <class T>
std::array<int64_t, 4> pooled_shape(const OwnedTensor<T>& src, const PoolParams& p) {
    const auto [n, h, w, c] = src.shape();
    return {n, pooled_size(h, p), pooled_size(w, p), c};
}

// Calls body(n, y, x, k) for every element of a shape in order.
template <class Body>
void for_each_element(const std::array<int64_t, 4>& shape, const Body& body) {
    for (int64_t i = 0; i < shape[0] * shape[1] * shape[2] * shape[3]; ++i) {
        const int64_t pixel = i / shape[3];
        body(pixel / shape[2] / shape[1], pixel / shape[2] % shape[1], pixel % shape[2], i % shape[3]);
    }
}

template <class T>
struct Pooled {
    OwnedTensor<T> dst;
    OwnedTensor<uint8_t> positions;
};

template <class T>
Pooled<T> pool(Workers& workers, const OwnedTensor<T>& src, const PoolParams& params) {
    Pooled<T> pooled{OwnedTensor<T>(pooled_shape(src, params)), OwnedTensor<uint8_t>(pooled_shape(src, params))};
    max_pool_with_positions<T>(workers, src.view(), pooled.dst.view(), pooled.positions.view(), params);
    return pooled;
}

template <class T>
class PoolBackwardTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
TYPED_TEST_SUITE(PoolBackwardTest, ElementTypes);

TYPED_TEST(PoolBackwardTest, positions_are_where_pytorch_finds_the_maxima_ties_and_nan_included) {
    for (const int threads : {1, 3}) {
        Workers workers(threads);
        for (const PoolParams& params : kWindows) {
            for (const auto& shape : kShapes) {
                auto src = random_tensor<TypeParam>(shape, 11);
                for (int64_t i = 0; i < src.size(); ++i) {
                    // Few different values, so that ties are everywhere, and all that is special.
                    const float value = std::round(3 * to_float(src[i]));
                    src[i] = testing::as(value == 2 && i % 3 == 0 ? kNan
                                         : value == -3            ? -kInfinity
                                                                  : value,
                                         TypeParam{});
                }
                const auto got = pool(workers, src, params);
                OwnedTensor<TypeParam> values(got.dst.shape());
                max_pool<TypeParam>(workers, std::as_const(src).view(), values.view(), params);
                expect_same(got.dst, values, "maxima");
                for_each_element(values.shape(), [&](int64_t n, int64_t y, int64_t x, int64_t k) {
                    const int64_t index = winner(src, params, n, y, x, k);
                    const int64_t i = index / shape[2] - (y * params.stride - params.padding);
                    const int64_t j = index % shape[2] - (x * params.stride - params.padding);
                    ASSERT_EQ(*(got.positions.view().pixel(n, y, x) + k), i * params.size + j)
                        << "window " << y << ", " << x << " of side " << params.size << ", channel " << k;
                });
            }
        }
    }
}

TYPED_TEST(PoolBackwardTest, every_maximum_gets_the_gradients_of_the_windows_it_won) {
    for (const PoolParams& params : kWindows) {
        for (const auto& shape : kShapes) {
            auto src = random_tensor<TypeParam>(shape, 12);
            for (int64_t i = 0; i < src.size(); i += 3) {
                src[i] = testing::as(0.0F, TypeParam{});
            }
            const auto d_dst = random_tensor<TypeParam>(pooled_shape(src, params), 13);
            OwnedTensor<float> sums(shape);
            for_each_element(d_dst.shape(), [&](int64_t n, int64_t y, int64_t x, int64_t k) {
                const int64_t index = winner(src, params, n, y, x, k);
                sums[(n * shape[1] * shape[2] + index) * shape[3] + k] += d_dst.at(n, y, x, k);
            });
            const auto before = random_tensor<TypeParam>(shape, 14);
            OwnedTensor<TypeParam> assigned(shape);
            OwnedTensor<TypeParam> accumulated(shape);
            for (int64_t i = 0; i < sums.size(); ++i) {
                assigned[i] = testing::as(sums[i], TypeParam{});
                accumulated[i] = testing::as(to_float(before[i]) + sums[i], TypeParam{});
            }
            for (const int threads : {1, 3}) {
                Workers workers(threads);
                const auto pooled = pool(workers, src, params);
                for (const Write write : {Write::assign, Write::accumulate}) {
                    auto d_src = before;
                    max_pool_backward<TypeParam>(workers, d_dst.view(), pooled.positions.view(), d_src.view(), params,
                                                 write);
                    expect_same(d_src, write == Write::assign ? assigned : accumulated,
                                "window of " + std::to_string(params.size));
                }
            }
        }
    }
}

TEST(PoolBackward, max_pool_gradient_equals_finite_differences) {
    Workers workers(1);
    constexpr float kStep = 0x1p-12F;
    for (const PoolParams& params : kWindows) {
        // Multiples of 1/64, all different: no step changes a winner, and every sum is exact.
        auto src = random_tensor<float>({1, 5, 6, 2}, 1);
        for (int64_t i = 0; i < src.size(); ++i) {
            src[i] = static_cast<float>(i * 37 % src.size()) / 64.0F;
        }
        const auto d_dst = random_tensor<float>(pooled_shape(src, params), 3);
        const auto loss = [&] {
            const auto pooled = pool(workers, src, params);
            double sum = 0;
            for (int64_t i = 0; i < d_dst.size(); ++i) {
                sum += static_cast<double>(d_dst[i]) * static_cast<double>(pooled.dst[i]);
            }
            return sum;
        };
        std::vector<double> want;
        for (int64_t i = 0; i < src.size(); ++i) {
            const float saved = src[i];
            src[i] = saved + kStep;
            const double above = loss();
            src[i] = saved - kStep;
            want.push_back((above - loss()) / (2.0 * static_cast<double>(kStep)));
            src[i] = saved;
        }
        OwnedTensor<float> d_src(src.shape());
        const auto pooled = pool(workers, src, params);
        max_pool_backward<float>(workers, d_dst.view(), pooled.positions.view(), d_src.view(), params, Write::assign);
        expect_close(std::vector<float>(d_src.view().data, d_src.view().data + d_src.size()), want, 1e-6, "d_src");
    }
}

TYPED_TEST(PoolBackwardTest, average_gradient_is_shared_by_all_pixels) {
    for (const int threads : {1, 4}) {
        Workers workers(threads);
        for (const auto& shape : {std::array<int64_t, 4>{1, 1, 1, 1}, {3, 7, 7, 40}, {2, 5, 3, 33}}) {
            const auto d_dst = random_tensor<float>({shape[0], 1, 1, shape[3]}, 5);
            const auto before = random_tensor<TypeParam>(shape, 6);
            auto assigned = before;
            auto accumulated = before;
            global_average_pool_backward<TypeParam>(workers, d_dst.view(), assigned.view(), Write::assign);
            global_average_pool_backward<TypeParam>(workers, d_dst.view(), accumulated.view(), Write::accumulate);
            for_each_element(shape, [&](int64_t n, int64_t y, int64_t x, int64_t k) {
                const float share = d_dst.at(n, 0, 0, k) / static_cast<float>(shape[1] * shape[2]);
                ASSERT_EQ(assigned.at(n, y, x, k), to_float(testing::as(share, TypeParam{})));
                ASSERT_EQ(accumulated.at(n, y, x, k),
                          to_float(testing::as(before.at(n, y, x, k) + share, TypeParam{})));
            });
        }
    }
}

TEST(PoolBackward, refuses_windows_too_large_for_a_byte_and_shapes_that_do_not_belong_together) {
    Workers workers(1);
    const OwnedTensor<float> src({1, 32, 32, 2});
    const PoolParams large{16, 16, 0};
    EXPECT_THROW(pool(workers, src, large), ContractError);
    const OwnedTensor<float> d_dst({1, 16, 16, 2});
    const OwnedTensor<uint8_t> positions({1, 15, 16, 2});
    OwnedTensor<float> d_src({1, 32, 32, 2});
    EXPECT_THROW(
        max_pool_backward<float>(workers, d_dst.view(), positions.view(), d_src.view(), {2, 2, 0}, Write::assign),
        ContractError);
}

}  // namespace
}  // namespace boneage

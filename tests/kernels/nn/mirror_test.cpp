#include "kernels/nn/mirror.h"

#include "tests/support/tensors.h"

namespace boneage {
namespace {

using testing::OwnedTensor;

TEST(Mirror, exchanges_left_and_right_of_every_row) {
    for (const int threads : {1, 3}) {
        Workers workers(threads);
        for (const auto& shape :
             {std::array<int64_t, 4>{1, 1, 1, 1}, {1, 1, 2, 1}, {2, 3, 5, 1}, {3, 40, 8, 3}, {1, 2, 7, 2}}) {
            auto got = testing::random_tensor<float>(shape, 4);
            OwnedTensor<float> want(shape);
            for (int64_t i = 0; i < shape[0]; ++i) {
                for (int64_t y = 0; y < shape[1]; ++y) {
                    for (int64_t x = 0; x < shape[2]; ++x) {
                        for (int64_t k = 0; k < shape[3]; ++k) {
                            want.set(i, y, x, k, got.at(i, y, shape[2] - 1 - x, k));
                        }
                    }
                }
            }
            mirror(workers, got.view());
            expect_same(got, want, std::to_string(shape[2]) + " wide");
        }
    }
}

TEST(Mirror, leaves_the_channels_beside_a_slice_alone) {
    Workers workers(1);
    auto got = testing::random_tensor<float>({1, 2, 3, 4}, 5);
    auto want = got;
    mirror(workers, got.view().channels(1, 2));
    for (int64_t y = 0; y < 2; ++y) {
        for (int64_t x = 0; x < 3; ++x) {
            for (const int64_t k : {1, 2}) {
                const float value = got.at(0, y, 2 - x, k);
                EXPECT_EQ(value, want.at(0, y, x, k));
            }
            for (const int64_t k : {0, 3}) {
                EXPECT_EQ(got.at(0, y, x, k), want.at(0, y, x, k));
            }
        }
    }
}

}  // namespace
}  // namespace boneage

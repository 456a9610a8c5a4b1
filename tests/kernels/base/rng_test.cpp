#include "kernels/base/rng.h"

#include <gtest/gtest.h>

namespace boneage {
namespace {

// Known answers published with the Random123 library (kat_vectors, philox4x32-10).
TEST(Philox, equals_the_published_known_answers) {
    EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
              (std::array<uint32_t, 4>{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U}));
    EXPECT_EQ(philox4x32({0xffffffffU, 0xffffffffU, 0xffffffffU, 0xffffffffU}, {0xffffffffU, 0xffffffffU}),
              (std::array<uint32_t, 4>{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU}));
}

TEST(Rng, draws_are_uniform_and_normal_within_sampling_error) {
    Rng rng(42);
    double sum = 0;
    double normal_sum = 0;
    double normal_squares = 0;
    constexpr int kDraws = 100000;
    for (int i = 0; i < kDraws; ++i) {
        const float u = rng.uniform();
        ASSERT_GE(u, 0.0F);
        ASSERT_LT(u, 1.0F);
        sum += u;
        const float z = rng.normal();
        normal_sum += z;
        normal_squares += static_cast<double>(z) * z;
    }
    EXPECT_NEAR(sum / kDraws, 0.5, 0.005);
    EXPECT_NEAR(normal_sum / kDraws, 0.0, 0.02);
    EXPECT_NEAR(normal_squares / kDraws, 1.0, 0.02);
}

TEST(Rng, streams_of_one_seed_differ) {
    Rng a(1, 0);
    Rng b(1, 1);
    Rng c(1, 0);
    const uint32_t first = a.next_u32();
    EXPECT_NE(first, b.next_u32());
    EXPECT_EQ(first, c.next_u32());
}

}  // namespace
}  // namespace boneage

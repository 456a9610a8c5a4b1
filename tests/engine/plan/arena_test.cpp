#include "engine/plan/arena.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace boneage::plan {
namespace {

std::vector<Buffer> random_buffers(uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<Buffer> buffers(1 + random() % 40);
    for (Buffer& buffer : buffers) {
        buffer.bytes = 1 + static_cast<int64_t>(random() % (random() % 4 == 0 ? 1'000'000 : 3'000));
        buffer.first = static_cast<int64_t>(random() % 30) - 1;
        buffer.last = buffer.first + static_cast<int64_t>(random() % (random() % 5 == 0 ? 30 : 4));
    }
    return buffers;
}

TEST(Arena, never_puts_two_buffers_that_live_together_in_one_place) {
    for (uint32_t seed = 0; seed < 400; ++seed) {
        std::vector<Buffer> buffers = random_buffers(seed);
        const int64_t size = arrange(buffers);
        for (size_t i = 0; i < buffers.size(); ++i) {
            EXPECT_EQ(buffers[i].offset % 256, 0);
            EXPECT_GE(buffers[i].offset, 0);
            EXPECT_LE(buffers[i].offset + buffers[i].bytes, size);
            for (size_t j = 0; j < i; ++j) {
                const Buffer& a = buffers[i];
                const Buffer& b = buffers[j];
                const bool together = a.first <= b.last && b.first <= a.last;
                const bool apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
                ASSERT_TRUE(!together || apart) << "seed " << seed << ", buffers " << i << " and " << j;
            }
        }
    }
}

TEST(Arena, stays_near_what_is_live_at_the_fullest_step) {
    double worst = 1;
    double sum = 0;
    constexpr int kCases = 400;
    for (uint32_t seed = 0; seed < kCases; ++seed) {
        std::vector<Buffer> buffers = random_buffers(seed);
        const auto least = static_cast<double>(most_live_bytes(buffers));
        const double ratio = static_cast<double>(arrange(buffers)) / least;
        ASSERT_GE(ratio, 1.0);
        worst = std::max(worst, ratio);
        sum += ratio;
    }
    RecordProperty("worst", std::to_string(worst));
    RecordProperty("mean", std::to_string(sum / kCases));
    EXPECT_LT(worst, 1.25);
    EXPECT_LT(sum / kCases, 1.01);
}

TEST(Arena, gives_the_same_places_every_time) {
    std::vector<Buffer> once = random_buffers(5);
    std::vector<Buffer> again = once;
    EXPECT_EQ(arrange(once), arrange(again));
    for (size_t i = 0; i < once.size(); ++i) {
        EXPECT_EQ(once[i].offset, again[i].offset);
    }
}

TEST(Arena, needs_nothing_for_nothing) {
    std::vector<Buffer> none;
    EXPECT_EQ(arrange(none), 0);
    EXPECT_EQ(most_live_bytes(none), 0);
}

}  // namespace
}  // namespace boneage::plan

#include "kernels/base/workers.h"

#include "kernels/base/error.h"

#include <atomic>
#include <gtest/gtest.h>
#include <stdexcept>
#include <vector>

namespace boneage {
namespace {

TEST(Workers, cover_every_index_exactly_once) {
    for (const int threads : {1, 2, 3, 8}) {
        Workers workers(threads);
        for (const int64_t n : {0, 1, 2, 15, 16, 17, 1000}) {
            for (const int64_t grain : {1, 16, 5000}) {
                std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
                workers.parallel_for(n, grain, [&](int64_t begin, int64_t end) {
                    EXPECT_EQ(begin % grain, 0);
                    for (int64_t i = begin; i < end; ++i) {
                        seen[static_cast<size_t>(i)].fetch_add(1);
                    }
                });
                for (const auto& count : seen) {
                    ASSERT_EQ(count.load(), 1) << threads << " threads, n " << n << ", grain " << grain;
                }
            }
        }
    }
}

TEST(Workers, rethrow_the_exception_of_a_body_and_stay_usable) {
    Workers workers(3);
    for (int round = 0; round < 20; ++round) {
        EXPECT_THROW(workers.parallel_for(100, 1,
                                          [](int64_t begin, int64_t) {
                                              if (begin >= 40) {
                                                  throw std::runtime_error("planted");
                                              }
                                          }),
                     std::runtime_error);
        std::atomic<int64_t> sum = 0;
        workers.parallel_for(100, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
        EXPECT_EQ(sum.load(), 100);
    }
}

TEST(Workers, refuse_a_count_below_one) {
    EXPECT_THROW(Workers(0), ContractError);
    EXPECT_GE(available_processors(), 1);
}

}  // namespace
}  // namespace boneage

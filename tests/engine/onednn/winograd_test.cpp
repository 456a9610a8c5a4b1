// Single steps of networks that are done, against plain loops in double precision.
#include "engine/onednn/winograd.h"

#include "kernels/base/buffer.h"
#include "tests/support/plan_runs.h"

#include <cmath>
#include <limits>
#include <thread>

namespace boneage::onednn {
namespace {

using plan::Place;
using plan::Shape;

// A value with memory of its own, as channels [first, first + shape.c) of pixels that are longer.
struct Value {
    std::vector<float> memory;
    Place place;

    Value(const Shape& shape, int64_t block, uint64_t seed, int64_t first = 0, int64_t after = 0)
        : memory(testing::random_values(shape.pixels() * (first + shape.c + after), seed)),
          place{nullptr, shape, plan::DataType::f32, first + shape.c + after, block} {
        place.data = reinterpret_cast<std::byte*>(memory.data() + place.offset(0, 0, 0, first));
    }

    [[nodiscard]] float& at(int64_t n, int64_t y, int64_t x, int64_t c) const {
        return reinterpret_cast<float*>(place.data)[place.offset(n, y, x, c)];
    }
    // Counted as plain pixels.
    [[nodiscard]] float& element(int64_t i) const {
        const Shape& s = place.shape;
        return at(i / s.c / s.w / s.h, i / s.c / s.w % s.h, i / s.c % s.w, i % s.c);
    }
};

struct Case {
    Shape y;
    int64_t in;
    int64_t x_block = 1;
    int64_t block = 1;  // y's and the residual's
    bool residual = false;
    bool in_place = false;  // the residual is what y overwrites
    bool relu = false;
    int threads = 1;
};

std::string describe(const Case& c) {
    return std::to_string(c.y.n) + "x" + std::to_string(c.y.h) + "x" + std::to_string(c.y.w) + ", " +
           std::to_string(c.in) + " to " + std::to_string(c.y.c) + " channels in blocks of " +
           std::to_string(c.x_block) + " and " + std::to_string(c.block) + ", " + std::to_string(c.threads) +
           " threads" + (c.residual ? c.in_place ? ", in place" : ", residual" : "");
}

plan::Weights random_weights(int64_t in, int64_t out, uint64_t seed) {
    return {testing::random_values(out * in * 9, seed), testing::random_values(out, seed + 1)};
}

std::vector<double> plain_loops(const Case& c, const Value& x, const Value& residual, const plan::Weights& weights) {
    std::vector<double> want;
    for (int64_t i = 0; i < c.y.pixels() * c.y.c; ++i) {
        const int64_t k = i % c.y.c;
        const int64_t column = i / c.y.c % c.y.w;
        const int64_t row = i / c.y.c / c.y.w % c.y.h;
        const int64_t n = i / c.y.c / c.y.w / c.y.h;
        double sum = weights.bias[static_cast<size_t>(k)];
        for (int64_t tap = 0; tap < 9; ++tap) {
            const int64_t y = row + tap / 3 - 1;
            const int64_t z = column + tap % 3 - 1;
            if (y < 0 || y >= c.y.h || z < 0 || z >= c.y.w) {
                continue;
            }
            for (int64_t channel = 0; channel < c.in; ++channel) {
                sum += static_cast<double>(x.at(n, y, z, channel)) *
                       weights.weight[static_cast<size_t>((k * c.in + channel) * 9 + tap)];
            }
        }
        sum += c.residual ? residual.element(i) : 0.0F;
        want.push_back(c.relu ? std::max(sum, 0.0) : sum);
    }
    return want;
}

plan::FusedConv fused_conv(bool relu) {
    plan::FusedConv step;
    step.kernel = 3;
    step.padding = 1;
    step.relu = relu;
    return step;
}

void run(plan::Runnable& step) {
    const Buffer<std::byte, Host> scratch(step.scratch_bytes());
    step.run(scratch.data());
}

void expect_plain_loops(const Case& c) {
    const Value x({c.y.n, c.y.h, c.y.w, c.in}, c.x_block, 3, 16, 32);
    const Value apart(c.y, c.block, 5);
    Value y(c.y, c.block, 7, 32, 16);
    const plan::Weights weights = random_weights(c.in, c.y.c, 11);
    const Value& residual = c.in_place ? y : apart;
    const std::vector<double> want = plain_loops(c, x, residual, weights);
    const std::vector<float> before = y.memory;

    Team team(c.threads);
    WeightStore store;
    plan::Operands at{x.place, std::nullopt, y.place};
    if (c.residual) {
        at.residual = residual.place;
    }
    run(*make_winograd_step(team, store, fused_conv(c.relu), at, weights));

    std::vector<float> got;
    for (int64_t i = 0; i < static_cast<int64_t>(want.size()); ++i) {
        float& value = y.element(i);
        got.push_back(value);
        value = before[static_cast<size_t>(&value - y.memory.data())];
    }
    testing::expect_close(got, want, 1e-5, describe(c));
    EXPECT_EQ(y.memory, before) << describe(c) << ": wrote beside its channels";
}

// Blocks in which this build's vectors find their lanes.
std::vector<int64_t> blocks() {
    std::vector<int64_t> found;
    for (const int64_t block : {1, 8, 16}) {
        const Value value({1, 4, 4, 16}, block, 1);
        if (winograd_fits(fused_conv(false), {value.place, std::nullopt, value.place})) {
            found.push_back(block);
        }
    }
    return found;
}

TEST(Winograd, gives_what_plain_loops_give_at_awkward_sizes) {
    ASSERT_FALSE(blocks().empty());
    // Up to four tiles of 4x4 an image are done as tiles of 2x2.
    for (const auto& [h, w] : {std::pair{1, 1}, {1, 40}, {40, 1}, {2, 3}, {7, 7}, {8, 8}, {8, 9}, {13, 14}, {31, 18}}) {
        for (const auto& [in, out] : {std::pair{16, 16}, {32, 48}, {80, 32}}) {
            for (const int64_t block : blocks()) {
                expect_plain_loops(
                    {.y = {2, h, w, out}, .in = in, .x_block = block, .block = block, .threads = 1 + h % 3});
            }
        }
    }
}

// More tiles than a thread holds at a time, and a last block that is not full.
TEST(Winograd, gives_what_plain_loops_give_in_many_blocks) {
    for (const int threads : {1, 2, 3}) {
        expect_plain_loops({.y = {1, 165, 166, 16}, .in = 96, .threads = threads});
        expect_plain_loops({.y = {70, 5, 5, 16}, .in = 96, .threads = threads});
    }
}

TEST(Winograd, adds_what_there_is_to_add_and_cuts_below_zero) {
    for (const bool relu : {false, true}) {
        for (const bool in_place : {false, true}) {
            for (const int64_t side : {6, 18}) {
                for (const int64_t block : blocks()) {
                    expect_plain_loops({.y = {3, side, side + 1, 32},
                                        .in = 16,
                                        .x_block = blocks().back(),
                                        .block = block,
                                        .residual = true,
                                        .in_place = in_place,
                                        .relu = relu,
                                        .threads = 2});
                }
            }
        }
    }
}

TEST(Winograd, keeps_what_is_no_number) {
    for (const int64_t side : {5, 12}) {
        const Case c{.y = {2, side, side, 16}, .in = 16, .relu = true};
        const Value x({2, side, side, 16}, 1, 3);
        x.at(0, 2, 2, 4) = std::numeric_limits<float>::quiet_NaN();
        const Value y(c.y, 1, 7);
        Team team(1);
        WeightStore store;
        run(*make_winograd_step(team, store, fused_conv(c.relu), {x.place, std::nullopt, y.place},
                                random_weights(16, 16, 11)));
        for (int64_t k = 0; k < 16; ++k) {
            EXPECT_TRUE(std::isnan(y.at(0, 2, 2, k))) << side << ", channel " << k;
            EXPECT_FALSE(std::isnan(y.at(1, 2, 2, k))) << side << ", channel " << k << ", the other image";
        }
    }
}

TEST(Winograd, networks_with_the_same_weights_hold_them_once) {
    const Case c{.y = {1, 12, 12, 32}, .in = 16};
    const Value x({1, 12, 12, 16}, 1, 3);
    const Value y(c.y, 1, 7);
    const plan::Operands at{x.place, std::nullopt, y.place};
    Team team(1);
    WeightStore store;
    const auto make = [&](uint64_t seed) {
        return make_winograd_step(team, store, fused_conv(c.relu), at, random_weights(16, 32, seed));
    };
    const auto first = make(11);
    const int64_t one = store.bytes();
    EXPECT_GE(one, static_cast<int64_t>(36 * 16 * 32 * sizeof(float)));
    auto same = make(11);
    EXPECT_EQ(store.bytes(), one);
    auto other = make(12);
    EXPECT_EQ(store.bytes(), 2 * one);
    other.reset();
    EXPECT_EQ(store.bytes(), one);
    same.reset();
    EXPECT_EQ(store.bytes(), one);
}

TEST(Winograd, threads_that_come_at_once_hold_weights_once) {
    WeightStore store;
    std::vector<WeightStore::Held> held(8);
    {
        std::vector<std::jthread> threads;
        for (auto& mine : held) {
            threads.emplace_back([&] {
                Buffer<float, Host> weights(1000);
                std::ranges::fill(weights, 0.5F);
                mine = store.hold(std::move(weights));
            });
        }
    }
    EXPECT_EQ(store.bytes(), static_cast<int64_t>(1000 * sizeof(float)));
    for (const auto& mine : held) {
        EXPECT_EQ(mine, held.front());
    }
}

}  // namespace
}  // namespace boneage::onednn

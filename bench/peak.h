// The most multiply-adds that threads can do, to be measured in turns with what is to be compared with it.
#pragma once

#include "bench/timing.h"

#include <array>
#include <atomic>
#include <benchmark/benchmark.h>
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

namespace boneage::bench {

// Sixteen vectors' worth of independent sums: enough in flight to hide the latency of a fused multiply-add on any
// x86 of the last decade, few enough to stay in registers.
#ifdef __AVX512F__
inline constexpr int kLanes = 16;
inline constexpr int kSums = 24;
#else
inline constexpr int kLanes = 8;
inline constexpr int kSums = 12;
#endif

// Runs `rounds` rounds of fused multiply-adds on registers alone; returns something that depends on all of them.
inline float multiply_add(int64_t rounds, float factor) {
    std::array<std::array<float, kLanes>, kSums> sums{};
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
        for (auto& sum : sums) {
#pragma GCC unroll 1
#pragma GCC ivdep
            for (float& lane : sum) {
                lane = std::fma(lane, factor, 1.0F);
            }
        }
    }
    float total = 0.0F;
    for (const auto& sum : sums) {
        for (const float lane : sum) {
            total += lane;
        }
    }
    return total;
}

// GFLOP/s of `threads` threads, over about 5 ms.
inline double peak_gflops(int threads) {
    constexpr int64_t kRounds = 400'000;
    std::vector<double> times(static_cast<size_t>(threads));
    std::atomic<int> ready = 0;
    const auto work = [&](size_t thread) {
        ++ready;
        while (ready < threads) {
        }
        times[thread] = milliseconds([] { benchmark::DoNotOptimize(multiply_add(kRounds, 0.5F)); });
    };
    std::vector<std::jthread> others;
    for (int thread = 1; thread < threads; ++thread) {
        others.emplace_back(work, static_cast<size_t>(thread));
    }
    work(0);
    others.clear();
    double gflops = 0.0;
    for (const double time : times) {
        gflops += 2.0 * kLanes * kSums * kRounds / (time * 1e6);
    }
    return gflops;
}

// Times run() in turns with the peak, fill() before each and untimed: images a second, GFLOP/s, and the share of the
// peak, as counters. Medians.
inline void in_turns_with_peak(benchmark::State& state, int64_t batch, int threads, int64_t flops, const auto& fill,
                               const auto& run) {
    std::vector<double> times;
    std::vector<double> peaks;
    for (auto _ : state) {
        peaks.push_back(peak_gflops(threads));
        fill();
        times.push_back(milliseconds(run));
        state.SetIterationTime(times.back() / 1000);
    }
    const double gflops = static_cast<double>(flops) / (quantile(times, 0.5) * 1e6);
    state.counters["images_per_s"] = static_cast<double>(batch) * 1000 / quantile(times, 0.5);
    state.counters["gflops"] = gflops;
    state.counters["peak_gflops"] = quantile(peaks, 0.5);
    state.counters["share_of_peak"] = gflops / quantile(peaks, 0.5);
}

}  // namespace boneage::bench

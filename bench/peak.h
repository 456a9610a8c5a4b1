// The most multiply-adds that threads can do, to be measured in turns with what is to be compared with it.
#pragma once

#include "bench/timing.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <benchmark/benchmark.h>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <thread>
#include <vector>
#ifdef __FMA__
#include <immintrin.h>
#endif

namespace boneage::bench {

// The widest vectors that fuse a multiplication with an addition: compilers may prefer narrower ones. As many
// independent sums as hide its latency on any x86 of the last decade, few enough to stay in registers.
#if defined(__AVX512F__)
inline constexpr int kSums = 24;
using Lanes = __m512;
inline Lanes in_all_lanes(float value) {
    return _mm512_set1_ps(value);
}
inline Lanes fused(Lanes sum, Lanes factor, Lanes term) {
    return _mm512_fmadd_ps(sum, factor, term);
}
#elif defined(__FMA__)
inline constexpr int kSums = 12;
using Lanes = __m256;
inline Lanes in_all_lanes(float value) {
    return _mm256_set1_ps(value);
}
inline Lanes fused(Lanes sum, Lanes factor, Lanes term) {
    return _mm256_fmadd_ps(sum, factor, term);
}
#else
inline constexpr int kSums = 12;
using Lanes = float __attribute__((vector_size(16)));
inline Lanes in_all_lanes(float value) {
    return Lanes{} + value;
}
inline Lanes fused(Lanes sum, Lanes factor, Lanes term) {
    return sum * factor + term;
}
#endif
inline constexpr int kLanes = sizeof(Lanes) / sizeof(float);

// Runs `rounds` rounds of them on registers alone; returns something that depends on all of them.
inline float multiply_add(int64_t rounds, float factor) {
    Lanes sums[kSums];
    std::ranges::fill(sums, in_all_lanes(0.0F));
    const Lanes factors = in_all_lanes(factor);
    const Lanes one = in_all_lanes(1.0F);
    for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
        for (Lanes& sum : sums) {
            sum = fused(sum, factors, one);
        }
    }
    Lanes total = sums[0];
    for (const Lanes& sum : sums) {
        total = fused(total, one, sum);
    }
    std::array<float, kLanes> lanes;
    std::memcpy(lanes.data(), &total, sizeof total);
    return std::accumulate(lanes.begin(), lanes.end(), 0.0F);
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

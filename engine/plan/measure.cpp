#include "engine/plan/measure.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

namespace boneage::plan {
namespace {

constexpr double kRoundSeconds = 5e-3;  // long enough for waiting once not to count
constexpr double kMostCalls = 200;

}  // namespace

void fill_like_an_image(std::span<float> values) {
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(i % 251) / 125.0F - 1.0F;
    }
}

double measure(BackendMemory& memory, const std::function<void()>& call) {
    const auto seconds_of = [&](int calls) {
        memory.synchronize();
        const auto begin = std::chrono::steady_clock::now();
        for (int i = 0; i < calls; ++i) {
            call();
        }
        memory.synchronize();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / calls;
    };
    seconds_of(1);  // libraries load what they need the first time
    const auto calls = static_cast<int>(std::clamp(std::ceil(kRoundSeconds / seconds_of(1)), 1.0, kMostCalls));
    std::array<double, 3> rounds{};
    std::ranges::generate(rounds, [&] { return seconds_of(calls); });
    std::ranges::sort(rounds);
    return rounds[rounds.size() / 2];
}

std::vector<MeasuredStep> measure_each(BackendMemory& memory, std::span<const std::unique_ptr<Runnable>> steps,
                                       std::byte* scratch) {
    std::vector<MeasuredStep> measured;
    measured.reserve(steps.size());
    for (const auto& step : steps) {
        measured.push_back({measure(memory, [&] { step->run(scratch); }), step->implementation()});
    }
    return measured;
}

}  // namespace boneage::plan

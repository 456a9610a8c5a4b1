// How long the steps of a plan take where it runs.
#pragma once

#include "engine/plan/backend.h"

#include <span>
#include <string>
#include <vector>

namespace boneage::plan {

struct MeasuredStep {
    double seconds = 0.0;
    std::string implementation;  // Runnable::implementation()
};

// Seconds, each the median of a few rounds of running one thing over and over; what it reads may lie in a cache.
struct Measurement {
    std::string on;                   // what computed: "NVIDIA H200, cuDNN 9.19.0"
    std::vector<MeasuredStep> steps;  // of the plan, in its order
    double update = 0.0;              // of a training: clipping, Adam and the moving averages
    double whole = 0.0;               // all of it in its order
};

// Numbers as an image's are, from -1 to 1, for what is measured to compute with.
void fill_like_an_image(std::span<float> values);

// Seconds of one call, which queues work in `memory`.
double measure(BackendMemory& memory, const std::function<void()>& call);

std::vector<MeasuredStep> measure_each(BackendMemory& memory, std::span<const std::unique_ptr<Runnable>> steps,
                                       std::byte* scratch);

}  // namespace boneage::plan

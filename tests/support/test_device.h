// A device to run a pipeline on: a GPU, or the CUDA-on-CPU runner. Each test program links one of the two.
#pragma once

#include "engine/plan/backend.h"
#include "kernels/base/stream.h"

#include <memory>

namespace boneage::testing {

struct TestDevice {
    virtual ~TestDevice() = default;
    virtual Stream& stream() = 0;
    virtual plan::Backend& backend() = 0;
    // How far an age may lie from the one with oneDNN on the CPU, in months. 0 where oneDNN runs here as well.
    [[nodiscard]] virtual double age_tolerance() const = 0;
};
std::unique_ptr<TestDevice> make_test_device();

}  // namespace boneage::testing

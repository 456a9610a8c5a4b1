// Runs plans on a GPU: convolutions by cuDNN graphs, everything else by this project's kernels.
#pragma once

#include "engine/cudnn/traits.h"  // IWYU pragma: export
#include "engine/plan/backend.h"
#include "kernels/base/stream.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace boneage::cudnn {

struct BackendOptions {
    bool tf32 = false;      // float32 plans: products of inputs rounded to 10 mantissa bits, on tensor cores
    bool autotune = false;  // measure cuDNN's suggestions instead of trusting their order
    // Called with a graph's name before its plan is built or measured, which takes up to seconds; not for plans that
    // were kept on disk.
    std::function<void(std::string_view graph)> preparing;
    // Called with cuDNN's words where it refuses the engine that the same bits at every batch size ask for; another one
    // computes then. Nothing: they go to standard error.
    std::function<void(std::string_view why)> other_engine = nullptr;
};

// Everything is queued on `stream`, which must outlive the back end. Built plans are kept in cache_folder(). Engines
// are chosen for one batch size and used for all where cuDNN allows it, because the order of a sum is the engine's.
// Throws DeviceError when cuDNN is missing or too old, or refuses the device.
std::unique_ptr<plan::Backend> make_backend(Stream& stream, const BackendOptions& options = {});

// Loads cuDNN. Throws DeviceError saying what to do when it is missing or of another major version.
void require_library();

// "cuDNN 9.19.0"
std::string describe();

}  // namespace boneage::cudnn

// The plans of one back end: built once a graph, shared by equal layers, and kept on disk.
#pragma once

#include "engine/cudnn/graphs.h"
#include "engine/cudnn/plan_cache.h"

#include <functional>
#include <map>
#include <optional>
#include <string_view>

namespace boneage::cudnn {

struct PlanOptions {
    bool autotune = false;  // measure cuDNN's suggestions instead of trusting their order
    // Engines are chosen for graphs of this batch size and used for all others where cuDNN allows it, because the order
    // of a sum is the engine's. Nothing: each graph's own.
    std::optional<int64_t> engine_batch;
    // Called with a graph's name before its plan is built or measured, which takes up to seconds; not for plans that
    // were kept on disk.
    std::function<void(std::string_view graph)> preparing;
    // Called with cuDNN's words where it refuses the engine of engine_batch, in every run anew; another engine computes
    // then. Nothing: they go to standard error.
    std::function<void(std::string_view why)> other_engine = nullptr;
};

class Plans {
public:
    // Everything is queued on `stream`, which must outlive what is made. Built plans are kept in cache_folder(). Throws
    // DeviceError when cuDNN is missing or too old, or refuses the device.
    Plans(Stream& stream, PlanOptions options);

    [[nodiscard]] const Context& context() const { return context_; }
    std::shared_ptr<const Plan> plan_for(const GraphSpec& graph, Arithmetic arithmetic);

private:
    // The engine that a graph's plan is to be made by: that of engine_batch; nothing where it is chosen for this graph.
    std::optional<EngineName> engine_for(const GraphSpec& graph, Arithmetic arithmetic);
    Plan restored_or_built(const GraphSpec& graph, Arithmetic arithmetic, const std::string& name);
    Plan build(const GraphSpec& graph, Arithmetic arithmetic, const std::optional<EngineName>& engine) const;

    Stream& stream_;
    PlanOptions options_;
    Context context_;
    Circumstances circumstances_;
    PlanCache cache_;
    std::map<std::string, std::shared_ptr<const Plan>> plans_;
};

}  // namespace boneage::cudnn

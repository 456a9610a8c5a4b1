#include "engine/cudnn/plans.h"

#include "kernels/base/error.h"

#include <cstdio>

namespace boneage::cudnn {
namespace {

// How many suggestions are measured.
constexpr int64_t kMostMeasured = 12;

int64_t batch_of(const GraphSpec& graph) {
    return std::visit([](const auto& any) { return any.conv.n; }, graph);
}

GraphSpec with_batch(GraphSpec graph, int64_t n) {
    std::visit([&](auto& any) { any.conv.n = n; }, graph);
    return graph;
}

}  // namespace

std::shared_ptr<const Plan> Plans::plan_for(const GraphSpec& graph, Arithmetic arithmetic) {
    const std::string name = name_of(graph, arithmetic);
    std::shared_ptr<const Plan>& made = plans_[name];
    if (!made) {
        made = std::make_shared<const Plan>(restored_or_built(graph, arithmetic, name));
    }
    return made;
}

std::string Plans::circumstances() const {
    const DeviceProperties& device = stream_.device();
    return "cudnn " + std::to_string(library_version()) + ", driver " + std::to_string(device.driver_version) + ", " +
           device.name + ", sm_" + std::to_string(device.compute_capability) + ", " +
           std::to_string(device.multiprocessors) + " multiprocessors" +
           (options_.autotune ? ", measured" : ", heuristics") +
           (options_.engine_batch ? " for batch " + std::to_string(*options_.engine_batch) : "");
}

Plan Plans::restored_or_built(const GraphSpec& graph, Arithmetic arithmetic, const std::string& name) {
    const std::string key = name + ", " + circumstances();
    if (const auto bytes = cache_.find(key)) {
        try {
            return Plan::restore(context_, *bytes);
        } catch (const OutOfDeviceMemory&) {
            throw;
        } catch (const DeviceError&) {
            cache_.remove(key);  // a library of the same version that no longer takes it: build anew
        }
    }
    Plan plan = build(graph, arithmetic);
    cache_.store(key, plan.serialise());
    return plan;
}

void Plans::say_preparing(const GraphSpec& graph, Arithmetic arithmetic) const {
    if (options_.preparing) {
        options_.preparing(name_of(graph, arithmetic));
    }
}

Plan Plans::build(const GraphSpec& graph, Arithmetic arithmetic) {
    const int64_t engine_batch = options_.engine_batch.value_or(batch_of(graph));
    if (batch_of(graph) == engine_batch) {
        say_preparing(graph, arithmetic);
        return options_.autotune ? Plan::autotune(stream_, context_, graph, arithmetic, kMostMeasured)
                                 : Plan::build(context_, graph, arithmetic);
    }
    const EngineName engine = plan_for(with_batch(graph, engine_batch), arithmetic)->engine_name();
    say_preparing(graph, arithmetic);
    try {
        return Plan::build(context_, graph, arithmetic, engine);
    } catch (const OutOfDeviceMemory&) {
        throw;
    } catch (const DeviceError& error) {
        std::fprintf(stderr, "boneage: last bits may depend on the batch: %s\n", error.what());
    }
    return Plan::build(context_, graph, arithmetic);
}

}  // namespace boneage::cudnn

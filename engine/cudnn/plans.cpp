#include "engine/cudnn/plans.h"

#include "engine/cudnn/same_engine.h"
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

Circumstances circumstances_of(const DeviceProperties& device, const PlanOptions& options) {
    return {.cudnn = library_version(),
            .frontend = frontend_version(),
            .rules = kRules,
            .cuda = device.driver_version,
            .driver = driver_release(),
            .device = device.name,
            .compute_capability = device.compute_capability,
            .multiprocessors = device.multiprocessors,
            .measured = options.autotune,
            .engine_batch = options.engine_batch};
}

}  // namespace

Plans::Plans(Stream& stream, PlanOptions options)
    : stream_(stream),
      options_(std::move(options)),
      context_(stream),
      circumstances_(circumstances_of(stream.device(), options_)),
      cache_(cache_folder()) {}

std::shared_ptr<const Plan> Plans::plan_for(const GraphSpec& graph, Arithmetic arithmetic) {
    const std::string name = name_of(graph, arithmetic);
    std::shared_ptr<const Plan>& made = plans_[name];
    if (!made) {
        made = std::make_shared<const Plan>(restored_or_built(graph, arithmetic, name));
    }
    return made;
}

std::optional<EngineName> Plans::engine_for(const GraphSpec& graph, Arithmetic arithmetic) {
    if (batch_of(graph) == options_.engine_batch.value_or(batch_of(graph))) {
        return std::nullopt;
    }
    return plan_for(with_batch(graph, *options_.engine_batch), arithmetic)->engine_name();
}

Plan Plans::restored_or_built(const GraphSpec& graph, Arithmetic arithmetic, const std::string& name) {
    const std::optional<EngineName> engine = engine_for(graph, arithmetic);
    const std::string key = key_of(name, circumstances_);
    if (const auto bytes = cache_.find(key)) {
        try {
            Plan plan = Plan::restore(context_, *bytes);
            // One by another engine was kept before engine_batch's was chosen again, or because cuDNN refused that one.
            if (!engine || plan.engine_name() == *engine) {
                return plan;
            }
        } catch (const OutOfDeviceMemory&) {
            throw;
        } catch (const DeviceError&) {
            cache_.remove(key);  // a library of the same version that no longer takes it: build anew
        }
    }
    Plan plan = build(graph, arithmetic, engine);
    cache_.store(key, plan.serialise());
    return plan;
}

Plan Plans::build(const GraphSpec& graph, Arithmetic arithmetic, const std::optional<EngineName>& engine) const {
    if (options_.preparing) {
        options_.preparing(name_of(graph, arithmetic));
    }
    if (!engine) {
        return options_.autotune ? Plan::autotune(stream_, context_, graph, arithmetic, kMostMeasured)
                                 : Plan::build(context_, graph, arithmetic);
    }
    return same_or_other([&] { return Plan::build(context_, graph, arithmetic, *engine); },
                         [&] { return Plan::build(context_, graph, arithmetic); },
                         [&](const char* why) {
                             if (options_.other_engine) {
                                 options_.other_engine(why);
                             } else {
                                 std::fprintf(stderr, "boneage: last bits may depend on the batch: %s\n", why);
                             }
                         });
}

}  // namespace boneage::cudnn

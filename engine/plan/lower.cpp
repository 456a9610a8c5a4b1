#include "engine/plan/emit.h"
#include "engine/plan/liveness.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <stdexcept>

namespace boneage::plan {
namespace {

struct Work {
    int64_t flops = 0;
    int64_t weight_count = 0;  // in the type of x
    int64_t bias_count = 0;    // float32
};

Work work_of(const Step& step, const Plan& plan) {
    const auto shape = [&](ValueId id) { return plan.values[static_cast<size_t>(id)].shape; };
    struct Count {
        Shape x;
        Shape y;
        Work operator()(const FusedConv& conv) const {
            const int64_t weights = conv.kernel * conv.kernel * x.c * y.c;
            return {2 * weights * y.pixels(), weights, y.c};
        }
        Work operator()(const Linear&) const { return {2 * x.c * y.c * y.n, x.c * y.c, y.c}; }
        Work operator()(const TransposedConv&) const { return {2 * 4 * x.c * y.c * x.pixels(), 4 * x.c * y.c, y.c}; }
        Work operator()(const MaxPool&) const { return {}; }
        Work operator()(const GlobalAvgPool&) const { return {}; }
        Work operator()(const DepthToSpace&) const { return {}; }
        Work operator()(const Copy&) const { return {}; }
    };
    return std::visit(Count{shape(x_of(step)), shape(y_of(step))}, step);
}

void count_work(Plan& plan) {
    for (PlannedStep& planned : plan.steps) {
        const auto value = [&](ValueId id) -> const Value& { return plan.values[static_cast<size_t>(id)]; };
        const Work work = work_of(planned.step, plan);
        const Value& x = value(x_of(planned.step));
        planned.flops = work.flops;
        planned.weight_bytes = work.weight_count * size_of(x.type) + work.bias_count * size_of(DataType::f32);
        planned.read_bytes = x.bytes();
        if (const auto residual = residual_of(planned.step)) {
            planned.read_bytes += value(*residual).bytes();
        }
        planned.write_bytes = value(y_of(planned.step)).bytes();
    }
}

}  // namespace

Plan lower(const net::Graph& graph, const Options& options) {
    std::vector<Shape> shapes;
    try {
        shapes = net::infer_shapes(graph, options.batch, options.height, options.width);
    } catch (const std::invalid_argument& problem) {
        throw UsageError(problem.what());
    }
    Plan plan = emit(graph, shapes, options);
    find_reruns(plan);
    overwrite_residuals(plan);
    place_buffers(plan);
    count_work(plan);
    return plan;
}

ValueId find_value(const Plan& plan, std::string_view name) {
    std::string known;
    for (const auto* list : {&plan.outputs, &plan.kept, &plan.inputs}) {
        for (const ValueId id : *list) {
            const std::string& candidate = plan.values[static_cast<size_t>(id)].name;
            if (candidate == name) {
                return id;
            }
            known += (known.empty() ? "" : ", ") + candidate;
        }
    }
    throw UsageError(plan.net + " keeps no value called \"" + std::string(name) + "\"; it has " + known);
}

int64_t total_flops(const Plan& plan) {
    int64_t total = 0;
    for (const PlannedStep& step : plan.steps) {
        total += step.flops;
    }
    return total;
}

}  // namespace boneage::plan

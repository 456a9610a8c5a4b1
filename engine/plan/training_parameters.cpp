#include "engine/plan/training_plan.h"
#include "kernels/base/error.h"

#include <algorithm>

namespace boneage::plan {
namespace {

// Calls visit(place in PyTorch's layout, place in ours) for every element.
template <class Visit>
void for_elements(const ParameterPlace& place, const Visit& visit) {
    const std::vector<int64_t>& shape = place.parameter.shape;
    switch (place.layout) {
        case ParameterLayout::plain:
            for (int64_t i = 0; i < place.parameter.size(); ++i) {
                visit(i, i);
            }
            return;
        case ParameterLayout::krsc: {
            const int64_t out = shape[0];
            const int64_t in = shape[1];
            const int64_t square = shape[2] * shape[3];
            for (int64_t o = 0; o < out; ++o) {
                for (int64_t c = 0; c < in; ++c) {
                    for (int64_t rs = 0; rs < square; ++rs) {
                        visit((o * in + c) * square + rs, (o * square + rs) * in + c);
                    }
                }
            }
            return;
        }
        case ParameterLayout::pointwise: {
            const int64_t in = shape[0];
            const int64_t out = shape[1];
            for (int64_t c = 0; c < in; ++c) {
                for (int64_t o = 0; o < out; ++o) {
                    for (int64_t ab = 0; ab < 4; ++ab) {
                        visit((c * out + o) * 4 + ab, (ab * out + o) * in + c);
                    }
                }
            }
            return;
        }
    }
}

template <class Places>
auto find_place(const Places& places, std::string_view name) {
    const auto found = std::ranges::find_if(places, [&](const auto& place) { return place.parameter.name == name; });
    return found == places.end() ? nullptr : &*found;
}

}  // namespace

const ParameterPlace* find_parameter(const TrainingPlan& plan, std::string_view name) {
    return find_place(plan.parameters, name);
}

void to_place(const ParameterPlace& place, const float* from, float* to) {
    for_elements(place, [&](int64_t theirs, int64_t ours) { to[ours] = from[theirs]; });
}

void from_place(const ParameterPlace& place, const float* from, float* to) {
    for_elements(place, [&](int64_t theirs, int64_t ours) { to[theirs] = from[ours]; });
}

ParameterSource parameters_in(const TrainingPlan& plan, std::span<const float> parameters,
                              std::span<const float> statistics, std::span<const int64_t> batches) {
    return [&plan, parameters, statistics, batches](std::string_view name) -> std::vector<float> {
        if (const ParameterPlace* place = find_parameter(plan, name)) {
            std::vector<float> values(static_cast<size_t>(place->parameter.size()));
            from_place(*place, parameters.data() + place->offset, values.data());
            return values;
        }
        if (const StatisticPlace* place = find_place(plan.statistics, name)) {
            const auto values =
                statistics.subspan(static_cast<size_t>(place->offset), static_cast<size_t>(place->parameter.size()));
            return {values.begin(), values.end()};
        }
        const auto counter = std::ranges::find(plan.counters, name);
        if (counter == plan.counters.end()) {
            throw UsageError(plan.net + " has no parameter called \"" + std::string(name) + "\"");
        }
        return {static_cast<float>(batches[static_cast<size_t>(counter - plan.counters.begin())])};
    };
}

}  // namespace boneage::plan

#include "tests/support/training_goldens.h"

#include "tests/support/golden_formula.h"
#include "tests/support/network_goldens.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace boneage::testing {
namespace {

std::map<std::string, GoldenTensor> tensors(const nlohmann::json& json) {
    std::map<std::string, GoldenTensor> all;
    for (const auto& [name, tensor] : json.items()) {
        all[name] = {tensor["largest"].get<double>(), tensor["indices"].get<std::vector<int64_t>>(),
                     tensor["values"].get<std::vector<double>>()};
    }
    return all;
}

void add_targets(TrainingGolden& golden) {
    const plan::TrainingOptions& o = golden.options;
    auto& targets = golden.inputs["targets"];
    switch (o.loss) {
        case plan::Loss::absolute_error:
            targets = formula("targets", o.batch, 20, 60);
            golden.inputs["weights"].assign(targets.size(), 1.0F);
            return;
        case plan::Loss::segmentation:
            targets = formula("targets", o.batch * o.height * o.width, -1, 1);
            for (float& target : targets) {
                target = target > 0 ? 1.0F : 0.0F;
            }
            return;
    }
}

}  // namespace

std::vector<TrainingGolden> training_goldens() {
    std::ifstream file(std::string(BONEAGE_GOLDEN) + "/training.json");
    const nlohmann::json document = nlohmann::json::parse(file);
    std::vector<TrainingGolden> goldens;
    for (const auto& json : document["cases"]) {
        TrainingGolden golden;
        golden.name = json["type"];
        golden.graph = golden_graph(json);
        plan::TrainingOptions& o = golden.options;
        o.batch = json["batch"];
        o.height = json["height"];
        o.width = json["width"];
        o.loss = json["loss"] == "segmentation" ? plan::Loss::segmentation : plan::Loss::absolute_error;
        golden.learning_rate = json["learning_rate"];
        golden.losses = json["losses"].get<std::vector<double>>();
        golden.gradients = tensors(json["gradients"]);
        golden.weights = tensors(json["weights"]);
        golden.statistics = tensors(json["statistics"]);
        const int64_t channels = json["spec"]["channels"];
        golden.inputs["image"] = formula("image", o.batch * o.height * o.width * channels, -1, 1);
        if (net::find_value(golden.graph, "sex")) {
            for (int64_t i = 0; i < o.batch; ++i) {
                golden.inputs["sex"].push_back(i % 2 == 0 ? 1.0F : -1.0F);
            }
        }
        add_targets(golden);
        goldens.push_back(std::move(golden));
    }
    return goldens;
}

plan::ParameterSource training_start(const net::Graph& graph) {
    return [given = formula_parameters(graph)](std::string_view name) {
        constexpr float kDamping = 0.125F;
        std::vector<float> values = given(name);
        if (name.ends_with("num_batches_tracked")) {
            values.assign(values.size(), 0.0F);
        }
        if (name.starts_with("layer") && name.ends_with("bn2.weight")) {
            for (float& value : values) {
                value *= kDamping;
            }
        }
        return values;
    };
}

}  // namespace boneage::testing

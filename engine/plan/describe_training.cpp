#include "engine/plan/describe.h"
#include "engine/plan/describe_text.h"

#include <nlohmann/json.hpp>

namespace boneage::plan {
namespace {

const Value& value(const TrainingPlan& plan, ValueId id) {
    return plan.values[static_cast<size_t>(id)];
}

int64_t arena_offset(const TrainingPlan& plan, const Value& v) {
    return plan.buffers[static_cast<size_t>(v.buffer)].offset + v.channel_offset * size_of(v.type);
}

const net::Parameter& parameter(const TrainingPlan& plan, ParameterId id) {
    return plan.parameters[static_cast<size_t>(id)].parameter;
}

int64_t flops_of(const TrainingPlan& plan, bool backward) {
    int64_t total = 0;
    for (const PlannedTrainingStep& step : plan.steps) {
        total += step.backward == backward ? step.flops : 0;
    }
    return total;
}

void add_item(std::string& list, const std::string& item) {
    list += list.empty() ? "" : ", ";
    list += item;
}

// "conv1 16x112x112x64 f32".
std::string with_shape(const Value& v) {
    return v.name + " " + shape_text(v.shape) + " " + name_of(v.type);
}

// Values by name, then parameters.
std::string reads_text(const TrainingPlan& plan, const Touched& touched) {
    std::string text;
    for (const ValueId id : touched.reads) {
        add_item(text, value(plan, id).name);
    }
    for (const ParameterId id : touched.parameters) {
        add_item(text, parameter(plan, id).name);
    }
    return text;
}

std::string writes_text(const TrainingPlan& plan, const Touched& touched) {
    std::string text;
    for (const ValueId id : touched.writes) {
        add_item(text, with_shape(value(plan, id)));
    }
    for (const ParameterId id : touched.gradients) {
        add_item(text, "d_" + parameter(plan, id).name);
    }
    return text;
}

std::string offsets_text(const TrainingPlan& plan, const Touched& touched) {
    std::string text;
    for (const ValueId id : touched.writes) {
        add_item(text, std::to_string(arena_offset(plan, value(plan, id))));
    }
    return text;
}

}  // namespace

const char* name_of(Loss loss) {
    switch (loss) {
        case Loss::absolute_error:
            return "absolute error";
        case Loss::segmentation:
            return "cross-entropy and Dice";
    }
    return "";
}

std::string as_table(const TrainingPlan& plan, const Measurement* measured) {
    const TrainingOptions& options = plan.options;
    std::string text = plan.net + ", one training step, batch " + std::to_string(options.batch) + ", " +
                       std::to_string(options.height) + "x" + std::to_string(options.width) +
                       " pixels (height x width), " + name_of(options.precision) + "\n\n";
    std::vector<Row> rows{{"step", "layer", "operation", "reads", "writes (n x h x w x c)", "FLOP", "arena offset"}};
    if (measured != nullptr) {
        rows.front().emplace_back(kMeasuredColumn);
    }
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        const PlannedTrainingStep& step = plan.steps[i];
        const Touched touched = touched_by(step.step);
        rows.push_back({std::to_string(i), step.name, op_name(step.step), reads_text(plan, touched),
                        writes_text(plan, touched), short_number(step.flops), offsets_text(plan, touched)});
        if (measured != nullptr) {
            rows.back().push_back(microseconds(measured->steps.at(i).seconds));
        }
    }
    if (measured != nullptr) {
        rows.push_back({"", "all parameters", "update", "", "", "", "", microseconds(measured->update)});
    }
    rows.push_back({"", "total", "", "", "", short_number(total_flops(plan)), ""});
    if (measured != nullptr) {
        rows.back().push_back(microseconds(measured->whole));
        insert_implementations(rows, *measured);
    }
    text += lay_out(rows, measured != nullptr ? 5 : 4);

    std::string inputs;
    for (const ValueId id : plan.inputs) {
        add_item(inputs, with_shape(value(plan, id)));
    }
    text += "\nInputs: " + inputs + ". Loss: " + name_of(options.loss) + ".\n";
    text += "FLOP: two per multiply-add of convolutions and linear layers; forward " +
            short_number(flops_of(plan, false)) + ", backward " + short_number(flops_of(plan, true)) + ".\n";
    if (measured != nullptr) {
        text += measured_text(*measured, options.batch);
    }
    text += "\n";
    const MemoryBytes memory = memory_bytes(plan);
    text += lay_out(
        {{"bytes", "of"},
         {std::to_string(memory.arena),
          "arena: all values and their gradients; " + std::to_string(plan.live_bytes) +
              " are in use at the fullest step (" +
              decimal(100.0 * static_cast<double>(plan.live_bytes) / static_cast<double>(plan.arena_bytes), 1) + " %)"},
         {std::to_string(memory.parameters), "parameters, float32"},
         {std::to_string(memory.gradients), "their gradients"},
         {std::to_string(memory.moments), "Adam's two moments"},
         {std::to_string(memory.statistics), "running statistics of the norms"},
         {std::to_string(memory.total()), "total, without the scratch of steps and without averages"}},
        1);
    return text;
}

std::string as_json(const TrainingPlan& plan, const Measurement* measured) {
    using Json = nlohmann::ordered_json;
    const auto values = [&](const std::vector<ValueId>& ids) {
        Json list = Json::array();
        for (const ValueId id : ids) {
            const Value& v = value(plan, id);
            list.push_back({{"name", v.name},
                            {"shape", {v.shape.n, v.shape.h, v.shape.w, v.shape.c}},
                            {"type", name_of(v.type)},
                            {"arena_offset", arena_offset(plan, v)}});
        }
        return list;
    };
    const auto names = [&](const std::vector<ParameterId>& ids) {
        Json list = Json::array();
        for (const ParameterId id : ids) {
            list.push_back(parameter(plan, id).name);
        }
        return list;
    };
    const TrainingOptions& options = plan.options;
    const MemoryBytes memory = memory_bytes(plan);
    Json document{{"net", plan.net},
                  {"training", true},
                  {"batch", options.batch},
                  {"height", options.height},
                  {"width", options.width},
                  {"precision", name_of(options.precision)},
                  {"loss", name_of(options.loss)},
                  {"inputs", values(plan.inputs)},
                  {"totals",
                   {{"flops", total_flops(plan)},
                    {"forward_flops", flops_of(plan, false)},
                    {"backward_flops", flops_of(plan, true)},
                    {"arena_bytes", memory.arena},
                    {"live_bytes", plan.live_bytes},
                    {"parameter_bytes", memory.parameters},
                    {"gradient_bytes", memory.gradients},
                    {"moment_bytes", memory.moments},
                    {"statistic_bytes", memory.statistics},
                    {"total_bytes", memory.total()}}},
                  {"steps", Json::array()}};
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        const PlannedTrainingStep& step = plan.steps[i];
        const Touched touched = touched_by(step.step);
        document["steps"].push_back({{"layer", step.name},
                                     {"operation", op_name(step.step)},
                                     {"backward", step.backward},
                                     {"reads", values(touched.reads)},
                                     {"writes", values(touched.writes)},
                                     {"parameters", names(touched.parameters)},
                                     {"gradients", names(touched.gradients)},
                                     {"flops", step.flops}});
        if (measured != nullptr) {
            document["steps"].back()["measured_us"] = 1e6 * measured->steps.at(i).seconds;
            document["steps"].back()["implementation"] = measured->steps.at(i).implementation;
        }
    }
    if (measured != nullptr) {
        document["measured_on"] = measured->on;
        document["totals"]["measured_us"] = 1e6 * measured->whole;
        document["totals"]["update_us"] = 1e6 * measured->update;
    }
    return document.dump(2) + "\n";
}

}  // namespace boneage::plan

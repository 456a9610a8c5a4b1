#include "engine/plan/describe.h"

#include "engine/plan/describe_text.h"

#include <nlohmann/json.hpp>

namespace boneage::plan {
namespace {

const Value& value(const Plan& plan, ValueId id) {
    return plan.values[static_cast<size_t>(id)];
}

struct Totals {
    int64_t flops = 0;
    int64_t read = 0;
    int64_t weights = 0;
    int64_t written = 0;
};

Totals totals_of(const Plan& plan) {
    Totals totals;
    for (const PlannedStep& step : plan.steps) {
        totals.flops += step.flops;
        totals.read += step.read_bytes;
        totals.weights += step.weight_bytes;
        totals.written += step.write_bytes;
    }
    return totals;
}

int64_t arena_offset(const Plan& plan, const Value& v) {
    return plan.buffers[static_cast<size_t>(v.buffer)].offset;
}

// How a value shares its buffer: "+64" for a slice from channel 64 on.
std::string place_text(const Plan& plan, const Value& v) {
    std::string text = std::to_string(arena_offset(plan, v));
    if (!v.dense()) {
        text += "+";
        text += std::to_string(v.channel_offset);
    }
    return text;
}

bool in_place(const Plan& plan, const Step& step) {
    const auto residual = residual_of(step);
    return residual && value(plan, *residual).buffer == value(plan, y_of(step)).buffer;
}

}  // namespace

const char* name_of(Precision precision) {
    switch (precision) {
        case Precision::f32:
            return "f32";
        case Precision::tf32:
            return "tf32";
        case Precision::bf16:
            return "bf16";
        case Precision::f16:
            return "f16";
    }
    return "";
}

std::string as_table(const Plan& plan, const Machine* machine, const Measurement* measured) {
    const Options& options = plan.options;
    std::string text = plan.net + ", batch " + std::to_string(options.batch) + ", " + std::to_string(options.height) +
                       "x" + std::to_string(options.width) + " pixels (height x width), " + name_of(options.precision) +
                       "\n\n";
    std::vector<Row> rows{{"step", "layer", "operation", "output (n x h x w x c)", "FLOP", "read B", "weights B",
                           "written B", "arena offset"}};
    if (machine != nullptr) {
        rows.front().emplace_back("roof us");
    }
    if (measured != nullptr) {
        rows.front().emplace_back(kMeasuredColumn);
    }
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        const PlannedStep& step = plan.steps[i];
        const Value& y = value(plan, y_of(step.step));
        rows.push_back({std::to_string(i), step.name, op_name(step.step), shape_text(y.shape) + " " + name_of(y.type),
                        short_number(step.flops), short_number(step.read_bytes), short_number(step.weight_bytes),
                        short_number(step.write_bytes),
                        place_text(plan, y) + (in_place(plan, step.step) ? " (in place)" : "")});
        if (machine != nullptr) {
            rows.back().push_back(decimal(1e6 * roof_seconds(plan, step, *machine), 1));
        }
        if (measured != nullptr) {
            rows.back().push_back(microseconds(measured->steps.at(i).seconds));
        }
    }
    const Totals totals = totals_of(plan);
    rows.push_back({"", "total", "", "", short_number(totals.flops), short_number(totals.read),
                    short_number(totals.weights), short_number(totals.written), ""});
    if (machine != nullptr) {
        rows.back().push_back(decimal(1e6 * roof_seconds(plan, *machine), 1));
    }
    if (measured != nullptr) {
        rows.back().push_back(microseconds(measured->whole));
        insert_implementations(rows, *measured);
    }
    text += lay_out(rows, measured != nullptr ? 4 : 3);
    text +=
        "\nFLOP: two per multiply-add of convolutions and linear layers. Arena: " + std::to_string(plan.arena_bytes) +
        " bytes for all values; " + std::to_string(plan.live_bytes) + " are in use at the fullest step (" +
        decimal(100.0 * static_cast<double>(plan.live_bytes) / static_cast<double>(plan.arena_bytes), 1) + " %).\n" +
        "offset+c: from channel c on of a wider value. in place: overwrites the value it adds.\n";
    if (machine != nullptr) {
        const double seconds = roof_seconds(plan, *machine);
        text +=
            "roof: a model, not a measurement: the longest of arithmetic, memory traffic and a launch at the peaks of "
            "the " +
            std::string(machine->name) + "'s data sheet; " + decimal(static_cast<double>(options.batch) / seconds, 0) +
            " images/s at best.\n";
    }
    if (measured != nullptr) {
        text += measured_text(*measured, options.batch);
    }
    return text;
}

std::string as_json(const Plan& plan, const Machine* machine, const Measurement* measured) {
    using Json = nlohmann::ordered_json;
    const Options& options = plan.options;
    const Totals totals = totals_of(plan);
    Json document{{"net", plan.net},
                  {"batch", options.batch},
                  {"height", options.height},
                  {"width", options.width},
                  {"precision", name_of(options.precision)},
                  {"totals",
                   {{"flops", totals.flops},
                    {"read_bytes", totals.read},
                    {"weight_bytes", totals.weights},
                    {"write_bytes", totals.written},
                    {"arena_bytes", plan.arena_bytes},
                    {"live_bytes", plan.live_bytes}}},
                  {"steps", Json::array()}};
    for (size_t i = 0; i < plan.steps.size(); ++i) {
        const PlannedStep& step = plan.steps[i];
        const Value& y = value(plan, y_of(step.step));
        document["steps"].push_back({{"layer", step.name},
                                     {"operation", op_name(step.step)},
                                     {"output", {y.shape.n, y.shape.h, y.shape.w, y.shape.c}},
                                     {"type", name_of(y.type)},
                                     {"flops", step.flops},
                                     {"read_bytes", step.read_bytes},
                                     {"weight_bytes", step.weight_bytes},
                                     {"write_bytes", step.write_bytes},
                                     {"arena_offset", arena_offset(plan, y)},
                                     {"first_channel", y.channel_offset},
                                     {"in_place", in_place(plan, step.step)}});
        if (machine != nullptr) {
            document["steps"].back()["roof_us"] = 1e6 * roof_seconds(plan, step, *machine);
        }
        if (measured != nullptr) {
            document["steps"].back()["measured_us"] = 1e6 * measured->steps.at(i).seconds;
            document["steps"].back()["implementation"] = measured->steps.at(i).implementation;
        }
    }
    if (measured != nullptr) {
        document["measured_on"] = measured->on;
        document["totals"]["measured_us"] = 1e6 * measured->whole;
    }
    if (machine != nullptr) {
        document["roof_of"] = machine->name;
        document["totals"]["roof_us"] = 1e6 * roof_seconds(plan, *machine);
    }
    return document.dump(2) + "\n";
}

}  // namespace boneage::plan

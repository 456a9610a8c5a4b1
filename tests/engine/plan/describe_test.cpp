#include "engine/plan/describe.h"

#include "kernels/base/error.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace boneage::plan {
namespace {

TEST(Describe, json_holds_every_step_and_sums_that_agree) {
    const Plan plan = lower(net::resnet34({}), {.batch = 2, .height = 64, .width = 96});
    const auto json = nlohmann::json::parse(as_json(plan));
    ASSERT_EQ(json["steps"].size(), plan.steps.size());
    EXPECT_EQ(json["batch"], 2);
    EXPECT_EQ(json["height"], 64);
    EXPECT_EQ(json["precision"], "f32");
    for (const char* count : {"flops", "read_bytes", "weight_bytes", "write_bytes"}) {
        int64_t sum = 0;
        for (const auto& step : json["steps"]) {
            sum += step[count].get<int64_t>();
        }
        EXPECT_EQ(json["totals"][count], sum) << count;
    }
    EXPECT_EQ(json["totals"]["flops"], total_flops(plan));
    EXPECT_EQ(json["totals"]["arena_bytes"], plan.arena_bytes);
    EXPECT_EQ(json["steps"][0]["output"], (std::vector<int64_t>{2, 32, 48, 64}));
}

TEST(Describe, table_has_a_line_for_every_step_and_the_totals) {
    const Plan plan = lower(net::unet({.depth = 2}), {.height = 32, .width = 32});
    const std::string table = as_table(plan);
    for (const PlannedStep& step : plan.steps) {
        EXPECT_NE(table.find(" " + step.name + " "), std::string::npos) << step.name;
    }
    EXPECT_NE(table.find("total"), std::string::npos);
    EXPECT_NE(table.find(std::to_string(plan.arena_bytes) + " bytes"), std::string::npos);
    EXPECT_EQ(table.find(" \n"), std::string::npos) << "no blanks at the ends of lines";
}

TEST(Describe, roofs_are_the_longest_of_arithmetic_memory_and_launch) {
    const auto planned = [](Precision precision) {
        return lower(net::resnet34({}), {.batch = 64, .height = 256, .width = 256, .precision = precision});
    };
    const Plan plan = planned(Precision::bf16);
    constexpr Machine machine{"toy", 1e12, 4e12, 1e13, 1e11, 1e-5};
    double sum = 0.0;
    bool by_arithmetic = false;
    bool by_memory = false;
    bool by_launch = false;
    for (const PlannedStep& step : plan.steps) {
        const double peak = std::holds_alternative<FusedConv>(step.step) ? 1e13 : 1e12;
        const double arithmetic = static_cast<double>(step.flops) / peak;
        const double memory = static_cast<double>(step.read_bytes + step.weight_bytes + step.write_bytes) / 1e11;
        const double roof = roof_seconds(plan, step, machine);
        EXPECT_GE(roof, std::max({arithmetic, memory, 1e-5}));
        by_arithmetic |= roof == arithmetic;
        by_memory |= roof == memory;
        by_launch |= roof == 1e-5;
        sum += roof;
    }
    EXPECT_TRUE(by_arithmetic && by_memory && by_launch);
    EXPECT_DOUBLE_EQ(roof_seconds(plan, machine), sum);
    EXPECT_NE(as_table(plan, &machine).find("a model, not a measurement"), std::string::npos);
    const auto json = nlohmann::json::parse(as_json(plan, &machine));
    EXPECT_NEAR(json["totals"]["roof_us"].get<double>(), 1e6 * sum, 1e-3);
    EXPECT_THROW(boneage::plan::machine("toaster"), UsageError);

    EXPECT_DOUBLE_EQ(roof_seconds(planned(Precision::f16), machine), sum) << "as fast as bf16, and as small";
    const double tf32 = roof_seconds(planned(Precision::tf32), machine);
    EXPECT_GT(tf32, sum);
    EXPECT_LT(tf32, roof_seconds(planned(Precision::f32), machine));
}

}  // namespace
}  // namespace boneage::plan

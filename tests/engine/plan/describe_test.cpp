#include "engine/plan/describe.h"

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

}  // namespace
}  // namespace boneage::plan

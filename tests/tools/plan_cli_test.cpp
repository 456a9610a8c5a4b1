// boneage plan.
#include "tests/support/program.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace boneage::testing {
namespace {

nlohmann::json planned(const std::vector<std::string>& arguments) {
    std::vector<std::string> all{"plan", "--json"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Ran outcome = run_program(all);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return nlohmann::json::parse(outcome.out);
}

TEST(PlanCommand, tells_the_published_work_of_resnet34) {
    const auto one = planned({"resnet34", "--channels", "3", "--outputs", "1000", "--size", "224x224"});
    EXPECT_NEAR(one["totals"]["flops"].get<double>() / 2e9, 3.66, 0.01);
    const auto sixteen = planned({"resnet34", "--channels", "3", "--outputs", "1000", "--batch", "16"});
    EXPECT_EQ(sixteen["totals"]["flops"], 16 * one["totals"]["flops"].get<int64_t>());
    EXPECT_EQ(sixteen["totals"]["weight_bytes"], one["totals"]["weight_bytes"]);
}

TEST(PlanCommand, size_is_height_then_width) {
    const auto plan = planned({"unet", "--size", "64x32", "--depth", "2", "--precision", "bf16"});
    EXPECT_EQ(plan["height"], 64);
    EXPECT_EQ(plan["width"], 32);
    EXPECT_EQ(plan["steps"].back()["output"], (nlohmann::json{1, 64, 32, 1}));
    EXPECT_EQ(plan["steps"].back()["type"], "f32");
    EXPECT_EQ(planned({"unet", "--size", "64"})["width"], 64);
}

TEST(PlanCommand, takes_every_precision_and_says_which) {
    std::vector<double> roofs;
    for (const char* precision : {"f32", "tf32", "bf16", "f16"}) {
        const auto plan = planned({"resnet34", "--batch", "64", "--precision", precision, "--roof", "h200"});
        EXPECT_EQ(plan["precision"], precision);
        EXPECT_EQ(plan["steps"][1]["type"], std::string(precision).ends_with("32") ? "f32" : precision);
        roofs.push_back(plan["totals"]["roof_us"].get<double>());
    }
    EXPECT_GT(roofs[0], roofs[1]);
    EXPECT_GT(roofs[1], roofs[2]);
    EXPECT_EQ(roofs[2], roofs[3]);
}

TEST(PlanCommand, prints_a_table_with_totals) {
    const Ran outcome = run_program({"plan", "resnet34", "--sex-input"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    for (const char* part : {"layer4.2.conv2", "conv+bias+add+relu", "sex_fc", "total", "Arena"}) {
        EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
    }
}

TEST(PlanCommand, refuses_what_cannot_be_planned) {
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"plan", "vgg"},
                                               {"plan", "unet", "--size", "100x100"},
                                               {"plan", "unet", "--size", "0x16"},
                                               {"plan", "unet", "--size", "16x"},
                                               {"plan", "unet", "--size", "16x16x16"},
                                               {"plan", "unet", "--sex-input"},
                                               {"plan", "resnet34", "--batch", "0"},
                                               {"plan", "resnet34", "--precision", "f64"},
                                               {"plan"}}) {
        const Ran outcome = run_program(arguments);
        EXPECT_EQ(outcome.code, 2) << arguments.back();
        EXPECT_FALSE(outcome.err.empty()) << arguments.back();
        EXPECT_TRUE(outcome.out.empty()) << arguments.back();
    }
}

TEST(PlanCommand, counts_the_largest_it_takes_without_overflow) {
    const auto plan = planned({"unet", "--size", "8192", "--batch", "1024", "--base-width", "128", "--depth", "7",
                               "--channels", "3", "--outputs", "4096"});
    for (const auto& step : plan["steps"]) {
        for (const char* count : {"flops", "read_bytes", "weight_bytes", "write_bytes", "arena_offset"}) {
            EXPECT_GE(step[count].get<int64_t>(), 0) << step["layer"] << " " << count;
        }
    }
    EXPECT_GT(plan["totals"]["flops"].get<int64_t>(), 0);
}

}  // namespace
}  // namespace boneage::testing

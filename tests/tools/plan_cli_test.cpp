// boneage plan.
#include "tests/support/program.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

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

TEST(PlanCommand, a_training_step_goes_forward_once_and_back_about_twice) {
    const std::vector<std::string> network{"resnet34", "--channels", "3", "--batch", "2"};
    std::vector<std::string> training = network;
    training.emplace_back("--train");
    const auto plan = planned(training);
    const auto& totals = plan["totals"];
    EXPECT_EQ(totals["forward_flops"], planned(network)["totals"]["flops"]);
    const auto& conv1 = plan["steps"][0];
    EXPECT_EQ(conv1["layer"], "conv1");
    EXPECT_EQ(conv1["reads"][0]["name"], "image");
    EXPECT_EQ(conv1["reads"][0]["shape"], (nlohmann::json{2, 224, 224, 3}));
    EXPECT_EQ(conv1["writes"][0]["shape"], (nlohmann::json{2, 112, 112, 64}));
    EXPECT_EQ(totals["backward_flops"].get<int64_t>(),
              2 * totals["forward_flops"].get<int64_t>() - conv1["flops"].get<int64_t>())
        << "nobody needs the gradient of the image";
    EXPECT_EQ(totals["flops"].get<int64_t>(),
              totals["forward_flops"].get<int64_t>() + totals["backward_flops"].get<int64_t>());
}

TEST(PlanCommand, a_training_step_makes_the_gradient_of_every_parameter_once) {
    for (const char* network : {"resnet34", "unet"}) {
        const auto plan = planned({network, "--train", "--size", "64", "--batch", "2"});
        std::set<std::string> used;
        std::multiset<std::string> learned;
        for (const auto& step : plan["steps"]) {
            const auto names = [&](const char* of) { return step[of].get<std::vector<std::string>>(); };
            if (!step["backward"].get<bool>()) {
                std::ranges::copy(names("parameters"), std::inserter(used, used.end()));
            }
            std::ranges::copy(names("gradients"), std::inserter(learned, learned.end()));
        }
        EXPECT_GT(used.size(), 50U) << network;
        EXPECT_TRUE(std::ranges::equal(used, learned)) << network;
    }
}

TEST(PlanCommand, a_training_step_counts_its_memory) {
    const auto plan = planned({"resnet34", "--train", "--channels", "3", "--batch", "4"});
    const auto& totals = plan["totals"];
    const auto bytes = [&](const char* of) { return totals[std::string(of) + "_bytes"].get<int64_t>(); };
    constexpr int64_t kParameters = 21'284'672 + 513;  // of torchvision's ResNet34 but for its head, and the head
    EXPECT_GE(bytes("parameter"), 4 * kParameters);
    EXPECT_LT(bytes("parameter"), 4 * kParameters + 4 * 64 * 120) << "padding";
    EXPECT_EQ(bytes("gradient"), bytes("parameter"));
    EXPECT_EQ(bytes("moment"), 2 * bytes("parameter"));
    EXPECT_EQ(bytes("total"),
              bytes("arena") + bytes("parameter") + bytes("gradient") + bytes("moment") + bytes("statistic"));
    EXPECT_LE(bytes("live"), bytes("arena"));
    const auto half = planned({"resnet34", "--train", "--channels", "3", "--batch", "4", "--precision", "bf16"});
    EXPECT_NEAR(half["totals"]["arena_bytes"].get<double>(), 0.5 * static_cast<double>(bytes("arena")),
                0.1 * static_cast<double>(bytes("arena")));
}

TEST(PlanCommand, recomputing_takes_steps_and_saves_memory) {
    const auto kept = planned({"resnet34", "--train", "--batch", "4", "--precision", "bf16"});
    const auto again = planned({"resnet34", "--train", "--batch", "4", "--precision", "bf16", "--recompute"});
    EXPECT_GT(again["steps"].size(), kept["steps"].size());
    EXPECT_LT(again["totals"]["arena_bytes"], kept["totals"]["arena_bytes"]);
    EXPECT_EQ(again["totals"]["flops"], kept["totals"]["flops"]) << "convolutions are never made again";
}

TEST(PlanCommand, prints_a_training_step_as_a_table) {
    const Ran outcome = run_program({"plan", "unet", "--train", "--size", "32x64"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    for (const char* part : {"enc4.conv2/grad_input", "conv gradient, weight", "d_head.bias", "targets 1x32x64x1 f32",
                             "cross-entropy and Dice", "total", "Adam's two moments"}) {
        EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
    }
}

TEST(PlanCommand, measures_every_step_and_all_of_them) {
    const std::vector<std::string> network{"unet", "--size", "32", "--depth", "1", "--base-width", "4", "--measure"};
    for (const bool train : {false, true}) {
        std::vector<std::string> arguments = network;
        arguments.insert(arguments.end(), {"--threads", "1", "--batch", "2"});
        if (train) {
            arguments.emplace_back("--train");
        }
        const auto plan = planned(arguments);
        EXPECT_NE(plan["measured_on"].get<std::string>().find("threads: 1"), std::string::npos);
        double sum = 0.0;
        for (const auto& step : plan["steps"]) {
            EXPECT_GT(step["measured_us"].get<double>(), 0.0) << step["layer"];
            sum += step["measured_us"].get<double>();
            const bool convolves = step["operation"].get<std::string>().starts_with("conv");
            EXPECT_EQ(!step["implementation"].get<std::string>().empty(), convolves) << step["layer"];
        }
        EXPECT_GT(sum, 0.0);
        EXPECT_GT(plan["totals"]["measured_us"].get<double>(), 0.0);
        EXPECT_EQ(plan["totals"].contains("update_us"), train);

        std::vector<std::string> command{"plan"};
        command.insert(command.end(), arguments.begin(), arguments.end());
        const Ran table = run_program(command);
        EXPECT_EQ(table.code, 0) << table.err;
        for (const char* part : {"computed by", "measured us", "measured: on oneDNN", " images/s.\n"}) {
            EXPECT_NE(table.out.find(part), std::string::npos) << table.out;
        }
    }
    const Ran refused = run_program({"plan", "unet", "--threads", "2"});
    EXPECT_EQ(refused.code, 2);
    EXPECT_NE(refused.err.find("say how --measure computes"), std::string::npos) << refused.err;
}

TEST(PlanCommand, prints_a_gpus_steps_where_there_is_none) {
    const auto steps = [&](const char* device, const std::vector<std::string>& more) {
        std::vector<std::string> all{"resnet34", "--size", "64", "--batch", "2", "--device", device};
        all.insert(all.end(), more.begin(), more.end());
        return planned(all)["steps"];
    };
    EXPECT_TRUE(steps("cuda", {}) != steps("cpu", {})) << "a GPU adds to nothing in place";
    EXPECT_TRUE(steps("cuda", {}) == steps("cuda:3", {}));
    EXPECT_TRUE(steps("cuda", {"--train"}) == steps("cuda:3", {"--train"}));
    const auto roofed = planned({"resnet34", "--batch", "64", "--device", "cuda:0", "--roof", "h100"});
    EXPECT_GT(roofed["totals"]["roof_us"].get<double>(), 0.0);
}

TEST(PlanCommand, takes_the_devices_that_scoring_takes) {
    EXPECT_FALSE(planned({"unet", "--size", "64", "--device", "auto"})["steps"].empty());
    const Ran unknown = run_program({"plan", "unet", "--device", "cuda:x"});
    EXPECT_EQ(unknown.code, 2);
    EXPECT_NE(unknown.err.find("--device cuda:x is unknown"), std::string::npos) << unknown.err;
    const Ran missing = run_program({"plan", "unet", "--size", "64", "--device", "cuda:99", "--measure"});
    EXPECT_EQ(missing.code, 3);
    EXPECT_NE(missing.err.find("--device cuda:99 cannot be used: "), std::string::npos) << missing.err;
}

TEST(PlanCommand, says_why_a_training_step_cannot_be_planned) {
    const auto reason = [](const std::vector<std::string>& arguments) {
        std::vector<std::string> all{"plan", "resnet34", "--train"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        const Ran outcome = run_program(all);
        EXPECT_EQ(outcome.code, 2) << arguments.back();
        EXPECT_TRUE(outcome.out.empty()) << arguments.back();
        return outcome.err;
    };
    EXPECT_NE(reason({"--roof", "h200"}).find("--roof models scoring only"), std::string::npos);
    EXPECT_NE(reason({"--precision", "f16"}).find("small gradients would vanish"), std::string::npos);
    EXPECT_NE(reason({"--outputs", "2"}).find("one output channel"), std::string::npos);
    EXPECT_NE(reason({"--size", "32"}).find("sees one pixel"), std::string::npos);
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
                                               {"plan", "resnet34", "--recompute"},
                                               {"plan", "resnet34", "--precision", "f64"},
                                               {"plan"}}) {
        const Ran outcome = run_program(arguments);
        EXPECT_EQ(outcome.code, 2) << arguments.back();
        EXPECT_FALSE(outcome.err.empty()) << arguments.back();
        EXPECT_TRUE(outcome.out.empty()) << arguments.back();
    }
}

TEST(PlanCommand, says_what_is_wrong_with_a_size) {
    const auto reason = [](const std::vector<std::string>& arguments) {
        std::vector<std::string> all{"plan"};
        all.insert(all.end(), arguments.begin(), arguments.end());
        const Ran outcome = run_program(all);
        EXPECT_EQ(outcome.code, 2) << arguments.back();
        return outcome.err;
    };
    for (const char* size : {"100000", "0", "64x8193", "99999999999999999999"}) {
        EXPECT_NE(reason({"resnet34", "--size", size}).find("sides lie between 1 and 8192 pixels"), std::string::npos);
    }
    EXPECT_NE(reason({"resnet34", "--size", "wide"}).find("is not HEIGHTxWIDTH in pixels"), std::string::npos);
    EXPECT_NE(reason({"unet", "--size", "250x256"}).find("takes sides that 16 divides, not --size 250x256 (height x"),
              std::string::npos);
    EXPECT_NE(reason({"unet", "--train", "--depth", "5", "--size", "48"}).find("that 32 divides"), std::string::npos);
    EXPECT_NE(reason({"resnet34", "--depth", "3"}).find("--depth is for unet"), std::string::npos);
}

TEST(PlanCommand, says_which_side_is_the_height) {
    for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{{}, {"--train"}}) {
        std::vector<std::string> all{"plan", "unet", "--size", "32x64"};
        all.insert(all.end(), more.begin(), more.end());
        const Ran outcome = run_program(all);
        EXPECT_NE(outcome.out.find("32x64 pixels (height x width)"), std::string::npos) << outcome.out;
        EXPECT_NE(outcome.out.find("n x h x w x c"), std::string::npos) << outcome.out;
    }
    EXPECT_NE(run_program({"plan", "--help"}).out.find("--size HEIGHTxWIDTH"), std::string::npos);
    EXPECT_NE(run_program({"apply", "resize", "--help"}).out.find("the width first"), std::string::npos);
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

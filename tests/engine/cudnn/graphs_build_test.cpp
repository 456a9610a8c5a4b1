// Every cuDNN graph of the product's networks is built for several GPUs on a machine that has none. It shows that cuDNN
// accepts the graphs and has engines for them, not that they compute the right thing: tests on a device do that.
#include "tests/support/folder.h"

#include <cstdio>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <sstream>
#include <string>

namespace boneage::testing {
namespace {

struct Target {
    const char* device;
    int sm;
    const char* arithmetic;
    const char* purpose;
};

std::ostream& operator<<(std::ostream& out, const Target& target) {
    return out << target.arithmetic << " on sm_" << target.sm << ", " << target.purpose;
}

struct Builds {
    std::map<std::string, std::string> built;    // engine by graph
    std::map<std::string, std::string> refused;  // why by graph
};

// One process after the other, each from where the last one died.
Builds build_all(const Target& target) {
    constexpr int kMostProcesses = 20;
    Builds builds;
    size_t first = 0;
    for (int process = 0; process < kMostProcesses; ++process) {
        const std::string command = "LD_LIBRARY_PATH=" BONEAGE_NO_DEVICE_DRIVER ":" BONEAGE_CUDNN_LIBRARIES
                                    " timeout 600 " BONEAGE_BUILD_PLANS " " BONEAGE_DEVICES "/" +
                                    std::string(target.device) + ".json " + std::to_string(target.sm) + " " +
                                    target.arithmetic + " " + target.purpose + " " + std::to_string(first) +
                                    " 2>/dev/null";
        const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
        std::string output;
        for (int c = std::fgetc(pipe.get()); c != EOF; c = std::fgetc(pipe.get())) {
            output.push_back(static_cast<char>(c));
        }
        std::istringstream lines(output);
        std::string under_way;
        for (std::string line; std::getline(lines, line);) {
            std::istringstream words(line);
            std::string verdict;
            std::string rest;
            if (line == "end") {
                return builds;
            }
            words >> first >> verdict;
            std::getline(words, rest);
            ++first;
            if (verdict == "start") {
                under_way = rest;
            } else {
                (verdict == "built" ? builds.built : builds.refused)[under_way] = rest;
                under_way.clear();
            }
        }
        if (under_way.empty()) {
            ADD_FAILURE() << "nothing was built: " << command;
            return builds;
        }
        builds.refused[under_way] = " the process ended";
    }
    ADD_FAILURE() << "more than " << kMostProcesses << " processes ended";
    return builds;
}

class GraphsBuild : public ::testing::TestWithParam<Target> {};

TEST_P(GraphsBuild, without_a_device) {
    const Builds builds = build_all(GetParam());
    // ResNet34 has 16 different convolutions, the first one for one channel or three; a U-Net has 20 or more.
    EXPECT_GT(builds.built.size(), 55U);
    for (const auto& [name, why] : builds.refused) {
        ADD_FAILURE() << name << ":" << why;
    }
}

TEST(CudnnLibrary, one_that_cannot_be_loaded_is_a_sentence_that_says_what_to_do) {
    const Folder folder;
    folder.write("libcudnn.so.9", "no library");
    const std::string command = "LD_LIBRARY_PATH=" + folder.path().string() +
                                ":" BONEAGE_NO_DEVICE_DRIVER " " BONEAGE_BUILD_PLANS " " BONEAGE_DEVICES
                                "/h200.json 90 f32 scoring 0 2>/dev/null";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string output(4096, '\0');
    output.resize(std::fread(output.data(), 1, output.size(), pipe.get()));
    EXPECT_NE(output.find("0 refused cuDNN 9 cannot be loaded ("), std::string::npos) << output;
    EXPECT_NE(output.find("): install it, add its folder to LD_LIBRARY_PATH, or use --device cpu\n"), std::string::npos)
        << output;
}

std::vector<Target> targets() {
    std::vector<Target> all;
    for (const auto& [device, sm] : {std::pair{"a100", 80}, {"l40s", 89}, {"h200", 90}}) {
        for (const char* arithmetic : {"f32", "tf32", "bf16", "f16"}) {
            all.push_back({device, sm, arithmetic, "scoring"});
            if (std::string_view(arithmetic) != "f16") {  // nothing is trained in it
                all.push_back({device, sm, arithmetic, "training"});
            }
        }
    }
    return all;
}

INSTANTIATE_TEST_SUITE_P(Devices, GraphsBuild, ::testing::ValuesIn(targets()), [](const auto& each) {
    return std::string(each.param.device) + "_" + each.param.arithmetic + "_" + each.param.purpose;
});

}  // namespace
}  // namespace boneage::testing

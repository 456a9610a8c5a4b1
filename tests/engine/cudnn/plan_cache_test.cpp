#include "engine/cudnn/plan_cache.h"

#include "engine/cudnn/same_engine.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <sstream>
#include <unistd.h>

namespace boneage::cudnn {
namespace {

class PlanCacheTest : public ::testing::Test {
protected:
    PlanCacheTest()
        : folder_(std::filesystem::temp_directory_path() / ("boneage-cache-" + std::to_string(::getpid()))),
          cache_(folder_ / "made" / "when-needed") {}
    ~PlanCacheTest() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    [[nodiscard]] std::filesystem::path only_file() const {
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(folder_ / "made" / "when-needed")) {
            files.push_back(entry.path());
        }
        EXPECT_EQ(files.size(), 1U) << "nothing is left aside";
        return files.at(0);
    }

    std::filesystem::path folder_;
    PlanCache cache_;
};

const std::vector<uint8_t> kPlan{1, 2, 3, 0, 255, 10, 7};

TEST_F(PlanCacheTest, gives_back_what_was_stored_under_the_same_key_only) {
    EXPECT_FALSE(cache_.find("a"));
    cache_.store("a", kPlan);
    EXPECT_EQ(cache_.find("a"), kPlan);
    EXPECT_FALSE(cache_.find("b"));
    cache_.store("a", {9});
    EXPECT_EQ(cache_.find("a"), std::vector<uint8_t>{9});
    cache_.remove("a");
    EXPECT_FALSE(cache_.find("a"));
}

TEST_F(PlanCacheTest, never_uses_a_file_that_was_cut_or_damaged) {
    cache_.store("key", kPlan);
    const std::filesystem::path file = only_file();
    std::ostringstream contents;
    contents << std::ifstream(file, std::ios::binary).rdbuf();
    const std::string whole = contents.str();
    for (size_t length = 0; length < whole.size(); ++length) {
        std::ofstream(file, std::ios::binary) << whole.substr(0, length);
        EXPECT_FALSE(cache_.find("key")) << "cut to " << length;
    }
    for (size_t i = 0; i < whole.size(); ++i) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
        std::ofstream(file, std::ios::binary) << damaged;
        EXPECT_FALSE(cache_.find("key")) << "byte " << i;
    }
    std::ofstream(file, std::ios::binary) << whole;
    EXPECT_EQ(cache_.find("key"), kPlan);
}

TEST_F(PlanCacheTest, does_without_a_folder_and_without_being_allowed_to_write) {
    const PlanCache none("");
    none.store("a", kPlan);
    EXPECT_FALSE(none.find("a"));
    const PlanCache forbidden("/proc/boneage");
    forbidden.store("a", kPlan);
    EXPECT_FALSE(forbidden.find("a"));
}

TEST(PlanKey, is_another_one_for_every_circumstance_that_changes) {
    const Circumstances usual{.cudnn = 91900,
                              .frontend = 12300,
                              .rules = 1,
                              .cuda = 13000,
                              .driver = "NVRM version: 580.82.07",
                              .device = "NVIDIA H200",
                              .compute_capability = 90,
                              .multiprocessors = 132,
                              .measured = false,
                              .engine_batch = 64};
    std::set<std::string> keys{key_of("a", usual), key_of("b", usual)};
    const auto with = [&](auto&& change) {
        Circumstances changed = usual;
        change(changed);
        keys.insert(key_of("a", changed));
    };
    with([](Circumstances& c) { c.cudnn = 92000; });
    with([](Circumstances& c) { c.frontend = 12400; });
    with([](Circumstances& c) { c.rules = 2; });
    with([](Circumstances& c) { c.cuda = 13010; });
    with([](Circumstances& c) { c.driver = "NVRM version: 580.95.05"; });
    with([](Circumstances& c) { c.driver.clear(); });
    with([](Circumstances& c) { c.device = "NVIDIA H100"; });
    with([](Circumstances& c) { c.compute_capability = 100; });
    with([](Circumstances& c) { c.multiprocessors = 114; });
    with([](Circumstances& c) { c.measured = true; });
    with([](Circumstances& c) { c.engine_batch = 32; });
    with([](Circumstances& c) { c.engine_batch.reset(); });
    EXPECT_EQ(keys.size(), 14U);
}

TEST_F(PlanCacheTest, driver_release_is_the_first_line_of_the_kernels_file_or_nothing) {
    std::filesystem::create_directories(folder_);
    const std::filesystem::path file = folder_ / "version";
    EXPECT_EQ(driver_release(file), "");
    std::ofstream(file) << "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
                           "GCC version:  gcc version 12.2.0\n";
    EXPECT_EQ(driver_release(file),
              "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023");
}

TEST(SameOrOther, makes_another_plan_and_says_why_only_where_the_same_engine_is_refused) {
    std::vector<std::string> said;
    const auto refused = [&](const char* why) { said.emplace_back(why); };
    const auto other = [] { return std::string("other"); };
    EXPECT_EQ(same_or_other([] { return std::string("same"); }, other, refused), "same");
    EXPECT_TRUE(said.empty());
    EXPECT_EQ(same_or_other([]() -> std::string { throw DeviceError("no"); }, other, refused), "other");
    EXPECT_EQ(said, std::vector<std::string>{"no"});
    EXPECT_THROW(same_or_other([]() -> std::string { throw OutOfDeviceMemory("full"); }, other, refused),
                 OutOfDeviceMemory);
    EXPECT_THROW(same_or_other([]() -> std::string { throw ContractError("wrong"); }, other, refused), ContractError);
    EXPECT_EQ(said.size(), 1U);
}

TEST(CacheFolder, is_the_programs_own_then_the_desktops_then_the_homes) {
    ::setenv("HOME", "/somewhere", 1);
    ::unsetenv("XDG_CACHE_HOME");
    ::unsetenv("BONEAGE_CACHE");
    EXPECT_EQ(cache_folder(), "/somewhere/.cache/boneage");
    ::setenv("XDG_CACHE_HOME", "/cache", 1);
    EXPECT_EQ(cache_folder(), "/cache/boneage");
    ::setenv("BONEAGE_CACHE", "/own", 1);
    EXPECT_EQ(cache_folder(), "/own");
    ::unsetenv("BONEAGE_CACHE");
    ::unsetenv("XDG_CACHE_HOME");
    ::unsetenv("HOME");
    EXPECT_TRUE(cache_folder().empty());
}

}  // namespace
}  // namespace boneage::cudnn

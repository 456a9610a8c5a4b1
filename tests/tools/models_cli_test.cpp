// boneage init and boneage inspect.
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/refusal.h"
#include "tests/support/safetensors_bytes.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace boneage::testing {
namespace {

namespace fs = std::filesystem;

class ModelsTest : public ::testing::Test {
protected:
    // Writes a small model and gives its path.
    std::string small_unet(const std::string& name, const std::string& seed = "1") {
        std::string path = (folder_ / name).string();
        const Ran outcome =
            run_program({"init", "unet", "--depth", "1", "--base-width", "2", "--seed", seed, "-o", path});
        EXPECT_EQ(outcome.code, 0) << outcome.err;
        EXPECT_NE(outcome.out.find("untrained"), std::string::npos) << outcome.out;
        return path;
    }

    Folder folder_;
};

TEST_F(ModelsTest, what_init_writes_inspect_tells) {
    const std::string path = (folder_ / "m.safetensors").string();
    ASSERT_EQ(run_program({"init", "resnet34", "--channels", "3", "--hidden", "7", "--type", "bf16", "-o", path}).code,
              0);
    const Ran text = run_program({"inspect", path, "--tensors"});
    ASSERT_EQ(text.code, 0) << text.err;
    for (const char* part :
         {"resnet34", "trained", "no:", "layer4.2.bn2.num_batches_tracked", "[64,3,7,7]", "recipe"}) {
        EXPECT_NE(text.out.find(part), std::string::npos) << part;
    }
    const Ran json = run_program({"inspect", path, "--json"});
    const nlohmann::json told = nlohmann::json::parse(json.out);
    EXPECT_EQ(told["architecture"]["hidden"], 7);
    EXPECT_EQ(told["architecture"]["sex_input"], true);
    EXPECT_EQ(told["trained"], false);
    EXPECT_EQ(told["file_bytes"], fs::file_size(path));
    EXPECT_TRUE(told["recipe"].contains("clahe"));
    EXPECT_EQ(told["tensors"][0]["name"], "conv1.weight");
    EXPECT_EQ(told["tensors"][0]["dtype"], "BF16");
    EXPECT_EQ(told["tensors"][0]["shape"], (nlohmann::json{64, 3, 7, 7}));
}

TEST_F(ModelsTest, the_recipe_that_inspect_tells_is_one_that_init_takes) {
    const std::string first = small_unet("first.safetensors");
    nlohmann::json recipe = nlohmann::json::parse(run_program({"inspect", first, "--json"}).out)["recipe"];
    recipe["clahe"]["clip_limit"] = 3.5;
    const std::string file = folder_.write("recipe.json", recipe.dump()).string();
    const std::string second = (folder_ / "second.safetensors").string();
    ASSERT_EQ(run_program({"init", "unet", "--depth", "1", "--recipe", file, "-o", second}).code, 0);
    EXPECT_EQ(nlohmann::json::parse(run_program({"inspect", second, "--json"}).out)["recipe"], recipe);
    folder_.write("recipe.json", "{}");
    const Ran bad = run_program({"init", "unet", "--recipe", file, "-o", second});
    EXPECT_EQ(not_refused(bad, 2), "");
    EXPECT_NE(bad.err.find(file + ": recipe: contrast is missing"), std::string::npos) << bad.err;
    EXPECT_EQ(not_refused(run_program({"init", "unet", "--recipe", file, "-o", file}), 2), "");
    EXPECT_EQ(read_text(file), "{}");
    EXPECT_EQ(not_refused(run_program({"init", "unet", "--recipe", "no such", "-o", second}), 2), "");
}

TEST_F(ModelsTest, new_models_fit_the_shipped_ones) {
    const std::string weights = (folder_ / "i.safetensors").string();
    const std::string segmenter = (folder_ / "u.safetensors").string();
    ASSERT_EQ(run_program({"init", "resnet34", "--base-width", "2", "-o", weights}).code, 0);
    ASSERT_EQ(run_program({"init", "unet", "--base-width", "8", "--start", "brightness", "-o", segmenter}).code, 0);
    const std::string image = BONEAGE_TEST_DATA "/radiographs/4332.png";
    for (const std::vector<std::string>& models : std::vector<std::vector<std::string>>{
             {"--weights", weights, "--segmenter", BONEAGE_TEST_WEIGHTS "/unet.safetensors"},
             {"--weights", BONEAGE_TEST_WEIGHTS "/resnet34.safetensors", "--segmenter", segmenter}}) {
        std::vector<std::string> command{"score", image};
        command.insert(command.end(), models.begin(), models.end());
        const Ran ran = run_program(command);
        EXPECT_EQ(ran.code, 0) << ran.err;
    }
}

TEST_F(ModelsTest, a_model_may_be_converted_onto_itself) {
    const std::string path = small_unet("m.safetensors");
    const auto before = fs::file_size(path);
    ASSERT_EQ(run_program({"convert", path, path, "--type", "f16"}).code, 0);
    EXPECT_LT(fs::file_size(path), before);
    EXPECT_EQ(run_program({"inspect", path}).code, 0);
    const std::string card = folder_.write("CARD.md", "About it.").string();
    EXPECT_EQ(not_refused(run_program({"convert", path, card, "--card", card}), 2), "");
    EXPECT_EQ(read_text(card), "About it.");
}

TEST_F(ModelsTest, the_same_seed_writes_the_same_bytes) {
    const std::string one = read_text(small_unet("one", "5"));
    EXPECT_EQ(one, read_text(small_unet("two", "5")));
    EXPECT_NE(one, read_text(small_unet("three", "6")));
}

TEST_F(ModelsTest, a_place_that_cannot_be_written_fails_the_run) {
    const std::string file = folder_.write("file", "kept").string();
    for (const std::string& out : {file + "/below", (folder_ / "no/folder").string(), folder_.path().string(),
                                   std::string("/dev/full"), std::string("/proc/model")}) {
        EXPECT_EQ(not_refused(run_program({"init", "unet", "--depth", "1", "-o", out}), 3), "") << out;
    }
    EXPECT_EQ(read_text(file), "kept");
}

TEST_F(ModelsTest, inspect_refuses_what_is_no_weights_file) {
    const std::vector<std::string> files{
        (folder_ / "missing").string(), folder_.path().string(), folder_.write("empty", "").string(),
        folder_.write("text", "These are no weights, but words.").string(),
        folder_
            .write("overlap", safetensors_bytes(R"({"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                                                R"("b":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})",
                                                8))
            .string()};
    for (const std::string& file : files) {
        const Ran outcome = run_program({"inspect", file});
        EXPECT_EQ(not_refused(outcome, 2), "") << file;
        EXPECT_NE(outcome.err.find(file), std::string::npos) << outcome.err;
    }
}

TEST_F(ModelsTest, inspect_tells_tensors_without_a_model_too) {
    const std::string file =
        folder_.write("plain", safetensors_bytes(R"({"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", 8))
            .string();
    const Ran outcome = run_program({"inspect", file});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("none: tensors without"), std::string::npos) << outcome.out;
}

// Where each tensor begins, where the last ends, and one byte before and after each of these.
TEST_F(ModelsTest, weights_cut_at_any_tensor_boundary_are_refused) {
    const std::string whole = read_text(small_unet("whole.safetensors"));
    const nlohmann::json told =
        nlohmann::json::parse(run_program({"inspect", (folder_ / "whole.safetensors").string(), "--json"}).out);
    size_t boundary = whole.size() - told["data_bytes"].get<size_t>();
    std::vector<size_t> lengths{0, 1, 7, 8, 9, boundary - 1};
    for (const nlohmann::json& tensor : told["tensors"]) {
        lengths.insert(lengths.end(), {boundary, boundary + 1});
        boundary += tensor["bytes"].get<size_t>();
        lengths.push_back(boundary - 1);
    }
    ASSERT_EQ(boundary, whole.size());
    for (const size_t length : lengths) {
        const std::string cut = folder_.write("cut.safetensors", std::string_view(whole).substr(0, length)).string();
        EXPECT_EQ(not_refused(run_program({"inspect", cut}), 2), "") << length << " of " << whole.size() << " bytes";
    }
}

}  // namespace
}  // namespace boneage::testing

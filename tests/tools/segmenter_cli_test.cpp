// What a model was trained with is what it is scored with: the segmenter, from `prepare` to `score`.
#include "engine/io/segmenter_mark.h"
#include "tests/support/program.h"
#include "tests/support/refusal.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace boneage::testing {
namespace {

const std::string kSmall = BONEAGE_TEST_DATA "/small";
const std::string kSegmenter = BONEAGE_TEST_MODELS "/unet.safetensors";

class SegmenterCliTest : public ::testing::Test {
protected:
    SegmenterCliTest() { ::setenv("BONEAGE_WEIGHTS", BONEAGE_TEST_MODELS, 1); }
    ~SegmenterCliTest() override { ::unsetenv("BONEAGE_WEIGHTS"); }

    [[nodiscard]] std::string at(const std::string& name) const { return (folder_ / name).string(); }
    // A model trained for an epoch on what `prepare` makes with these options.
    std::string model(const std::string& name, const std::vector<std::string>& options) const {
        std::ifstream given(kSmall + "/labels.csv");
        std::string labels;
        std::string line;
        for (int row = 0; std::getline(given, line); ++row) {
            labels += line + (row == 0 ? ",split\n" : row % 3 == 0 ? ",val\n" : ",train\n");
        }
        std::vector<std::string> prepare{
            "prepare", kSmall, "--labels", folder_.write("labels.csv", labels), "-o", at(name + "-cache")};
        prepare.insert(prepare.end(), options.begin(), options.end());
        const Ran prepared = run_program(prepare);
        EXPECT_EQ(prepared.code, 0) << prepared.err;
        const Ran trained = run_program({"train", at(name + "-cache"), "-o", at(name), "--epochs", "1", "--batch", "4",
                                         "--base-width", "8", "--threads", "1", "--device", "cpu"});
        EXPECT_EQ(trained.code, 0) << trained.err;
        return at(name + "/resnet34.safetensors");
    }
    Ran score(const std::string& weights, const std::vector<std::string>& more) const {
        std::vector<std::string> all{"score", kSmall, "--weights", weights, "--device", "cpu", "-o", at("scores.csv")};
        all.insert(all.end(), more.begin(), more.end());
        return run_program(all);
    }
    // A segmenter of the same shape with other numbers.
    [[nodiscard]] std::string other_segmenter() const {
        const io::ModelFile model(kSegmenter);
        const plan::ParameterSource source = model.parameters();
        const auto other = [&](std::string_view name) {
            std::vector<float> values = source(name);
            values[0] += name == "head.bias" ? 1.0F : 0.0F;
            return values;
        };
        std::filesystem::create_directories(folder_ / "other");
        io::write_model(at("other/unet.safetensors"), model.card(), other, io::StoredType::f32);
        return at("other/unet.safetensors");
    }

    Folder folder_;
};

size_t count_of(const std::string& text, const std::string& part) {
    size_t count = 0;
    for (size_t i = text.find(part); i != std::string::npos; i = text.find(part, i + 1)) {
        ++count;
    }
    return count;
}

TEST_F(SegmenterCliTest, a_model_trained_without_one_is_scored_without_one_and_says_so) {
    const std::string plain = model("plain", {"--canvas", "120", "--input", "64x80"});
    const Ran ran = score(plain, {});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(count_of(ran.err, "was trained without a segmenter: the whole image counts as hand"), 2U) << ran.err;
    EXPECT_EQ(count_of(ran.err, "WARNING"), 0U) << ran.err;
    const Ran told = run_program({"inspect", plain});
    EXPECT_NE(told.out.find("trained without a segmenter"), std::string::npos) << told.out;
    EXPECT_EQ(nlohmann::json::parse(run_program({"inspect", plain, "--json"}).out)["segmenter"], "none");
}

TEST_F(SegmenterCliTest, a_model_trained_with_one_takes_that_one_and_warns_of_any_other) {
    const std::string weights = model("hands", {"--segmenter", kSegmenter});
    const std::string mark = io::segmenter_mark(io::ModelFile(kSegmenter));
    EXPECT_EQ(nlohmann::json::parse(run_program({"inspect", weights, "--json"}).out)["segmenter"], mark);
    const Ran same = score(weights, {});
    EXPECT_EQ(same.code, 0) << same.err;
    EXPECT_EQ(same.err.find("was trained"), std::string::npos) << same.err;

    const std::string other = other_segmenter();
    for (const std::string& given : {other, std::string("none")}) {
        const Ran ran = score(weights, {"--segmenter", given});
        EXPECT_EQ(ran.code, 0) << ran.err;
        EXPECT_EQ(count_of(ran.err, "WARNING: " + weights + " was trained with the segmenter unet.safetensors"), 2U)
            << ran.err;
    }
    ::setenv("BONEAGE_WEIGHTS", at("other").c_str(), 1);
    const Ran refused = score(weights, {});
    EXPECT_EQ(not_refused(refused, 2), "");
    EXPECT_NE(refused.err.find(", not with " + other + "; name the right one with --segmenter"), std::string::npos)
        << refused.err;
    ::setenv("BONEAGE_WEIGHTS", at("nowhere").c_str(), 1);
    EXPECT_NE(score(weights, {}).err.find("none was found; name it with --segmenter"), std::string::npos);
}

TEST_F(SegmenterCliTest, a_mark_does_not_depend_on_cards_and_names) {
    const io::ModelFile model(kSegmenter);
    io::ModelCard card = model.card();
    card.card = "another text";
    io::write_model(at("renamed.safetensors"), card, model.parameters(), io::StoredType::f32);
    const std::string renamed = io::segmenter_mark(io::ModelFile(at("renamed.safetensors")));
    EXPECT_TRUE(io::same_segmenter(renamed, io::segmenter_mark(model)));
    EXPECT_FALSE(io::same_segmenter(io::segmenter_mark(io::ModelFile(other_segmenter())), renamed));
    EXPECT_FALSE(io::same_segmenter(renamed, io::kNoSegmenter));
    EXPECT_EQ(io::segmenter_text(renamed), "with the segmenter renamed.safetensors (" + renamed.substr(0, 8) + ")");
}

}  // namespace
}  // namespace boneage::testing

// The engine as a library, as programs other than this project's would use it.
#include "engine/session.h"

#include "engine/io/segmenter_mark.h"
#include "tests/support/folder.h"
#include "tests/support/pipeline_cases.h"

#include <gtest/gtest.h>

namespace boneage::session {
namespace {

using testing::error_of;

class SessionTest : public ::testing::Test {
protected:
    // A segmenter that takes for hand what is brighter than `level`.
    [[nodiscard]] std::string segmenter(const std::string& name, float level) const {
        std::string path = (folder_ / name).string();
        io::write_model(path, {testing::kBrightSpec, recipe_, true, "For tests."}, testing::bright_weights(level),
                        io::StoredType::f32);
        return path;
    }
    [[nodiscard]] std::string weights(const std::string& name, const std::optional<std::string>& mark) const {
        std::string path = (folder_ / name).string();
        io::write_model(path, {testing::kSmallSpec, recipe_, true, "For tests.", mark},
                        testing::initial_weights(net::resnet34(testing::kSmallSpec), 3), io::StoredType::f32);
        return path;
    }
    // What a Session of these warns of.
    static std::vector<std::string> cautions(const std::string& weights, const std::optional<std::string>& segmenter,
                                             bool other_segmenter) {
        Options options;
        options.weights = weights;
        options.segmenter = segmenter;
        options.other_segmenter = other_segmenter;
        return Session(options).facts().cautions;
    }
    static std::string refusal(const std::string& weights, const std::optional<std::string>& segmenter) {
        return error_of<UsageError>([&] { cautions(weights, segmenter, false); });
    }

    const std::string recipe_ = pipeline::to_json(testing::small_recipe());
    testing::Folder folder_;
    const std::string own_ = segmenter("own.safetensors", 0.5F);
    const std::string other_ = segmenter("other.safetensors", 0.4F);
    const std::string mark_ = io::segmenter_mark(io::ModelFile(own_));
};

TEST_F(SessionTest, weights_are_scored_with_the_segmenter_that_they_were_trained_with) {
    const std::string trained = weights("trained.safetensors", mark_);
    EXPECT_TRUE(cautions(trained, own_, false).empty());
    EXPECT_TRUE(cautions(trained, own_, true).empty());
    const std::string begin = trained + " was trained " + io::segmenter_text(mark_) + ", ";
    EXPECT_EQ(refusal(trained, other_), begin + "not with " + other_ + "; name the right one with --segmenter");
    EXPECT_EQ(refusal(trained, std::nullopt), begin + "not without one; name the right one with --segmenter");
    const std::string used = io::segmenter_text(io::segmenter_mark(io::ModelFile(other_)));
    EXPECT_EQ(cautions(trained, other_, true),
              std::vector<std::string>{begin + "but is scored " + used + ": expect other ages"});
    EXPECT_EQ(cautions(trained, std::nullopt, true),
              std::vector<std::string>{begin + "but is scored without a segmenter: expect other ages"});
}

TEST_F(SessionTest, weights_that_were_trained_without_a_segmenter_are_scored_without_one) {
    const std::string trained = weights("trained.safetensors", std::string(io::kNoSegmenter));
    EXPECT_TRUE(cautions(trained, std::nullopt, false).empty());
    EXPECT_EQ(refusal(trained, own_),
              trained + " was trained without a segmenter, not with " + own_ + "; name the right one with --segmenter");
}

TEST_F(SessionTest, weights_that_do_not_know_take_any_segmenter) {
    const std::string trained = weights("trained.safetensors", std::nullopt);
    for (const std::optional<std::string>& segmenter :
         {std::optional(own_), std::optional(other_), std::optional<std::string>()}) {
        EXPECT_TRUE(cautions(trained, segmenter, false).empty());
    }
}

}  // namespace
}  // namespace boneage::session

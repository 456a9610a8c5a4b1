#include "engine/pipeline/recipe.h"

#include "kernels/base/error.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace boneage::pipeline {
namespace {

using Json = nlohmann::ordered_json;

Json default_json() {
    return Json::parse(to_json(Recipe{}));
}

std::string refusal(const std::string& text) {
    try {
        recipe_from_json(text);
    } catch (const UsageError& e) {
        return e.what();
    }
    return "accepted";
}

std::string refusal(const Json& json) {
    return refusal(json.dump());
}

TEST(Recipe, survives_being_written_and_read) {
    Recipe recipe;
    recipe.contrast.threshold = 0.1 / 3.0;
    recipe.polarity.mode = PolarityMode::invert;
    recipe.canvas = {640, CanvasFilter::linear};
    recipe.segment.step = 1.0 / 3.0;
    recipe.contours = {false, true};
    recipe.dilate = {DilateElement::cross, 3, 5, 2};
    recipe.sharpen = {SharpenMode::laplacian8, 0.7, false};
    recipe.input.mean = {0.1, 0.2, 0.3};
    recipe.age.mean_months = 130.123456789;
    EXPECT_EQ(recipe_from_json(to_json(recipe)), recipe);
    EXPECT_EQ(recipe_from_json(to_json(Recipe{})), Recipe{});
}

TEST(Recipe, every_missing_field_is_named) {
    int64_t fields = 0;
    const Json all = default_json();
    for (const auto& [group, members] : all.items()) {
        for (const auto& [field, value] : members.items()) {
            Json json = default_json();
            json[group].erase(field);
            EXPECT_EQ(refusal(json), "recipe: " + group + "." + field + " is missing");
            ++fields;
        }
        Json json = default_json();
        json.erase(group);
        EXPECT_EQ(refusal(json), "recipe: " + group + " is missing");
    }
    EXPECT_EQ(fields, 31);
}

TEST(Recipe, every_field_of_a_wrong_type_is_named) {
    const Json all = default_json();
    for (const auto& [group, members] : all.items()) {
        for (const auto& [field, value] : members.items()) {
            Json json = default_json();
            json[group][field] = Json::object();
            EXPECT_NE(refusal(json).find("recipe: " + group + "." + field + " must be "), std::string::npos)
                << refusal(json);
        }
    }
}

TEST(Recipe, every_number_out_of_range_is_named) {
    const Json all = default_json();
    for (const auto& [group, members] : all.items()) {
        for (const auto& [field, value] : members.items()) {
            if (!value.is_number()) {
                continue;
            }
            for (const int64_t wrong : {int64_t{-100000}, int64_t{100000000}}) {
                Json json = default_json();
                json[group][field] = wrong;
                EXPECT_NE(refusal(json).find("recipe: " + group + "." + field + " must lie between"), std::string::npos)
                    << refusal(json);
            }
        }
    }
}

TEST(Recipe, unknown_fields_are_refused) {
    Json json = default_json();
    json["clahe"]["tiles"] = 8;
    EXPECT_EQ(refusal(json), "recipe: clahe.tiles is not a field of this version");
    json = default_json();
    json["gamma"] = 1.0;
    EXPECT_EQ(refusal(json), "recipe: gamma is not a field of this version");
}

TEST(Recipe, other_refusals_say_what_is_wrong) {
    EXPECT_EQ(refusal(std::string("{\"contrast\":")), "recipe: not valid JSON at byte 13");
    EXPECT_EQ(refusal(std::string("[]")), "recipe: must be a JSON object");
    Json json = default_json();
    json["sharpen"]["kernel"] = "laplace";
    EXPECT_EQ(refusal(json),
              "recipe: sharpen.kernel must be one of none, laplacian4, laplacian8, unsharp, not \"laplace\"");
    json = default_json();
    json["canvas"]["long_side"] = 512.5;
    EXPECT_EQ(refusal(json), "recipe: canvas.long_side must be a whole number");
    json["canvas"]["long_side"] = 18446744073709551615ULL;
    EXPECT_EQ(refusal(json), "recipe: canvas.long_side must lie between 16.0 and 8192.0, not 8193.0");
    json = default_json();
    json["segment"]["min_fraction"] = 0.9;
    json["segment"]["max_fraction"] = 0.1;
    EXPECT_EQ(refusal(json), "recipe: segment.min_fraction must not exceed segment.max_fraction");
}

TEST(Recipe, a_segmenter_made_for_another_canvas_is_refused) {
    Recipe segmenter;
    segmenter.segment.threshold = 0.4;  // how its answer is used is not the segmenter's business
    EXPECT_NO_THROW(check_segmenter_recipe(Recipe{}, segmenter));
    segmenter.canvas.long_side = 256;
    try {
        check_segmenter_recipe(Recipe{}, segmenter);
        FAIL() << "accepted";
    } catch (const UsageError& e) {
        EXPECT_STREQ(e.what(),
                     "the segmenter was made for canvas.long_side 256, but the weights' recipe has 288; give "
                     "--segmenter a model of the same recipe, or --segmenter none");
    }
}

}  // namespace
}  // namespace boneage::pipeline

#include "engine/pipeline/preparer.h"

#include "kernels/image/normalise.h"
#include "tests/support/naive_backend.h"
#include "tests/support/pipeline_cases.h"

#include <cstring>
#include <gtest/gtest.h>
#include <map>

namespace boneage::pipeline {
namespace {

using testing::bright_models;
using testing::disc;
using testing::flat;
using testing::small_recipe;

std::vector<float> input_of(Preparer& preparer, const Recipe& recipe, int64_t channels) {
    std::vector<float> input(static_cast<size_t>(recipe.input.height * recipe.input.width * channels));
    preparer.input({input.data(), 1, recipe.input.height, recipe.input.width, channels});
    return input;
}

// The picture as training normalises it.
std::vector<float> normalised(const HostImage<uint8_t>& picture, const Recipe& recipe, int64_t channels) {
    NormaliseParams params;
    for (size_t c = 0; c < 3; ++c) {
        params.mean[c] = static_cast<float>(recipe.input.mean[c]);
        params.deviation[c] = static_cast<float>(recipe.input.deviation[c]);
    }
    Workers workers(1);
    std::vector<float> values(static_cast<size_t>(picture.view().pixels() * channels));
    normalise<uint8_t, float>(workers, one<const uint8_t>(picture.view()),
                              {values.data(), 1, picture.height(), picture.width(), channels}, params);
    return values;
}

TEST(Preparer, an_8_bit_picture_normalised_is_the_input_bit_for_bit) {
    testing::NaiveBackend backend;
    Recipe recipe = small_recipe();
    recipe.input.width = 45;  // the picture does not fill it in either direction
    recipe.input.mean = {0.485, 0.456, 0.406};
    recipe.input.deviation = {0.229, 0.224, 0.225};
    Preparer preparer(recipe, 1, bright_models(recipe).segmenter, backend);
    for (const auto& [height, width] : {std::pair{96, 128}, std::pair{131, 77}, std::pair{20, 200}}) {
        io::DecodedImage image = disc(height, width);
        ASSERT_EQ(preparer.prepare(image).status, Status::ok);
        const HostImage<uint8_t> picture(recipe.input.height, recipe.input.width);
        preparer.picture(picture.view());
        for (const int64_t channels : {1, 3}) {
            const std::vector<float> want = input_of(preparer, recipe, channels);
            const std::vector<float> got = normalised(picture, recipe, channels);
            EXPECT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0) << height << "x" << width;
        }
        EXPECT_GT(*std::max_element(picture.view().data, picture.view().data + picture.view().pixels()), 100);
    }
}

TEST(Preparer, a_16_bit_picture_is_the_input_with_normalisation_undone) {
    testing::NaiveBackend backend;
    const Recipe recipe = small_recipe();
    Preparer preparer(recipe, 1, bright_models(recipe).segmenter, backend);
    io::DecodedImage image = disc<uint16_t>(96, 128);
    ASSERT_EQ(preparer.prepare(image).status, Status::ok);
    const HostImage<uint8_t> picture(recipe.input.height, recipe.input.width);
    preparer.picture(picture.view());
    std::vector<float> input = input_of(preparer, recipe, 1);
    HostImage<uint8_t> want;
    picture_of_input({input.data(), 1, recipe.input.height, recipe.input.width, 1}, recipe.input, want);
    EXPECT_EQ(std::memcmp(picture.view().data, want.view().data, static_cast<size_t>(want.view().pixels())), 0);
}

TEST(Preparer, every_16_bit_value_becomes_the_nearest_8_bit_one) {
    for (int value = 0; value <= 65535; ++value) {
        ASSERT_EQ(to_eight_bits(static_cast<uint16_t>(value)), std::lround(value * 255.0 / 65535.0)) << value;
    }
}

TEST(Preparer, a_squashed_radiograph_gets_the_canvas_of_its_original) {
    const Recipe recipe = small_recipe();
    Preparer preparer(recipe, 1);
    const auto sizes = [&](io::DecodedImage image, const std::optional<ImageSize>& true_size) {
        std::map<Stage, ImageSize> seen;
        const Result result = preparer.prepare(image, true_size, [&](Stage stage, const StagePicture& picture) {
            const auto view = std::get<Image<const uint8_t, Host>>(picture);
            seen[stage] = {view.height, view.width};
        });
        EXPECT_EQ(result.status, Status::ok);
        return seen;
    };
    const ImageSize original{2044, 1514};
    EXPECT_EQ(sizes(disc(299, 299), original)[Stage::canvas], (ImageSize{64, 47}));
    EXPECT_EQ(sizes(disc(299, 299), std::nullopt)[Stage::canvas], (ImageSize{64, 64}));
    EXPECT_EQ(sizes(disc(2044, 1514), original), sizes(disc(2044, 1514), std::nullopt));
    EXPECT_EQ(sizes(disc(299, 299), original)[Stage::sharpen], sizes(disc(2044, 1514), original)[Stage::sharpen]);
}

TEST(Preparer, the_segmenters_picture_is_the_canvas_at_its_working_size) {
    Recipe recipe = small_recipe();
    recipe.segment.long_side = 40;
    recipe.polarity.mode = PolarityMode::invert;
    Preparer preparer(recipe, 1);
    HostImage<uint8_t> canvas;
    io::DecodedImage image = disc(96, 128);
    preparer.prepare(image, std::nullopt, [&](Stage stage, const StagePicture& picture) {
        if (stage == Stage::canvas) {
            const auto view = std::get<Image<const uint8_t, Host>>(picture);
            canvas.reshape(view.height, view.width);
            std::copy_n(view.data, view.pixels(), canvas.view().data);
        }
    });
    HostImage<uint8_t> want(30, 40);
    Workers workers(1);
    resize<uint8_t>(workers, one<const uint8_t>(canvas.view()), one(want.view()), ResizeFilter::area);

    HostImage<uint8_t> got;
    io::DecodedImage again = disc(96, 128);
    ASSERT_EQ(preparer.segmenter_picture(again, std::nullopt, got).status, Status::ok);
    ASSERT_EQ(got.height(), 30);
    ASSERT_EQ(got.width(), 40);
    EXPECT_EQ(std::memcmp(got.view().data, want.view().data, 30 * 40), 0);
    io::DecodedImage nothing = flat(50, 50);
    EXPECT_EQ(preparer.segmenter_picture(nothing, std::nullopt, got).reason, "low_contrast");
}

}  // namespace
}  // namespace boneage::pipeline

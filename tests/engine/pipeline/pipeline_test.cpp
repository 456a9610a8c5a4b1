#include "engine/pipeline/pipeline.h"

#include "kernels/base/error.h"
#include "kernels/nn/mirror.h"
#include "tests/support/naive_backend.h"
#include "tests/support/pipeline_cases.h"
#include "tests/support/tensors.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace boneage::pipeline {
namespace {

using testing::bright_models;
using testing::disc;
using testing::flat;
using testing::overflowing_models;
using testing::small_recipe;

Result score(Pipeline& pipeline, io::DecodedImage image, Sex sex = Sex::unknown, const StageSink& sink = nullptr) {
    Result result = pipeline.prepare(image, sink);
    pipeline.estimate({&result, 1}, {&sex, 1});
    return result;
}

TEST(Pipeline, gives_an_age_and_shows_every_stage_in_order) {
    testing::NaiveBackend backend;
    Pipeline pipeline(bright_models(), backend, {});
    std::vector<Stage> seen;
    HostImage<uint8_t> filled;
    HostImage<uint8_t> sharpened;
    const Result result = score(pipeline, disc(96, 128), Sex::unknown, [&](Stage stage, const StagePicture& picture) {
        seen.push_back(stage);
        const auto view = std::get<Image<const uint8_t, Host>>(picture);
        if (stage == Stage::largest || stage == Stage::sharpen) {
            HostImage<uint8_t>& copy = stage == Stage::largest ? filled : sharpened;
            copy.reshape(view.height, view.width);
            std::copy_n(view.data, view.pixels(), copy.view().data);
        }
    });
    ASSERT_EQ(result.status, Status::ok) << result.message;
    EXPECT_EQ(seen, (std::vector<Stage>{Stage::contrast, Stage::polarity, Stage::canvas, Stage::segment, Stage::fill,
                                        Stage::largest, Stage::dilate, Stage::overlay, Stage::clahe, Stage::sharpen,
                                        Stage::input}));
    EXPECT_EQ(result.width, 128);
    EXPECT_EQ(result.height, 96);
    EXPECT_GT(*result.contrast, 0.5);
    EXPECT_NEAR(*result.mask_fraction, 0.35 * 0.35 * 3.14159, 0.03);
    EXPECT_DOUBLE_EQ(*result.bone_age_months, 0.5 * (*result.age_if_male + *result.age_if_female));
    EXPECT_NE(*result.age_if_male, *result.age_if_female);
    EXPECT_GT(result.elapsed_ms, 0.0);

    ASSERT_EQ(filled.height(), 48);
    ASSERT_EQ(filled.width(), 64);
    EXPECT_EQ(filled.view().at(24, 32), 255) << "the hole is filled";
    EXPECT_EQ(filled.view().at(1, 1), 0) << "the spot is not the largest component";
    EXPECT_EQ(sharpened.view().at(1, 32), 0) << "the background stays black to the end";
    EXPECT_GT(sharpened.view().at(24, 22), 0);
}

TEST(Pipeline, a_segmenter_may_work_on_a_smaller_image_than_the_canvas) {
    testing::NaiveBackend backend;
    Recipe recipe = small_recipe();
    recipe.segment.long_side = 32;
    Pipeline pipeline(bright_models(recipe), backend, {});
    ImageSize mask_size;
    const Result result = score(pipeline, disc(96, 128), Sex::unknown, [&](Stage stage, const StagePicture& picture) {
        if (stage == Stage::segment) {
            const auto view = std::get<Image<const uint8_t, Host>>(picture);
            mask_size = {view.height, view.width};
        }
    });
    ASSERT_EQ(result.status, Status::ok) << result.message;
    EXPECT_EQ(mask_size, (ImageSize{48, 64})) << "the mask has the canvas's size";
    EXPECT_NEAR(*result.mask_fraction, 0.35 * 0.35 * 3.14159, 0.05);
}

TEST(Pipeline, a_known_sex_chooses_its_age) {
    testing::NaiveBackend backend;
    Pipeline pipeline(bright_models(), backend, {});
    const Result unknown = score(pipeline, disc(60, 60));
    const Result male = score(pipeline, disc(60, 60), Sex::male);
    const Result female = score(pipeline, disc(60, 60), Sex::female);
    EXPECT_EQ(*male.bone_age_months, *unknown.age_if_male);
    EXPECT_EQ(*female.bone_age_months, *unknown.age_if_female);
}

TEST(Pipeline, a_network_without_sex_answers_the_same_for_both) {
    constexpr net::ResNet34Spec spec{.channels = 3, .base_width = 16, .sex_input = false, .hidden = 0, .outputs = 1};
    testing::NaiveBackend backend;
    Models models = bright_models();
    models.age_network = {spec, testing::initial_weights(net::resnet34(spec), 5)};
    Pipeline pipeline(models, backend, {});
    const Result result = score(pipeline, disc(60, 60));
    ASSERT_EQ(result.status, Status::ok);
    EXPECT_EQ(*result.age_if_male, *result.age_if_female);
    EXPECT_EQ(*result.bone_age_months, *result.age_if_male);
}

void expect_rejected(const Result& result, const std::string& reason) {
    EXPECT_EQ(result.status, Status::rejected);
    EXPECT_EQ(result.reason, reason);
    EXPECT_FALSE(result.message.empty());
    EXPECT_FALSE(result.bone_age_months || result.age_if_male || result.age_if_female);
}

TEST(Pipeline, rejected_images_have_a_reason_and_no_age) {
    testing::NaiveBackend backend;
    Recipe recipe = small_recipe();
    recipe.segment.min_fraction = 0.05;
    recipe.segment.max_fraction = 0.6;
    Pipeline pipeline(bright_models(recipe), backend, {});
    expect_rejected(score(pipeline, flat(50, 50)), "low_contrast");
    expect_rejected(score(pipeline, disc(64, 64, 0.1)), "no_hand");
    expect_rejected(score(pipeline, disc(64, 64, 0.7)), "mask_too_large");
}

TEST(Pipeline, without_a_segmenter_the_whole_image_is_the_hand) {
    testing::NaiveBackend backend;
    Models models = bright_models();
    models.segmenter.reset();
    Pipeline pipeline(models, backend, {});
    std::vector<Stage> seen;
    const Result result =
        score(pipeline, disc(40, 70), Sex::male, [&](Stage stage, const StagePicture&) { seen.push_back(stage); });
    ASSERT_EQ(result.status, Status::ok);
    EXPECT_EQ(*result.mask_fraction, 1.0);
    EXPECT_EQ(seen, (std::vector<Stage>{Stage::contrast, Stage::polarity, Stage::canvas, Stage::overlay, Stage::clahe,
                                        Stage::sharpen, Stage::input}));
}

TEST(Pipeline, gives_the_same_bits_at_every_batch_size_and_thread_count) {
    const auto images = [] {
        std::vector<io::DecodedImage> all;
        all.push_back(disc(90, 61));
        all.push_back(flat(30, 30));
        all.push_back(disc<uint16_t>(50, 120));
        all.push_back(disc(300, 200, 0.2));
        return all;
    };
    std::vector<Result> alone;
    testing::NaiveBackend backend;
    Pipeline one_by_one(bright_models(), backend, {});
    for (auto& image : images()) {
        alone.push_back(score(one_by_one, std::move(image)));
    }
    EXPECT_EQ(alone[1].status, Status::rejected);
    for (const int threads : {1, 3}) {
        for (const int64_t batch : {3, 5}) {
            Pipeline pipeline(bright_models(), backend,
                              {.batch = batch, .threads = threads, .precision = plan::Precision::f32});
            for (int round = 0; round < 2; ++round) {
                std::vector<Result> results;
                for (auto& image : images()) {
                    results.push_back(pipeline.prepare(image));
                }
                const std::vector<Sex> sexes(results.size(), Sex::unknown);
                pipeline.estimate(results, sexes);
                for (size_t i = 0; i < results.size(); ++i) {
                    EXPECT_EQ(results[i].status, alone[i].status);
                    EXPECT_EQ(results[i].age_if_male, alone[i].age_if_male);
                    EXPECT_EQ(results[i].age_if_female, alone[i].age_if_female);
                    EXPECT_EQ(results[i].mask_fraction, alone[i].mask_fraction);
                }
            }
        }
    }
}

TEST(Pipeline, mirror_images_are_scored_as_well_where_that_is_asked_for) {
    testing::NaiveBackend backend;
    const Models models = bright_models();
    AgeNetwork network(models.age_network, models.recipe, backend, plan::Precision::f32, 3);
    const Tensor<float, Host> slot = network.slot(0);
    const auto image = testing::random_tensor<float>({1, slot.shape[1], slot.shape[2], 1}, 8);
    Workers workers(1);
    const auto put = [&](int64_t to, bool mirrored) {
        auto values = image;
        if (mirrored) {
            mirror(workers, values.view());
        }
        std::copy_n(&values[0], values.size(), network.slot(to).data);
    };
    std::vector<Ages> ages;
    put(0, false);
    put(1, true);
    network.run(2, ages);
    ASSERT_NE(ages[0].if_male, ages[1].if_male);
    const Ages mean = mean_of(ages[0], ages[1]);
    EXPECT_EQ(mean.if_male, 0.5 * (ages[0].if_male + ages[1].if_male));
    EXPECT_EQ(mean.if_female, 0.5 * (ages[0].if_female + ages[1].if_female));

    put(0, false);
    put(1, true);
    std::vector<Ages> both;
    network.run_both_ways(2, both);
    for (const Ages& either : both) {
        EXPECT_EQ(either.if_male, mean.if_male);
        EXPECT_EQ(either.if_female, mean.if_female);
    }

    // The pipeline does so with its batch.
    Pipeline plain(models, backend, {});
    Pipeline twice(models, backend, {.batch = 2, .threads = 1, .precision = plan::Precision::f32, .mirror = true});
    const Result once = score(plain, disc(90, 61));
    const Result result = score(twice, disc(90, 61));
    ASSERT_EQ(result.status, Status::ok);
    EXPECT_NE(result.bone_age_months, once.bone_age_months);
    EXPECT_EQ(result.mask_fraction, once.mask_fraction);
}

TEST(Pipeline, a_full_batch_is_refused_until_it_is_estimated) {
    testing::NaiveBackend backend;
    Pipeline pipeline(bright_models(), backend, {});
    io::DecodedImage first = disc(40, 40);
    Result result = pipeline.prepare(first);
    io::DecodedImage second = disc(40, 40);
    EXPECT_THROW(pipeline.prepare(second), ContractError);
    const Sex sex = Sex::male;
    pipeline.estimate({&result, 1}, {&sex, 1});
    EXPECT_NO_THROW(pipeline.prepare(second));
}

TEST(Pipeline, extreme_shapes_give_results) {
    const std::vector<std::pair<int64_t, int64_t>> sizes{{1, 1},     {1, 2},     {2, 1},   {1, 20000},
                                                         {20000, 1}, {3, 20000}, {17, 16}, {1, 33}};
    testing::NaiveBackend backend;
    for (const bool segmented : {true, false}) {
        Models models = bright_models();
        if (!segmented) {
            models.segmenter.reset();
        }
        Pipeline pipeline(models, backend, {});
        for (const auto& [height, width] : sizes) {
            for (const Result& result :
                 {score(pipeline, disc(height, width)), score(pipeline, disc<uint16_t>(height, width))}) {
                EXPECT_EQ(result.height, height);
                EXPECT_EQ(result.bone_age_months.has_value(), result.status == Status::ok);
                EXPECT_NE(result.status, Status::error) << height << "x" << width << ": " << result.message;
            }
        }
    }
}

TEST(Pipeline, an_answer_that_is_no_number_is_an_error) {
    testing::NaiveBackend backend;
    Models models = bright_models();
    const plan::ParameterSource whole = models.age_network.parameters;
    models.age_network.parameters = [whole](std::string_view name) {
        std::vector<float> values = whole(name);
        if (name == "fc.bias") {
            values[0] = std::numeric_limits<float>::quiet_NaN();
        }
        return values;
    };
    Pipeline pipeline(models, backend, {});
    const Result result = score(pipeline, disc(50, 50));
    EXPECT_EQ(result.status, Status::error);
    EXPECT_EQ(result.reason, "not_finite");
    EXPECT_FALSE(result.bone_age_months.has_value());
}

TEST(Pipeline, an_inverted_radiograph_gives_the_same_mask_when_the_recipe_says_so) {
    testing::NaiveBackend backend;
    Recipe recipe = small_recipe();
    Pipeline upright(bright_models(recipe), backend, {});
    recipe.polarity.mode = PolarityMode::invert;
    Pipeline inverted(bright_models(recipe), backend, {});
    io::DecodedImage negative = disc(80, 80);
    for (uint8_t& value : std::span(std::get<HostImage<uint8_t>>(negative.pixels).view().data, 80 * 80)) {
        value = static_cast<uint8_t>(255 - value);
    }
    EXPECT_EQ(score(inverted, std::move(negative)).age_if_male, score(upright, disc(80, 80)).age_if_male);
}

// The segmenter's map would be no hand, or a part of one, with an age that looks like any other.
TEST(Pipeline, a_segmenter_that_overflows_is_an_error_and_not_another_mask) {
    testing::NaiveBackend backend;
    Pipeline whole(bright_models(), backend, {});
    const Result good = score(whole, disc(96, 128));
    ASSERT_EQ(good.status, Status::ok) << good.message;
    EXPECT_NEAR(*good.mask_fraction, 0.35 * 0.35 * 3.14159, 0.03);
    for (const int64_t long_side : {64, 32}) {
        Models models = overflowing_models();
        models.recipe.segment.long_side = long_side;
        Pipeline broken(models, backend, {});
        const Result bad = score(broken, disc(96, 128));
        EXPECT_EQ(bad.status, Status::error);
        EXPECT_EQ(bad.reason, "not_finite");
        EXPECT_NE(bad.message.find("segmenter"), std::string::npos) << bad.message;
        EXPECT_FALSE(bad.bone_age_months || bad.mask_fraction);
    }
}

}  // namespace
}  // namespace boneage::pipeline

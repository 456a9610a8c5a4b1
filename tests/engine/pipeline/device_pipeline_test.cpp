// The pipeline on a device against the pipeline on the CPU: every picture is equal byte for byte, every age as far as
// the networks' sums are made in the same order.
#include "engine/pipeline/device_pipeline.h"

#include "engine/onednn/backend.h"
#include "kernels/base/error.h"
#include "tests/support/pipeline_cases.h"
#include "tests/support/test_device.h"

#include <gtest/gtest.h>
#include <map>

namespace boneage::pipeline {
namespace {

using testing::bright_models;
using testing::disc;
using testing::flat;
using testing::overflowing_models;
using testing::small_recipe;

struct Picture {
    Stage stage;
    std::vector<uint16_t> pixels;
    bool operator==(const Picture&) const = default;
};

Picture copied(Stage stage, const StagePicture& picture) {
    Picture copy{stage, {}};
    std::visit(
        [&](const auto& image) {
            for (int64_t y = 0; y < image.height; ++y) {
                copy.pixels.insert(copy.pixels.end(), image.row(y), image.row(y) + image.width);
            }
        },
        picture);
    return copy;
}

struct Scored {
    Result result;
    std::vector<Picture> pictures;
};

// What the CPU pipeline says about every image.
std::vector<Scored> on_the_cpu(const Models& models, const std::vector<io::DecodedImage (*)()>& images,
                               plan::Precision precision = plan::Precision::f32, bool mirror = false) {
    const auto backend = onednn::make_backend({});
    Pipeline pipeline(models, *backend, {.batch = 1, .threads = 1, .precision = precision, .mirror = mirror});
    std::vector<Scored> scored(images.size());
    for (size_t i = 0; i < images.size(); ++i) {
        io::DecodedImage image = images[i]();
        scored[i].result = pipeline.prepare(image, [&](Stage stage, const StagePicture& picture) {
            scored[i].pictures.push_back(copied(stage, picture));
        });
        const Sex sex = Sex::female;
        pipeline.estimate({&scored[i].result, 1}, {&sex, 1});
    }
    return scored;
}

bool put(ImageBatch& batch, const io::DecodedImage& image) {
    return std::visit(
        [&]<class P>(const HostImage<P>& from) {
            const auto to = batch.reserve<P>(from.height(), from.width());
            for (int64_t y = 0; to && y < from.height(); ++y) {
                std::copy_n(from.view().row(y), from.width(), to->row(y));
            }
            return to.has_value();
        },
        image.pixels);
}

void expect_same(const Result& result, const Result& want, double tolerance) {
    EXPECT_EQ(result.status, want.status);
    EXPECT_EQ(result.reason, want.reason);
    EXPECT_EQ(result.message, want.message);
    EXPECT_EQ(result.contrast, want.contrast);
    EXPECT_EQ(result.mask_fraction, want.mask_fraction);
    EXPECT_EQ(result.width, want.width);
    EXPECT_EQ(result.height, want.height);
    for (const auto age : {&Result::bone_age_months, &Result::age_if_male, &Result::age_if_female}) {
        ASSERT_EQ((result.*age).has_value(), (want.*age).has_value());
        if (want.*age) {
            EXPECT_NEAR(*(result.*age), *(want.*age), tolerance);
        }
    }
}

// The largest first: a batch has room for as many as it holds of the first one.
const std::vector<io::DecodedImage (*)()> kImages{
    [] { return disc(600, 37); },       [] { return disc(96, 128); },       [] { return flat(50, 50); },
    [] { return disc(300, 200, 0.2); }, [] { return disc(64, 64, 0.005); }, [] { return disc(1, 33); },
    [] { return disc(90, 61); },
};
const std::vector<io::DecodedImage (*)()> kWideImages{
    [] { return disc<uint16_t>(50, 120); },
    [] { return disc<uint16_t>(97, 64); },
};

std::vector<Models> all_models() {
    std::vector<Models> all{bright_models()};
    Recipe recipe = small_recipe();
    recipe.segment.long_side = 32;
    recipe.segment.max_fraction = 0.2;
    recipe.polarity.mode = PolarityMode::automatic;
    recipe.sharpen = {SharpenMode::laplacian8, 0.25, false};
    all.push_back(bright_models(recipe));
    recipe.polarity.mode = PolarityMode::invert;
    recipe.contours = {false, false};
    recipe.dilate.iterations = 0;
    recipe.segment.max_fraction = 1.0;
    recipe.sharpen.kernel = SharpenMode::none;
    recipe.overlay.background = 0.3;
    all.push_back(bright_models(recipe));
    recipe.canvas.filter = CanvasFilter::linear;
    all.push_back(bright_models(recipe));
    all.back().segmenter.reset();
    return all;
}

TEST(DevicePipeline, gives_the_cpu_pipelines_pictures_and_results) {
    for (const Models& models : all_models()) {
        for (const auto* images : {&kImages, &kWideImages}) {
            const std::vector<Scored> want = on_the_cpu(models, *images);
            const auto device = testing::make_test_device();
            DevicePipeline pipeline(models, device->backend(), device->stream(), {.batch = 8});
            ImageBatch batch = pipeline.make_batch();
            for (const auto& image : *images) {
                ASSERT_TRUE(put(batch, image()));
            }
            std::vector<std::vector<Picture>> pictures(images->size());
            const std::vector<Sex> sexes(images->size(), Sex::female);
            const std::vector<Result> results =
                pipeline.run(batch, sexes, [&](int64_t i, Stage stage, const StagePicture& picture) {
                    pictures[static_cast<size_t>(i)].push_back(copied(stage, picture));
                });
            for (size_t i = 0; i < images->size(); ++i) {
                SCOPED_TRACE("image " + std::to_string(i));
                expect_same(results[i], want[i].result, device->age_tolerance());
                ASSERT_EQ(pictures[i].size(), want[i].pictures.size());
                for (size_t k = 0; k < pictures[i].size(); ++k) {
                    EXPECT_TRUE(pictures[i][k] == want[i].pictures[k]) << name(want[i].pictures[k].stage);
                }
            }
        }
    }
}

TEST(DevicePipeline, sixteen_bits_give_the_cpus_results_and_an_overflow_is_an_error_on_both) {
    int errors = 0;
    for (const auto& [models, precision] : {std::pair{bright_models(), plan::Precision::bf16},
                                            {bright_models(), plan::Precision::f16},
                                            {overflowing_models(), plan::Precision::f32}}) {
        const std::vector<Scored> want = on_the_cpu(models, kImages, precision);
        const auto device = testing::make_test_device();
        DevicePipeline pipeline(models, device->backend(), device->stream(), {.batch = 8, .precision = precision});
        ImageBatch batch = pipeline.make_batch();
        for (const auto& image : kImages) {
            ASSERT_TRUE(put(batch, image()));
        }
        std::vector<size_t> shown(kImages.size(), 0);
        const std::vector<Result> results =
            pipeline.run(batch, std::vector<Sex>(kImages.size(), Sex::female),
                         [&](int64_t i, Stage, const StagePicture&) { ++shown[static_cast<size_t>(i)]; });
        const double tolerance =
            precision == plan::Precision::f32 || device->age_tolerance() == 0.0 ? device->age_tolerance() : 0.25;
        for (size_t i = 0; i < results.size(); ++i) {
            SCOPED_TRACE("image " + std::to_string(i));
            expect_same(results[i], want[i].result, tolerance);
            EXPECT_EQ(shown[i], want[i].pictures.size());
            errors += results[i].reason == "not_finite" ? 1 : 0;
        }
    }
    EXPECT_EQ(errors, static_cast<int>(kImages.size()) - 1) << "all but the flat one, of one run";
}

TEST(DevicePipeline, replays_give_what_the_first_run_gave_whatever_else_is_in_the_batch) {
    const std::vector<Scored> want = on_the_cpu(bright_models(), kImages);
    std::map<size_t, Result> before;  // of every image, in an earlier batch: launched or replayed
    for (const bool capture : {true, false}) {
        const auto device = testing::make_test_device();
        DevicePipeline pipeline(bright_models(), device->backend(), device->stream(),
                                {.batch = 2, .precision = plan::Precision::f32, .capture = capture});
        std::vector<ImageBatch> batches;
        batches.push_back(pipeline.make_batch());
        batches.push_back(pipeline.make_batch());
        // Two under way at a time; the batch with the largest image comes when launches were recorded for smaller ones.
        const std::vector<std::vector<size_t>> rounds{{1, 2}, {3}, {4, 5}, {1, 6}, {0, 3}, {1}, {6, 2}};
        const auto finish = [&](size_t round) {
            const std::vector<Sex> sexes(rounds[round].size(), Sex::female);
            const std::vector<Result> results = pipeline.finish(batches[round % 2], sexes);
            batches[round % 2].clear();
            ASSERT_EQ(results.size(), rounds[round].size());
            for (size_t k = 0; k < results.size(); ++k) {
                SCOPED_TRACE("round " + std::to_string(round) + " image " + std::to_string(rounds[round][k]));
                expect_same(results[k], want[rounds[round][k]].result, device->age_tolerance());
                expect_same(results[k], before.try_emplace(rounds[round][k], results[k]).first->second, 0.0);
            }
        };
        for (size_t round = 0; round < rounds.size(); ++round) {
            if (round >= 2) {
                finish(round - 2);
            }
            for (const size_t i : rounds[round]) {
                ASSERT_TRUE(put(batches[round % 2], kImages[i]()));
            }
            pipeline.start(batches[round % 2]);
        }
        finish(rounds.size() - 2);
        finish(rounds.size() - 1);
    }
}

TEST(DevicePipeline, scores_mirror_images_as_the_cpu_does) {
    const std::vector<Scored> want = on_the_cpu(bright_models(), kImages, plan::Precision::f32, true);
    const std::vector<Scored> plain = on_the_cpu(bright_models(), kImages);
    EXPECT_NE(want[0].result.bone_age_months, plain[0].result.bone_age_months);
    const auto device = testing::make_test_device();
    DevicePipeline pipeline(bright_models(), device->backend(), device->stream(), {.batch = 8, .mirror = true});
    ImageBatch batch = pipeline.make_batch();
    const std::vector<Sex> sexes(kImages.size(), Sex::female);
    for (int round = 0; round < 3; ++round) {  // launch by launch, recorded, replayed
        for (const auto& image : kImages) {
            ASSERT_TRUE(put(batch, image()));
        }
        pipeline.start(batch);
        const std::vector<Result> results = pipeline.finish(batch, sexes);
        batch.clear();
        for (size_t i = 0; i < results.size(); ++i) {
            SCOPED_TRACE("round " + std::to_string(round) + " image " + std::to_string(i));
            expect_same(results[i], want[i].result, device->age_tolerance());
        }
    }
}

TEST(ImageBatch, holds_one_pixel_type_and_no_more_than_it_has_room_for) {
    const auto device = testing::make_test_device();
    ImageBatch batch(device->stream().device().ordinal, 3, 256, 256);
    EXPECT_FALSE(batch.full());
    ASSERT_TRUE(batch.reserve<uint8_t>(10, 300));
    EXPECT_FALSE(batch.reserve<uint16_t>(10, 30)) << "the other type";
    EXPECT_FALSE(batch.reserve<uint8_t>(10000, 300)) << "no room, while others are in it";
    const auto second = batch.reserve<uint8_t>(5, 7);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->stride % 256, 0);
    ASSERT_TRUE(batch.reserve<uint8_t>(1, 1));
    EXPECT_TRUE(batch.full());
    EXPECT_FALSE(batch.reserve<uint8_t>(1, 1));
    batch.clear();
    EXPECT_TRUE(batch.reserve<uint16_t>(10000, 300)) << "an empty batch makes room for any image";
}

}  // namespace
}  // namespace boneage::pipeline

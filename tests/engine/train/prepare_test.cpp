#include "engine/train/prepare.h"

#include "engine/onednn/backend.h"
#include "engine/pipeline/pipeline.h"
#include "engine/train/age_cache.h"
#include "engine/train/mask_cache.h"
#include "kernels/base/error.h"
#include "kernels/image/normalise.h"
#include "tests/support/folder.h"
#include "tests/support/pipeline_cases.h"

#include <gtest/gtest.h>
#include <map>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace boneage::train {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::Folder;
using testing::read_text;

const fs::path kRadiographs = fs::path(BONEAGE_TEST_DATA) / "radiographs";

pipeline::Recipe recipe_for_radiographs() {
    pipeline::Recipe recipe = testing::small_recipe();
    recipe.contrast.threshold = 0.02;
    recipe.canvas.long_side = 128;
    recipe.segment.long_side = 96;
    return recipe;
}

std::string save(const fs::path& path, const cv::Mat& image) {
    fs::create_directories(path.parent_path());
    EXPECT_TRUE(cv::imwrite(path.string(), image));
    return path.string();
}

// A bright ellipse on a dark ground, and its mask.
cv::Mat hand(int height, int width, int ground = 5, int value = 170) {
    cv::Mat image(height, width, CV_8UC1, cv::Scalar(ground));
    cv::ellipse(image, {width / 2, height / 2}, {width / 3, height / 4}, 0, 0, 360, cv::Scalar(value), cv::FILLED);
    return image;
}

class PrepareTest : public ::testing::Test {
protected:
    PrepareReport ages(const PrepareOptions& options) { return prepare_ages(options, watcher(), stop_); }
    PrepareReport masks(const PrepareOptions& options) { return prepare_masks(options, watcher(), stop_); }
    PrepareWatcher watcher() {
        return [this](size_t, const Exclusion*) { stop_ = ++watched_ == stop_after_; };
    }
    PrepareOptions real(const std::string& out, int workers) {
        PrepareOptions options;
        options.data = {kRadiographs};
        options.labels = kRadiographs / "labels.csv";
        options.folder = folder_ / out;
        options.recipe = recipe_for_radiographs();
        options.segmenter = {testing::kBrightSpec, testing::bright_weights(0.08F)};
        options.workers = workers;
        return options;
    }
    // Ages of pictures in folder `images`, written by the test; whole images, labels as given.
    PrepareOptions own(const std::string& labels) {
        PrepareOptions options;
        options.data = {folder_ / "images"};
        options.labels = folder_.write("labels.csv", labels);
        options.folder = folder_ / "out";
        options.recipe = testing::small_recipe();
        return options;
    }
    // Why each id was left out.
    static std::map<std::string, std::string> reasons(const PrepareReport& report) {
        std::map<std::string, std::string> all;
        for (const Exclusion& each : report.exclusions.all()) {
            EXPECT_TRUE(all.emplace(each.id, each.reason).second) << each.id;
            EXPECT_FALSE(each.message.empty());
        }
        return all;
    }

    Folder folder_;
    std::atomic<bool> stop_ = false;
    size_t watched_ = 0;
    size_t stop_after_ = 0;
};

TEST_F(PrepareTest, the_cached_pictures_give_the_ages_of_scoring_to_the_last_bit) {
    const PrepareOptions options = real("out", 2);
    ASSERT_EQ(ages(options).prepared, 9U);
    const AgeCache cache((options.folder / kAgeCacheName).string());

    pipeline::Models models = testing::bright_models(options.recipe);
    models.segmenter = options.segmenter;
    const auto backend = onednn::make_backend({});
    pipeline::Pipeline scoring(models, *backend, {});
    pipeline::AgeNetwork network(models.age_network, options.recipe, *backend, plan::Precision::f32, 1);
    NormaliseParams params;
    params.mean.fill(static_cast<float>(options.recipe.input.mean[0]));
    params.deviation.fill(static_cast<float>(options.recipe.input.deviation[0]));
    Workers workers(1);
    for (int64_t i = 0; i < cache.count(); ++i) {
        const std::string id = cache.ids()[static_cast<size_t>(i)];
        io::DecodedImage image = io::decode_image(kRadiographs / (id + ".png"));
        pipeline::Result result = scoring.prepare(image);
        const pipeline::Sex sex = pipeline::Sex::unknown;
        scoring.estimate({&result, 1}, {&sex, 1});
        ASSERT_EQ(result.status, pipeline::Status::ok) << result.message;

        const Image<const uint8_t, Host> picture(cache.pictures().at(i), cache.pictures().shape[1],
                                                 cache.pictures().shape[2]);
        normalise<uint8_t, float>(workers, one(picture), network.slot(0), params);
        std::vector<pipeline::Ages> answers;
        network.run(1, answers);
        EXPECT_EQ(answers[0].if_male, *result.age_if_male) << id;
        EXPECT_EQ(answers[0].if_female, *result.age_if_female) << id;
    }
}

TEST_F(PrepareTest, files_do_not_depend_on_the_number_of_workers) {
    ages(real("one", 1));
    ages(real("five", 5));
    for (const char* name : {"ages.safetensors", "excluded.csv", "contact_sheet.png", "contact_sheet.csv"}) {
        EXPECT_EQ(read_text(folder_ / "one" / name), read_text(folder_ / "five" / name)) << name;
        EXPECT_GT(read_text(folder_ / "one" / name).size(), 10U) << name;
    }
}

TEST_F(PrepareTest, radiographs_come_in_the_order_of_their_labels_with_what_these_say) {
    for (const char* id : {"a", "b", "c"}) {
        save(folder_ / "images" / (std::string(id) + ".png"), hand(60, 50));
    }
    const PrepareReport report = ages(own("id,boneage_months,sex,split\nc,30,F,val\na,10,M,train\nb,20,,test\n"));
    EXPECT_EQ(report.prepared, 3U);
    EXPECT_EQ(report.total, 3U);
    const AgeCache cache((folder_ / "out/ages.safetensors").string());
    EXPECT_EQ(cache.ids(), (std::vector<std::string>{"c", "a", "b"}));
    EXPECT_EQ(cache.ages_months()[0], 30.0F);
    EXPECT_EQ(cache.sexes()[0], -1.0F);
    EXPECT_EQ(cache.sexes()[2], 0.0F);
    EXPECT_EQ(cache.split_names()[cache.splits()[2]], "test");
}

TEST_F(PrepareTest, everything_left_out_is_told) {
    save(folder_ / "images/good.png", hand(60, 50));
    save(folder_ / "images/z/good.bmp", hand(60, 50));
    save(folder_ / "images/flat.png", cv::Mat(50, 50, CV_8UC1, cv::Scalar(90)));
    save(folder_ / "images/dark.png", hand(60, 50, 5, 60));
    save(folder_ / "images/stranger.png", hand(60, 50));
    save(folder_ / "images/ageless.png", hand(60, 50));
    folder_.write("images/broken.jpg", "no image");
    PrepareOptions options = own("id,boneage_months\ngood,10\nflat,20\ndark,20\nmissing,30\nbroken,40\nageless,NaN\n");
    options.segmenter = {testing::kBrightSpec, testing::bright_weights(0.5F)};
    const PrepareReport report = ages(options);
    EXPECT_EQ(report.prepared, 1U);
    EXPECT_EQ(report.total, 4U);
    EXPECT_EQ(report.exclusions.failed(), 1U) << "only the file that is no image";
    EXPECT_EQ(reasons(report), (std::map<std::string, std::string>{{"", "bad_label"},
                                                                   {"good", "duplicate_image"},
                                                                   {"flat", "low_contrast"},
                                                                   {"dark", "no_hand"},
                                                                   {"missing", "no_image"},
                                                                   {"broken", "not_an_image"},
                                                                   {"ageless", "no_label"},
                                                                   {"stranger", "no_label"}}));
    const std::string table = read_text(folder_ / "out/excluded.csv");
    EXPECT_EQ(table.rfind("id,source,reason,message\n", 0), 0U);
    EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 9);
    EXPECT_NE(table.find("flat," + (folder_ / "images/flat.png").string() + ",low_contrast,"), std::string::npos);
    EXPECT_TRUE(fs::exists(folder_ / "out/excluded_sheet.png"));
}

TEST_F(PrepareTest, an_aspect_is_restored_from_known_sizes_only) {
    save(folder_ / "images/a.png", hand(60, 60));
    save(folder_ / "images/b.png", hand(60, 60));
    PrepareOptions options = own("id,boneage_months,orig_width,orig_height\na,10,300,400\nb,10,,\n");
    options.restore_aspect = true;
    EXPECT_EQ(reasons(ages(options)), (std::map<std::string, std::string>{{"b", "no_original_size"}}));
    const AgeCache cache((folder_ / "out/ages.safetensors").string());
    const Image<const uint8_t, Host> picture(cache.pictures().at(0), 32, 32);
    EXPECT_EQ(picture.at(16, 3), 0) << "the network's input is square, the radiograph is not";
    EXPECT_GT(picture.at(16, 16), 0);
    options.labels = folder_.write("bare.csv", "id,boneage_months\na,10\n");
    EXPECT_NE(error_of<UsageError>([&] { ages(options); }).find("orig_width"), std::string::npos);
}

TEST_F(PrepareTest, what_an_earlier_run_left_in_the_folder_is_no_input_and_is_replaced) {
    save(folder_ / "images/a.png", hand(60, 50));
    save(folder_ / "images/flat.png", cv::Mat(50, 50, CV_8UC1, cv::Scalar(90)));
    PrepareOptions options = own("id,boneage_months\na,10\nflat,10\n");
    options.folder = folder_ / "images/cache/";
    ages(options);
    ASSERT_TRUE(fs::exists(options.folder / "excluded_sheet.png"));
    fs::remove(folder_ / "images/flat.png");
    const PrepareReport again = ages(options);
    EXPECT_EQ(reasons(again), (std::map<std::string, std::string>{{"flat", "no_image"}}));
    EXPECT_FALSE(fs::exists(options.folder / "excluded_sheet.png"));
}

TEST_F(PrepareTest, a_stopped_run_leaves_what_was_there) {
    folder_.write("out/excluded.csv", "old");
    stop_after_ = 3;
    const PrepareReport report = ages(real("out", 1));
    EXPECT_TRUE(report.stopped);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "out"), {}), 1);
    EXPECT_EQ(read_text(folder_ / "out/excluded.csv"), "old");
}

TEST_F(PrepareTest, nothing_left_to_train_on_is_an_error) {
    save(folder_ / "images/flat.png", cv::Mat(50, 50, CV_8UC1, cv::Scalar(90)));
    const auto options = own("id,boneage_months\nflat,10\n");
    EXPECT_NE(error_of<UsageError>([&] { ages(options); }).find("excluded.csv"), std::string::npos);
    EXPECT_FALSE(fs::exists(folder_ / "out/ages.safetensors"));
    const auto none = own("id,boneage_months\nother,10\n");
    const std::string why = error_of<UsageError>([&] { ages(none); });
    EXPECT_NE(why.find("no radiograph is left to train on: "), std::string::npos) << why;
    EXPECT_EQ(why.find("excluded.csv"), std::string::npos) << "the list of the run before stays: " << why;
}

class PrepareMasksTest : public PrepareTest {
protected:
    PrepareOptions options() {
        PrepareOptions made;
        made.data = {folder_ / "images"};
        made.masks = folder_ / "masks";
        made.folder = folder_ / "out";
        made.recipe = testing::small_recipe();
        made.recipe.segment.long_side = 48;
        return made;
    }
    MaskCache cache() const { return MaskCache((folder_ / "out/masks.safetensors").string()); }
};

// Mean absolute difference of two images of one size.
double difference(Image<const uint8_t, Host> a, Image<const uint8_t, Host> b) {
    EXPECT_TRUE(same_size(a, b));
    double sum = 0.0;
    for (int64_t i = 0; i < a.pixels(); ++i) {
        sum += std::abs(a.data[i] - b.data[i]);
    }
    return sum / static_cast<double>(a.pixels());
}

TEST_F(PrepareMasksTest, masks_are_scaled_with_their_images_and_keep_their_share) {
    save(folder_ / "images/a.png", hand(200, 150));
    save(folder_ / "masks/a.png", hand(200, 150, 0, 1));  // 1 is hand as well as 255
    const PrepareReport report = masks(options());
    EXPECT_EQ(report.prepared, 1U);
    const MaskCache made = cache();
    ASSERT_EQ(made.ids(), (std::vector<std::string>{"a"}));
    const auto mask = made.mask(0);
    ASSERT_EQ(mask.height, 48);
    ASSERT_EQ(mask.width, 36);
    cv::Mat want;
    cv::resize(hand(200, 150, 0, 255), want, {36, 48}, 0, 0, cv::INTER_AREA);
    EXPECT_EQ(difference(mask, {want.data, 48, 36}), 0.0);
    EXPECT_EQ(made.picture(0).at(24, 18), 170);
    EXPECT_TRUE(fs::exists(folder_ / "out/contact_sheet.png"));
}

TEST_F(PrepareMasksTest, a_mask_of_the_original_fits_the_squashed_image) {
    const cv::Mat original = hand(400, 300);
    cv::Mat squashed;
    cv::resize(original, squashed, {150, 150}, 0, 0, cv::INTER_AREA);
    save(folder_ / "images/small.png", squashed);
    save(folder_ / "images/whole.png", original);
    save(folder_ / "masks/small.png", hand(400, 300, 0, 255));
    save(folder_ / "masks/whole.png", hand(400, 300, 0, 255));
    PrepareOptions asked = options();
    EXPECT_EQ(reasons(masks(asked)), (std::map<std::string, std::string>{{"small", "mask_size"}}))
        << "without labels nobody knows that it was squashed";
    asked.labels = folder_.write("labels.csv", "id,boneage_months,orig_width,orig_height\nsmall,5,300,400\n");
    EXPECT_EQ(masks(asked).prepared, 2U);
    const MaskCache made = cache();
    EXPECT_EQ(difference(made.mask(0), made.mask(1)), 0.0);
    EXPECT_LT(difference(made.picture(0), made.picture(1)), 3.0);
}

TEST_F(PrepareMasksTest, polygons_of_labelme_and_coco_equal_the_painted_mask) {
    cv::Mat painted(120, 90, CV_8UC1, cv::Scalar(0));
    cv::rectangle(painted, {20, 30}, {69, 99}, cv::Scalar(255), cv::FILLED);
    for (const char* id : {"coco", "labelme", "painted"}) {
        save(folder_ / "images" / (std::string(id) + ".png"), hand(120, 90));
    }
    save(folder_ / "masks/painted.png", painted);
    folder_.write("masks/labelme.json", R"({"imageHeight": 240, "imageWidth": 180, "shapes": [{"label": "hand",
        "points": [[40, 60], [140, 60], [140, 200], [40, 200]], "shape_type": "polygon"}]})");
    folder_.write("masks/instances.json", R"({"images": [{"id": 1, "file_name": "coco.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "segmentation": [[20, 30, 70, 30, 70, 100, 20, 100]]}]})");
    EXPECT_EQ(masks(options()).prepared, 3U);
    const MaskCache made = cache();
    ASSERT_EQ(made.count(), 3);
    EXPECT_EQ(difference(made.mask(0), made.mask(2)), 0.0);
    EXPECT_EQ(difference(made.mask(1), made.mask(2)), 0.0);
}

TEST_F(PrepareMasksTest, labelmes_files_may_lie_beside_the_images) {
    save(folder_ / "images/a.png", hand(120, 90));
    folder_.write("images/a.json", R"({"shapes": [{"label": "hand", "points": [[9, 9], [60, 70]],
        "shape_type": "rectangle"}]})");
    PrepareOptions asked = options();
    asked.masks = folder_ / "images";
    EXPECT_EQ(masks(asked).prepared, 1U);
    EXPECT_EQ(cache().ids(), (std::vector<std::string>{"a"}));
}

TEST_F(PrepareMasksTest, everything_left_out_is_told) {
    for (const char* id : {"good", "empty", "wide", "jpeg", "bare", "speck", "circle"}) {
        save(folder_ / "images" / (std::string(id) + ".png"), hand(120, 90));
    }
    save(folder_ / "images/flat.png", cv::Mat(50, 50, CV_8UC1, cv::Scalar(90)));
    const cv::Mat mask = hand(120, 90, 0, 255);
    save(folder_ / "masks/good.png", mask);
    save(folder_ / "masks/z/good.png", mask);
    save(folder_ / "masks/flat.png", hand(50, 50, 0, 255));
    save(folder_ / "masks/empty.png", cv::Mat(120, 90, CV_8UC1, cv::Scalar(0)));
    save(folder_ / "masks/wide.png", hand(90, 120, 0, 255));
    save(folder_ / "masks/jpeg.jpg", mask);
    save(folder_ / "masks/alone.png", mask);
    cv::Mat speck(120, 90, CV_8UC1, cv::Scalar(0));
    speck.at<uint8_t>(60, 40) = 255;
    save(folder_ / "masks/speck.png", speck);
    folder_.write("masks/circle.json", R"({"shapes": [{"label": "hand", "points": [[9, 9], [60, 70]],
        "shape_type": "circle"}]})");
    folder_.write("masks/other.json", "{}");
    const PrepareReport report = masks(options());
    EXPECT_EQ(report.prepared, 1U);
    EXPECT_EQ(reasons(report), (std::map<std::string, std::string>{{"", "not_annotations"},
                                                                   {"good", "duplicate_mask"},
                                                                   {"flat", "low_contrast"},
                                                                   {"empty", "empty_mask"},
                                                                   {"speck", "empty_mask"},
                                                                   {"wide", "mask_size"},
                                                                   {"jpeg", "mask_format"},
                                                                   {"alone", "no_image"},
                                                                   {"bare", "no_mask"},
                                                                   {"circle", "unsupported_shape"}}));
    EXPECT_EQ(report.exclusions.failed(), 6U);
}

}  // namespace
}  // namespace boneage::train

#include "engine/train/annotations.h"

#include "tests/support/folder.h"

#include <gtest/gtest.h>

namespace boneage::train {
namespace {

class AnnotationsTest : public ::testing::Test {
protected:
    std::vector<Annotation> read(const std::string& text, const std::optional<std::string>& label = std::nullopt) {
        return read_annotations(folder_.write("hand.json", text), label);
    }
    // The code of what is wrong with the only image.
    std::string flaw(const std::string& text, const std::optional<std::string>& label = std::nullopt) {
        const auto all = read(text, label);
        EXPECT_EQ(all.size(), 1U) << text;
        if (all.size() != 1 || !all[0].error) {
            return "(none)";
        }
        EXPECT_TRUE(all[0].polygons.empty());
        EXPECT_NE(std::string(all[0].error->what()).find("hand.json"), std::string::npos) << all[0].error->what();
        return all[0].error->code();
    }
    std::string refusal(const std::string& text) {
        try {
            read(text);
        } catch (const InputError& error) {
            return error.code();
        }
        return "(none)";
    }

    testing::Folder folder_;
};

std::string labelme(const std::string& shapes, const std::string& more = "") {
    return R"({"version": "5.0", "imagePath": "x.png", "imageData": null)" + more + R"(, "shapes": [)" + shapes + "]}";
}
std::string shape(const std::string& label, const std::string& points, const std::string& type = "polygon") {
    return R"({"label": ")" + label + R"(", "points": )" + points + R"(, "shape_type": ")" + type + "\"}";
}
const std::string kTriangle = "[[1, 2.5], [30, 4], [7, 40]]";

TEST_F(AnnotationsTest, labelme_polygons_and_rectangles_are_read) {
    const auto all = read(labelme(shape("hand", kTriangle) + "," + shape("hand", "[[5, 6], [1, 2]]", "rectangle"),
                                  R"(, "imageHeight": 50, "imageWidth": 60)"));
    ASSERT_EQ(all.size(), 1U);
    const Annotation& one = all[0];
    EXPECT_EQ(one.id, "hand");
    EXPECT_EQ(one.height, 50);
    EXPECT_EQ(one.width, 60);
    ASSERT_EQ(one.polygons.size(), 2U);
    ASSERT_EQ(one.polygons[0][0].size(), 3U);
    EXPECT_EQ(one.polygons[0][0][0].x, 1.0);
    EXPECT_EQ(one.polygons[0][0][0].y, 2.5);
    ASSERT_EQ(one.polygons[1][0].size(), 4U);
    EXPECT_FALSE(one.error);
}

TEST_F(AnnotationsTest, a_label_is_chosen_and_never_guessed) {
    const std::string text = labelme(shape("hand", kTriangle) + "," + shape("ring", "[[1, 2], [3, 4]]", "line"));
    EXPECT_EQ(read(text, "hand")[0].polygons.size(), 1U) << "the line is of another label";
    EXPECT_EQ(flaw(text, "foot"), "no_such_label");
    EXPECT_EQ(flaw(labelme(shape("hand", kTriangle) + "," + shape("ring", kTriangle))), "several_labels");
}

TEST_F(AnnotationsTest, coco_images_get_the_polygons_of_their_annotations) {
    const auto all = read(R"({"images": [{"id": 7, "file_name": "a/1381.png", "height": 30, "width": 20},
        {"id": 8, "file_name": "nobody.png"}, {"id": 9, "file_name": "2.jpg", "height": 5, "width": 5}],
        "categories": [{"id": 1, "name": "hand"}],
        "annotations": [{"image_id": 9, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]},
        {"image_id": 7, "category_id": 1, "segmentation": [[0, 0, 9, 0, 9, 9], [2, 1, 3, 1, 3, 2]]},
        {"image_id": 7, "category_id": 1, "segmentation": [[10, 10, 12, 10, 12, 12, 10, 12]]}]})");
    ASSERT_EQ(all.size(), 2U) << "an image without annotations has no mask";
    EXPECT_EQ(all[0].id, "1381");
    EXPECT_EQ(all[0].height, 30);
    ASSERT_EQ(all[0].polygons.size(), 2U);
    EXPECT_EQ(all[0].polygons[0].size(), 2U);
    EXPECT_EQ(all[0].polygons[1][0].size(), 4U);
    EXPECT_EQ(all[1].id, "2");
    EXPECT_FALSE(all[0].error || all[1].error);
}

TEST_F(AnnotationsTest, one_flawed_image_of_a_coco_file_leaves_the_others) {
    const auto all = read(R"({"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "segmentation": {"counts": "ab", "size": [5, 5]}},
        {"image_id": 2, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]}]})");
    ASSERT_EQ(all.size(), 2U);
    ASSERT_TRUE(all[0].error.has_value());
    EXPECT_EQ(all[0].error->code(), "unsupported_shape");
    EXPECT_FALSE(all[1].error);
}

TEST_F(AnnotationsTest, shapes_without_an_inside_are_told) {
    EXPECT_EQ(flaw(labelme(shape("hand", "[[1, 2], [3, 4]]", "circle"))), "unsupported_shape");
    EXPECT_EQ(flaw(labelme(shape("hand", kTriangle, "linestrip"))), "unsupported_shape");
}

TEST_F(AnnotationsTest, what_is_no_number_is_told) {
    for (const char* points : {"[[1, 2], [3, 4]]", "[]", "7", "[[1, 2], [3, 4], [5]]", "[[1, 2], [3, 4], [5, \"6\"]]",
                               "[[1, 2], [3, 4], [5, null]]", "[[1, 2], [3, 4], [1e300, 0]]"}) {
        EXPECT_EQ(flaw(labelme(shape("hand", points))), "bad_annotation") << points;
    }
    for (const char* size : {"0", "-5", "70000", "1.5", "\"9\"", "18446744073709551615"}) {
        EXPECT_EQ(flaw(labelme(shape("hand", kTriangle), R"(, "imageWidth": 10, "imageHeight": )" + std::string(size))),
                  "bad_annotation")
            << size;
    }
    EXPECT_EQ(flaw(labelme(shape("hand", kTriangle), R"(, "imageWidth": 10)")), "bad_annotation");
    EXPECT_EQ(flaw(labelme(shape("hand", kTriangle), R"(, "imageWidth": 65536, "imageHeight": 65536)")),
              "bad_annotation");
    std::string many = "[[0, 0]";
    for (int i = 0; i < 200'000; ++i) {
        many += ",[1,1]";
    }
    EXPECT_EQ(flaw(labelme(shape("hand", many + "]"))), "bad_annotation");
}

TEST_F(AnnotationsTest, files_of_other_kinds_are_refused) {
    for (const char* text :
         {"", "{", "[]", "{}", "null", R"({"shapes": 7})", R"({"shapes": [7]})", R"({"images": []})",
          R"({"images": [], "annotations": [1]})", R"({"images": [], "annotations": [], "categories": [1]})"}) {
        EXPECT_EQ(refusal(text), "not_annotations") << text;
    }
    EXPECT_EQ(refusal(std::string(1'000'000, '[')), "not_annotations");
    EXPECT_THROW(read_annotations(folder_ / "missing.json", std::nullopt), InputError);
}

TEST_F(AnnotationsTest, every_truncation_is_refused) {
    const std::string whole = labelme(shape("hand", kTriangle));
    for (size_t length = 0; length < whole.size(); ++length) {
        EXPECT_EQ(refusal(whole.substr(0, length)), "not_annotations") << length;
    }
}

}  // namespace
}  // namespace boneage::train

// What the report's page is made of: text, pictures, drawings, the training's log.
#include "engine/eval/gnuplot.h"
#include "engine/eval/html.h"
#include "engine/eval/stage_thumbnails.h"
#include "engine/eval/training_log.h"
#include "engine/io/image_file.h"
#include "engine/io/png_write.h"
#include "kernels/base/error.h"
#include "tests/support/folder.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>

namespace boneage::eval {
namespace {

using boneage::testing::error_of;
using boneage::testing::Folder;

std::string base64_of(const std::string& text) {
    return base64(std::vector<uint8_t>(text.begin(), text.end()));
}

// The vectors of RFC 4648.
TEST(html, base64_is_that_of_the_rfc) {
    EXPECT_EQ(base64_of(""), "");
    EXPECT_EQ(base64_of("f"), "Zg==");
    EXPECT_EQ(base64_of("fo"), "Zm8=");
    EXPECT_EQ(base64_of("foo"), "Zm9v");
    EXPECT_EQ(base64_of("foob"), "Zm9vYg==");
    EXPECT_EQ(base64_of("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64(std::vector<uint8_t>{0xFB, 0xFF, 0xFE}), "+//+");
}

TEST(html, text_cannot_become_a_tag_or_leave_an_attribute) {
    EXPECT_EQ(escaped("<img src='x' onerror=\"a&b\">"), "&lt;img src=&#39;x&#39; onerror=&quot;a&amp;b&quot;&gt;");
}

TEST(html, bytes_that_are_no_utf8_are_replaced) {
    EXPECT_EQ(escaped("\xC3\xA4 \xE2\x82\xAC \xF0\x9F\xA6\xB4"), "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\xA6\xB4");
    const std::string replacement = "\xEF\xBF\xBD";
    EXPECT_EQ(escaped("a\xFF"
                      "b"),
              "a" + replacement + "b");
    EXPECT_EQ(escaped("\xC3<"), replacement + "&lt;") << "half a sequence swallows nothing";
    EXPECT_EQ(escaped("\xE2\x82"), replacement + replacement);
    EXPECT_EQ(escaped("\xED\xA0\x80"), replacement + replacement + replacement) << "a surrogate";
    EXPECT_EQ(escaped("\xC0\xBC"), replacement + replacement) << "an overlong form of <";
}

TEST(html, numbers_have_a_true_minus_and_a_dash_where_there_is_none) {
    EXPECT_EQ(decimal(1.25, 1), "1.2");
    EXPECT_EQ(decimal(-3.14159, 2),
              "\xE2\x88\x92"
              "3.14");
    EXPECT_EQ(decimal(-0.001, 2), "0.00");
    EXPECT_EQ(decimal(std::numeric_limits<double>::quiet_NaN(), 2), "\xE2\x80\x93");
    EXPECT_EQ(percent(0.8314), "83.1\xC2\xA0%");
}

TEST(training_log, keeps_the_last_line_of_an_epoch_and_tells_what_it_left_out) {
    const Folder folder;
    const auto path = folder.write("train.jsonl",
                                   "{\"run\":\"x\"}\n"
                                   "{\"epoch\":2,\"train_loss\":9,\"val_mae_months\":12.5,\"learning_rate\":0.001}\n"
                                   "\n{\"epoch\":1,\"train_loss\":20}\r\n"
                                   "{\"epoch\":2,\"train_loss\":8,\"val_mae_months\":null}\n"
                                   "{\"epoch\":3,\"train_lo");
    const TrainingLog log = read_training_log(path);
    ASSERT_EQ(log.epochs.size(), 2U);
    EXPECT_EQ(log.epochs[0].epoch, 1);
    EXPECT_EQ(log.epochs[0].train_loss, 20.0);
    EXPECT_FALSE(log.epochs[0].learning_rate);
    EXPECT_EQ(log.epochs[1].train_loss, 8.0);
    EXPECT_FALSE(log.epochs[1].val_mae_months);
    ASSERT_EQ(log.notes.size(), 2U);
    EXPECT_NE(log.notes[0].find("line 1: the line has no epoch"), std::string::npos);
    EXPECT_NE(log.notes[1].find("line 6: the line is cut short"), std::string::npos);
}

TEST(training_log, that_is_none_is_an_error_that_names_the_line) {
    const Folder folder;
    const auto error = [&](const std::string& text) {
        return error_of<UsageError>([&] { read_training_log(folder.write("log", text)); });
    };
    EXPECT_NE(error("{\"epoch\":1}\nepoch 2\n").find("log, line 2: this is no JSON object"), std::string::npos);
    EXPECT_NE(error("[1]\n").find("line 1"), std::string::npos);
    EXPECT_NE(error("").find("has no line with an epoch"), std::string::npos);
    EXPECT_NE(error("{\"epoch\":\"one\"}\n").find("has no line with an epoch"), std::string::npos);
    EXPECT_NE(error(std::string(100'000, '[') + "\n").find("line 1"), std::string::npos);
}

TEST(thumbnails, are_small_eight_bit_pictures_in_the_stages_order) {
    const Folder folder;
    std::filesystem::create_directories(folder / "7");
    HostImage<uint16_t> wide(100, 400);
    std::fill(wide.view().data, wide.view().data + wide.view().pixels(), uint16_t{0x8040});
    io::write_png<uint16_t>(folder / "7/01-polarity.png", wide.view());
    HostImage<uint8_t> small(10, 20);
    std::fill(small.view().data, small.view().data + small.view().pixels(), uint8_t{9});
    io::write_png<uint8_t>(folder / "7/00-contrast.png", small.view());
    io::write_png<uint8_t>(folder / "7/notes.png", small.view());
    folder.write("7/02-canvas.png", "no picture");
    const Thumbnails made = stage_thumbnails(folder.path(), "7", 80);
    ASSERT_EQ(made.pictures.size(), 2U);
    EXPECT_EQ(made.pictures[0].stage, "contrast");
    EXPECT_EQ(made.pictures[0].width, 20) << "never enlarged";
    EXPECT_EQ(made.pictures[1].stage, "polarity");
    EXPECT_EQ(made.pictures[1].width, 80);
    EXPECT_EQ(made.pictures[1].height, 20);
    const io::DecodedImage decoded = io::decode_image(made.pictures[1].png, "thumbnail");
    ASSERT_EQ(decoded.bit_depth, 8);
    EXPECT_EQ(decoded.width(), 80);
    EXPECT_EQ(std::get<HostImage<uint8_t>>(decoded.pixels).view().at(10, 40), 0x80);
    ASSERT_EQ(made.problems.size(), 1U);
    EXPECT_NE(made.problems[0].find("02-canvas.png"), std::string::npos);
}

TEST(thumbnails, that_are_missing_are_a_problem_and_an_id_cannot_lead_elsewhere) {
    const Folder folder;
    HostImage<uint8_t> image(4, 4);
    image.view().at(0, 0) = 1;
    std::filesystem::create_directories(folder / "outside");
    io::write_png<uint8_t>(folder / "outside/00-contrast.png", image.view());
    io::write_png<uint8_t>(folder / "00-contrast.png", image.view());
    std::filesystem::create_directories(folder / "stages");
    for (const char* id : {"none", "../outside", ".."}) {
        const Thumbnails made = stage_thumbnails(folder / "stages", id, 80);
        EXPECT_TRUE(made.pictures.empty()) << id;
        EXPECT_EQ(made.problems.size(), 1U) << id;
    }
}

TEST(gnuplot, draws_elements_whose_ids_are_their_own) {
    const std::vector<Drawing> drawings{{"first", "plot x with points pt 7 title 'a line'\n", 300, 200},
                                        {"second", "plot x*x with points pt 7\n", 300, 200}};
    const std::vector<std::string> elements = draw(drawings);
    ASSERT_EQ(elements.size(), 2U);
    EXPECT_EQ(elements, draw(drawings)) << "the same bytes again";
    for (size_t i = 0; i < 2; ++i) {
        EXPECT_TRUE(elements[i].starts_with("<svg"));
        EXPECT_TRUE(elements[i].ends_with("</svg>"));
        EXPECT_EQ(elements[i].find("<!DOCTYPE"), std::string::npos);
        EXPECT_EQ(elements[i].find("<script"), std::string::npos);
        for (size_t at = elements[i].find(" id="); at != std::string::npos; at = elements[i].find(" id=", at + 1)) {
            EXPECT_EQ(elements[i].substr(at + 5, drawings[i].name.size()), drawings[i].name);
        }
        for (size_t at = elements[i].find("href="); at != std::string::npos; at = elements[i].find("href=", at + 1)) {
            EXPECT_EQ(elements[i].substr(at + 6, drawings[i].name.size() + 1), "#" + drawings[i].name);
        }
    }
    EXPECT_NE(elements[0].find("a line"), std::string::npos);
}

TEST(gnuplot, complaints_are_passed_on) {
    EXPECT_NE(error_of<Error>([] {
                  draw({{"bad", "plot nonsense(\n", 300, 200}});
              }).find("gnuplot failed"),
              std::string::npos);
}

}  // namespace
}  // namespace boneage::eval

// boneage train, train-segmenter and convert, as a user runs them: on real radiographs, with bad input, interrupted and
// killed.
#include "engine/io/model_file.h"
#include "tests/support/folder.h"
#include "tests/support/program.h"
#include "tests/support/refusal.h"

#include <algorithm>
#include <chrono>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>

namespace boneage::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kSmall = fs::path(BONEAGE_TEST_DATA) / "small";

// The small radiographs' labels with every third one to judge by.
std::string labels_with_splits() {
    std::ifstream given(kSmall / "labels.csv");
    std::string line;
    std::string text;
    for (int row = 0; std::getline(given, line); ++row) {
        text += line + (row == 0 ? ",split\n" : row % 3 == 0 ? ",val\n" : ",train\n");
    }
    return text;
}

class TrainTest : public ::testing::Test {
protected:
    std::string at(const std::string& name) const { return (folder_ / name).string(); }

    // A cache of the small radiographs.
    void prepare() {
        folder_.write("labels.csv", labels_with_splits());
        const Ran ran = run_program({"prepare", kSmall.string(), "--labels", at("labels.csv"), "--canvas", "120",
                                     "--input", "64x80", "-o", at("cache")});
        ASSERT_EQ(ran.code, 0) << ran.err;
    }
    std::vector<std::string> train_command(const std::string& run, int epochs) const {
        return {"train",   at("cache"), "-o",        at(run), "--epochs",     std::to_string(epochs),
                "--batch", "4",         "--threads", "1",     "--rate",       "3e-4",
                "--ema",   "0.9",       "--device",  "cpu",   "--base-width", "16"};
    }
    static void expect_epochs(const std::string& log, size_t count) {
        std::istringstream lines(log);
        std::string line;
        size_t epoch = 0;
        while (std::getline(lines, line)) {
            EXPECT_EQ(nlohmann::json::parse(line)["epoch"], ++epoch);
        }
        EXPECT_EQ(epoch, count);
    }

    Folder folder_;
};

TEST_F(TrainTest, what_it_trains_scores_and_says_how_it_was_made) {
    prepare();
    const Ran ran = run_program(train_command("run", 2));
    ASSERT_EQ(ran.code, 0) << ran.err;
    for (const char* part : {"effective sample size", "computing with oneDNN", "11 pictures to train on, 5 to judge by",
                             "epoch 2 of 2", "validation MAE", "months", "left"}) {
        EXPECT_NE(ran.err.find(part), std::string::npos) << part << "\n" << ran.err;
    }
    EXPECT_EQ(ran.err.find("\n\n"), std::string::npos) << ran.err;
    expect_epochs(text_of(at("run/train.jsonl")), 2);
    const Ran told = run_program({"inspect", at("run/resnet34.safetensors"), "--json"});
    const nlohmann::json model = nlohmann::json::parse(told.out);
    EXPECT_EQ(model["trained"], true);
    EXPECT_EQ(model["recipe"]["input"]["width"], 64);
    for (const char* part :
         {"Validation MAE", "Trained by `boneage train cache/ -o run/ --epochs 2 --batch 4 --seed 1", "--precision f32",
          "--threads 1", "--schedule plateau-torch --rate 3e-04", "--ema 0.9", "--rotate 20", "--base-width 16"}) {
        EXPECT_NE(model["card"].get<std::string>().find(part), std::string::npos) << part << "\n" << model["card"];
    }
    const Ran scored = run_program({"score", kSmall.string(), "--weights", at("run/resnet34.safetensors"),
                                    "--segmenter", "none", "--device", "cpu", "-o", at("scores.csv")});
    EXPECT_EQ(scored.code, 0) << scored.err;
    EXPECT_EQ(scored.err.find("untrained"), std::string::npos) << scored.err;

    ASSERT_EQ(run_program({"convert", at("run/resnet34.safetensors"), at("half.safetensors")}).code, 0);
    EXPECT_LT(fs::file_size(at("half.safetensors")), fs::file_size(at("run/resnet34.safetensors")) * 51 / 100);
    EXPECT_EQ(nlohmann::json::parse(run_program({"inspect", at("half.safetensors"), "--json"}).out)["card"],
              model["card"]);
}

TEST_F(TrainTest, a_card_is_whole_however_long_the_paths_it_names_are) {
    const std::string far = std::string(200, 'a') + "/" + std::string(200, 'b') + "/" + std::string(200, 'c');
    folder_.write(far + "/labels.csv", labels_with_splits());
    ASSERT_EQ(run_program({"prepare", kSmall.string(), "--labels", at(far + "/labels.csv"), "--canvas", "120",
                           "--input", "64x80", "-o", at("cache")})
                  .code,
              0);
    ASSERT_EQ(run_program(train_command("run", 1)).code, 0);
    const std::string card =
        nlohmann::json::parse(run_program({"inspect", at("run/resnet34.safetensors"), "--json"}).out)["card"];
    for (const std::string& part : {far, std::string("Validation MAE"), std::string("not a medical device.")}) {
        EXPECT_NE(card.find(part), std::string::npos) << part << "\n" << card;
    }
}

TEST_F(TrainTest, killed_or_interrupted_it_resumes_to_the_same_model) {
    prepare();
    constexpr int kEpochs = 8;
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_EQ(run_program(train_command("unbroken", kEpochs)).code, 0);
    const auto a_third = (std::chrono::steady_clock::now() - begin) / 3;
    const auto resumed = [&] {
        std::vector<std::string> command = train_command("broken", kEpochs);
        command.emplace_back("--recompute");  // in other memory, to the same bits
        if (fs::exists(at("broken/checkpoint.safetensors")) ||
            fs::exists(at("broken/checkpoint.safetensors.previous"))) {
            command.emplace_back("--resume");
        }
        return command;
    };
    // Killed while it starts and while it trains, and once asked to stop.
    for (const auto& time : {a_third / 8, a_third, a_third}) {
        Program program(resumed());
        std::this_thread::sleep_for(time);
        program.send(SIGKILL);
        program.wait();
    }
    {
        Program program(resumed());
        std::this_thread::sleep_for(a_third);
        program.send(SIGINT);
        const Ran ran = program.wait();
        EXPECT_TRUE(ran.code == 0 || ran.code == 3) << ran.err;
        if (ran.code == 3 && ran.err.find("stopped ") == std::string::npos) {
            ADD_FAILURE() << ran.err;
        }
    }
    const Ran last = run_program(resumed());
    ASSERT_EQ(last.code, 0) << last.err;
    expect_epochs(text_of(at("broken/train.jsonl")), kEpochs);
    EXPECT_EQ(text_of(at("broken/resnet34.safetensors")), text_of(at("unbroken/resnet34.safetensors")));
}

TEST_F(TrainTest, a_resumed_run_refuses_other_settings_by_name_and_says_what_it_changes) {
    prepare();
    ASSERT_EQ(run_program(train_command("run", 1)).code, 0);
    const auto resume = [&](const std::vector<std::string>& more) {
        std::vector<std::string> command = train_command("run", 1);
        command.emplace_back("--resume");
        command.insert(command.end(), more.begin(), more.end());
        return run_program(command);
    };
    for (const auto& [change, said] :
         {std::pair<std::vector<std::string>, std::string>{
              {"--optimiser", "adamw"},
              "begun with --optimiser adam and is to be resumed with --optimiser adamw; resume with what"},
          {{"--weight-decay", "0.1"}, "with --weight-decay 0 and is to be resumed with --weight-decay 0.1"},
          {{"--clip", "1"}, "--clip 1"},
          {{"--precision", "bf16"}, "--precision bf16"},
          {{"--schedule", "constant"}, "--schedule constant"},
          {{"--shuffle"}, "begun without --shuffle and is to be resumed with --shuffle"},
          {{"--flip", "0.25"}, "with --flip 0.5 and is to be resumed with --flip 0.25"}}) {
        const Ran ran = resume(change);
        EXPECT_EQ(not_refused(ran, 2), "");
        EXPECT_NE(ran.err.find(said), std::string::npos) << ran.err;
    }
    EXPECT_EQ(resume({}).err.find("instead of"), std::string::npos);

    std::vector<std::string> other = train_command("run", 2);
    other.emplace_back("--resume");
    *std::ranges::find(other, "3e-4") = "1e-5";
    other.insert(other.end(), {"--patience", "3", "--stop-after", "7"});
    const Ran ran = run_program(other);
    EXPECT_EQ(ran.code, 0) << ran.err;
    for (const char* part :
         {"resuming with --epochs 2 instead of with --epochs 1", "with --rate 1e-05 instead of with --rate 3e-04",
          "with --patience 3 instead of with --patience 10", "with --stop-after 7 instead of without --stop-after",
          "rate 1e-05,"}) {
        EXPECT_NE(ran.err.find(part), std::string::npos) << part << "\n" << ran.err;
    }
}

TEST_F(TrainTest, what_counts_as_an_improvement_can_be_said) {
    prepare();
    // No epoch but the first one is better by so much: the rate falls with each that no cooldown spares.
    std::vector<std::string> command = train_command("run", 4);
    command.insert(command.end(),
                   {"--factor", "0.5", "--patience", "0", "--threshold", "0.999999", "--min-delta", "1000"});
    const auto rates = [&](const std::string& run, const std::vector<std::string>& more) {
        std::vector<std::string> all = command;
        *(std::ranges::find(all, "-o") + 1) = at(run);
        all.insert(all.end(), more.begin(), more.end());
        const Ran ran = run_program(all);
        EXPECT_EQ(ran.code, 0) << ran.err;
        std::vector<double> found;
        std::istringstream lines(text_of(at(run + "/train.jsonl")));
        for (std::string line; std::getline(lines, line);) {
            found.push_back(nlohmann::json::parse(line)["learning_rate"]);
        }
        EXPECT_NE(ran.err.find("the best was epoch 1 "), std::string::npos) << ran.err;
        return found;
    };
    EXPECT_EQ(rates("at-once", {}), (std::vector<double>{3e-4, 3e-4, 1.5e-4, 0.75e-4}));
    EXPECT_EQ(rates("cooled", {"--cooldown", "3"}), (std::vector<double>{3e-4, 3e-4, 1.5e-4, 1.5e-4}));
    EXPECT_EQ(run_program({"train", at("cache"), "-o", at("x"), "--threshold", "1"}).code, 2);
    EXPECT_EQ(run_program({"train", at("cache"), "-o", at("x"), "--cooldown", "-1"}).code, 2);
}

TEST_F(TrainTest, a_resumed_run_keeps_its_threads_or_says_that_bits_will_differ) {
    prepare();
    std::vector<std::string> command = train_command("run", 1);
    *(std::ranges::find(command, "--threads") + 1) = "2";
    ASSERT_EQ(run_program(command).code, 0);
    command.emplace_back("--resume");
    *(std::ranges::find(command, "--epochs") + 1) = "2";
    const auto threads = std::ranges::find(command, "--threads");
    *(threads + 1) = "1";
    const Ran other = run_program(command);
    EXPECT_EQ(other.code, 0) << other.err;
    EXPECT_NE(other.err.find("resuming with --threads 1 instead of with --threads 2: its last bits will differ"),
              std::string::npos)
        << other.err;
    command.erase(threads, threads + 2);
    const Ran same = run_program(command);
    EXPECT_EQ(same.code, 0) << same.err;
    EXPECT_EQ(same.err.find("--threads"), std::string::npos) << same.err;
}

TEST_F(TrainTest, starts_from_a_network_with_another_head_and_draws_more_than_once) {
    prepare();
    std::vector<std::string> first = train_command("first", 1);
    first.insert(first.end(), {"--repeats", "2"});
    const Ran ran = run_program(first);
    ASSERT_EQ(ran.code, 0) << ran.err;
    const auto epoch = nlohmann::json::parse(text_of(at("first/train.jsonl")));
    EXPECT_EQ(epoch["step"], 2 * 11 / 4);

    std::vector<std::string> second = train_command("second", 1);
    second.insert(second.end(), {"--start-from", at("first/resnet34.safetensors"), "--hidden", "8"});
    const Ran other = run_program(second);
    ASSERT_EQ(other.code, 0) << other.err;
    EXPECT_NE(other.err.find("has another head; these begin anew: fc_hidden.weight, fc_hidden.bias, fc.weight"),
              std::string::npos)
        << other.err;
    const auto weights = [&](const char* run, const char* name) {
        const io::ModelFile model(at(std::string(run) + "/resnet34.safetensors"));
        return model.parameters()(name);
    };
    // Two steps of Adam move no weight by more than twice the rate.
    const std::vector<float> before = weights("first", "layer4.2.conv2.weight");
    const std::vector<float> after = weights("second", "layer4.2.conv2.weight");
    EXPECT_NE(before, after);
    for (size_t i = 0; i < before.size(); ++i) {
        ASSERT_NEAR(after[i], before[i], 1e-3);
    }
    EXPECT_EQ(weights("second", "fc.weight").size(), 8U);
}

TEST_F(TrainTest, what_cannot_be_trained_is_one_sentence) {
    const auto refused = [&](const std::vector<std::string>& command, int code, const std::string& part) {
        const Ran ran = run_program(command);
        EXPECT_EQ(ran.code, code) << ran.err;
        EXPECT_NE(ran.err.find(part), std::string::npos) << ran.err;
    };
    refused({"train", at("nothing"), "-o", at("run")}, 2, at("nothing"));
    refused({"train-segmenter", at("nothing"), "-o", at("run")}, 2, at("nothing"));
    folder_.write("labels.csv", "id,boneage_months,sex\n10107,12,F\n5127,24,M\n");
    ASSERT_EQ(run_program({"prepare", kSmall.string(), "--labels", at("labels.csv"), "--canvas", "120", "--input",
                           "64x80", "-o", at("cache")})
                  .code,
              0);
    refused({"train", at("cache"), "-o", at("run")}, 2, "a column split that says train or val\n");
    folder_.write("labels.csv", "id,boneage_months,sex,split\n10107,12,F,train\n5127,24,M,validation\n");
    ASSERT_EQ(run_program({"prepare", kSmall.string(), "--labels", at("labels.csv"), "--canvas", "120", "--input",
                           "64x80", "-o", at("cache")})
                  .code,
              0);
    refused({"train", at("cache"), "-o", at("run")}, 2,
            "1 training and 0 validation pictures; prepare it from labels with a column split that says train or val; "
            "here it says validation");
    prepare();
    refused({"train", at("cache"), "-o", at("run"), "--batch", "64"}, 2, "batch");
    refused({"train", at("cache"), "-o", at("run"), "--schedule", "sometimes"}, 2, "--schedule");
    refused({"train", at("cache"), "-o", at("run"), "--precision", "1"}, 2, "--precision");
    refused({"convert", std::string(BONEAGE_TEST_MODELS) + "/unet.safetensors", at("x"), "--type", "0"}, 2, "--type");
    refused(
        {"train", at("cache"), "-o", at("run"), "--start-from", std::string(BONEAGE_TEST_MODELS) + "/unet.safetensors"},
        2, R"(another network than the one to be trained: {"type":"unet")");
    refused(
        {"train", at("cache"), "-o", at("run"), "--start-from", std::string(BONEAGE_TEST_MODELS) + "/unet.safetensors"},
        2, "; start from a resnet34");
    refused({"train", at("cache"), "-o", at("run"), "--base-width", "8", "--start-from",
             std::string(BONEAGE_TEST_MODELS) + "/resnet34.safetensors"},
            2, "; train one of its width with --base-width 16");
    ASSERT_EQ(run_program(train_command("run", 1)).code, 0);
    refused(train_command("run", 1), 2, "--resume");
    fs::resize_file(at("cache/ages.safetensors"), fs::file_size(at("cache/ages.safetensors")) / 2);
    refused(train_command("other", 1), 2, "ages.safetensors");
}

TEST_F(TrainTest, the_help_of_each_training_speaks_of_its_own_network) {
    const std::string ages = run_program({"train", "--help"}).out;
    const std::string masks = run_program({"train-segmenter", "--help"}).out;
    EXPECT_NE(ages.find("a resnet34 of the same --base-width"), std::string::npos) << ages;
    EXPECT_EQ(masks.find("resnet34"), std::string::npos) << masks;
    EXPECT_NE(masks.find("a unet of the same --depth and --base-width"), std::string::npos) << masks;
}

TEST_F(TrainTest, options_of_a_gpu_are_refused_where_they_mean_nothing) {
    prepare();
    const auto refused = [&](const std::vector<std::string>& options, int code, const std::string& part) {
        for (const char* command : {"train", "train-segmenter"}) {
            std::vector<std::string> all{command, at("cache"), "-o", at("run")};
            all.insert(all.end(), options.begin(), options.end());
            const Ran ran = run_program(all);
            EXPECT_EQ(not_refused(ran, code), "") << command;
            EXPECT_NE(ran.err.find(part), std::string::npos) << ran.err;
        }
        EXPECT_FALSE(fs::exists(at("run")));
    };
    refused({"--device", "cuda:99"}, 3, "--device cuda:99 cannot be used: ");
    refused({"--device", "tpu"}, 2, "--device tpu is unknown");
    refused({"--device", "cpu", "--autotune"}, 2, "--autotune measures what is fastest on a GPU");
    refused({"--device", "cuda", "--convolutions", "direct"}, 2, "--convolutions says how processors compute");
}

TEST_F(TrainTest, learns_masks_that_people_drew) {
    fs::create_directories(folder_ / "images");
    fs::create_directories(folder_ / "masks");
    cv::RNG random(3);
    for (int i = 0; i < 10; ++i) {
        cv::Mat image(60, 48, CV_8U, cv::Scalar(40));
        cv::Mat mask = cv::Mat::zeros(60, 48, CV_8U);
        const cv::RotatedRect hand({24.0F + static_cast<float>(i % 3), 30}, {24, 34}, static_cast<float>(10 * i));
        cv::ellipse(mask, hand, cv::Scalar(255), cv::FILLED);
        image.setTo(170, mask);
        cv::Mat noise(image.size(), CV_8U);
        random.fill(noise, cv::RNG::UNIFORM, 0, 40);
        image += noise;
        const std::string name = std::to_string(i) + ".png";
        ASSERT_TRUE(cv::imwrite(at("images/" + name), image));
        ASSERT_TRUE(cv::imwrite(at("masks/" + name), mask));
    }
    nlohmann::json recipe = nlohmann::json::parse(
        run_program({"inspect", std::string(BONEAGE_TEST_MODELS) + "/unet.safetensors", "--json"}).out)["recipe"];
    recipe["canvas"]["long_side"] = 64;
    recipe["segment"]["long_side"] = 64;
    recipe["segment"]["patch"] = 64;
    folder_.write("recipe.json", recipe.dump());
    const Ran prepared = run_program(
        {"prepare", at("images"), "--masks", at("masks"), "--recipe", at("recipe.json"), "-o", at("cache")});
    ASSERT_EQ(prepared.code, 0) << prepared.err;
    const Ran ran = run_program({"train-segmenter", at("cache"), "-o", at("run"), "--epochs", "8", "--depth", "2",
                                 "--base-width", "8", "--rate", "5e-3", "--batch", "4", "--threads", "1"});
    ASSERT_EQ(ran.code, 0) << ran.err;
    EXPECT_NE(ran.err.find("8 pictures to train on, 2 to judge by"), std::string::npos) << ran.err;
    EXPECT_EQ(ran.err.find(" ,"), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find(" (cross-entropy 0."), std::string::npos) << ran.err;
    expect_epochs(text_of(at("run/train.jsonl")), 8);
    const Ran applied = run_program({"apply", "segment", at("images/0.png"), at("mask.png"), "--segmenter",
                                     at("run/unet.safetensors"), "--device", "cpu"});
    ASSERT_EQ(applied.code, 0) << applied.err;
    const cv::Mat found = cv::imread(at("mask.png"), cv::IMREAD_GRAYSCALE);
    const cv::Mat drawn = cv::imread(at("masks/0.png"), cv::IMREAD_GRAYSCALE);
    const double both = cv::countNonZero(found & drawn);
    EXPECT_GT(2 * both / (cv::countNonZero(found) + cv::countNonZero(drawn)), 0.9);
}

}  // namespace
}  // namespace boneage::testing

#include "engine/train/train_log.h"

#include "kernels/base/error.h"
#include "tests/support/folder.h"

#include <cmath>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <limits>
#include <sys/resource.h>

namespace boneage::train {
namespace {

using testing::error_of;
using testing::Folder;
using testing::read_text;

EpochRecord record_of(int64_t epoch) {
    return {.epoch = epoch,
            .step = epoch * 395,
            .train_loss = 1.0 / static_cast<double>(epoch),
            .val_mae_months = 10.5,
            .val_dice = std::nullopt,
            .learning_rate = 1e-3,
            .images_per_second = 18.5,
            .elapsed_s = 700.25 * static_cast<double>(epoch),
            .draws_per_category = {3, 0, 5},
            .more = {{"gradient_norm", 0.5}}};
}

class TrainLogTest : public ::testing::Test {
protected:
    // A log of epochs 1 to `epochs`.
    std::string write_log(int64_t epochs) {
        TrainLog log(path_, 0);
        for (int64_t epoch = 1; epoch <= epochs; ++epoch) {
            log.append(record_of(epoch));
        }
        return read_text(path_);
    }
    std::vector<int64_t> epochs() {
        std::vector<int64_t> found;
        for (const EpochRecord& record : read_train_log(path_)) {
            found.push_back(record.epoch);
        }
        return found;
    }
    std::string refusal(const std::string& text) {
        folder_.write("log.jsonl", text);
        std::string why = error_of<UsageError>([&] { read_train_log(path_); });
        EXPECT_EQ(error_of<UsageError>([&] { const TrainLog log(path_, 1); }), why);
        EXPECT_EQ(read_text(path_), text) << "a file that is no log must not be changed";
        return why;
    }

    Folder folder_;
    std::string path_ = (folder_ / "log.jsonl").string();
};

TEST_F(TrainLogTest, is_one_object_a_line) {
    EXPECT_EQ(write_log(2),
              R"({"epoch":1,"step":395,"train_loss":1.0,"val_mae_months":10.5,"learning_rate":0.001,)"
              R"("images_per_second":18.5,"elapsed_s":700.25,"draws_per_category":[3,0,5],"gradient_norm":0.5})"
              "\n"
              R"({"epoch":2,"step":790,"train_loss":0.5,"val_mae_months":10.5,"learning_rate":0.001,)"
              R"("images_per_second":18.5,"elapsed_s":1400.5,"draws_per_category":[3,0,5],"gradient_norm":0.5})"
              "\n");
}

TEST_F(TrainLogTest, what_is_appended_is_read) {
    EpochRecord segmenter;
    segmenter.step = 7;
    segmenter.train_loss = std::numeric_limits<double>::quiet_NaN();
    segmenter.val_dice = 0.1 + 0.2;
    {
        TrainLog log(path_, 0);
        log.append(segmenter);
        EXPECT_EQ(read_train_log(path_).size(), 1U) << "a line is there when append() returns";
        log.append(record_of(2));
    }
    const std::vector<EpochRecord> records = read_train_log(path_);
    ASSERT_EQ(records.size(), 2U);
    EXPECT_TRUE(std::isnan(records[0].train_loss));
    EXPECT_EQ(records[0].val_dice, 0.1 + 0.2);
    EXPECT_FALSE(records[0].val_mae_months);
    EXPECT_TRUE(records[0].draws_per_category.empty());
    EXPECT_EQ(to_json(records[0]), to_json(segmenter));
    EXPECT_EQ(to_json(records[1]), to_json(record_of(2)));
    EXPECT_EQ(records[1].more.at("gradient_norm"), 0.5);
}

TEST_F(TrainLogTest, a_resumed_run_cuts_off_the_epochs_after_its_checkpoint) {
    const std::string whole = write_log(5);
    TrainLog log(path_, 3);
    EXPECT_EQ(log.epochs_cut(), 2);
    EXPECT_EQ(epochs(), (std::vector<int64_t>{1, 2, 3}));
    log.append(record_of(4));
    log.append(record_of(5));
    EXPECT_EQ(read_text(path_), whole);
}

TEST_F(TrainLogTest, begins_where_there_is_none_and_anew_where_nothing_is_kept) {
    {
        TrainLog log(path_, 6);  // the log was deleted: the checkpoint alone decides
        EXPECT_EQ(log.epochs_cut(), 0);
        log.append(record_of(7));
    }
    EXPECT_EQ(epochs(), std::vector<int64_t>{7});
    const TrainLog log(path_, 0);
    EXPECT_EQ(log.epochs_cut(), 1);
    EXPECT_EQ(read_text(path_), "");
}

TEST_F(TrainLogTest, a_last_line_cut_off_anywhere_is_left_out) {
    const std::string whole = write_log(3);
    const size_t third = whole.rfind("{\"epoch\"");
    std::vector<size_t> lengths{third, whole.size() - 3, whole.size() - 2, whole.size() - 1};
    for (size_t length = third + 1; length < whole.size() - 3; length += 11) {
        lengths.push_back(length);
    }
    for (const size_t length : lengths) {
        const bool complete = length + 1 == whole.size();  // all but the line's end
        for (const char* zeros : {"", "0"}) {
            const std::string tail = *zeros == '\0' ? "" : std::string(5, '\0');
            folder_.write("log.jsonl", whole.substr(0, length) + tail);
            const size_t found = complete && tail.empty() ? 3 : 2;
            EXPECT_EQ(epochs().size(), found) << length;
            TrainLog log(path_, 3);
            if (found == 2) {
                log.append(record_of(3 + 1));
            }
            EXPECT_EQ(epochs().size(), 3U) << length;
        }
    }
}

TEST_F(TrainLogTest, lines_that_are_no_records_are_refused_by_number_and_the_file_is_left_alone) {
    const std::string good = to_json(record_of(1)) + "\n";
    const auto expect = [&](const std::string& text, const std::string& because) {
        const std::string why = refusal(text);
        EXPECT_NE(why.find(because), std::string::npos) << why;
    };
    expect(good + "torn{\n" + good, "log.jsonl, line 2: it is not JSON");
    expect("id,age\n1,2\n", "line 1: it is not JSON");
    expect("somebody's note without a line's end", "line 1: it is not JSON");
    expect("12", "line 1: it is not a JSON object");
    expect("\n", "line 1: it is not JSON");
    expect(good + good, "line 2: epoch 1 comes after epoch 1");
    expect(to_json(record_of(4)) + "\n" + good, "line 2: epoch 1 comes after epoch 4");
    expect(R"({"step":1})", "line 1: epoch is missing");
    expect(R"({"epoch":-1,"step":1})", "epoch is not a whole number");
    expect(R"({"epoch":1.5,"step":1})", "epoch is not a whole number");
    expect(R"({"epoch":0,"step":1,"train_loss":1,"learning_rate":1,"images_per_second":1,"elapsed_s":1})",
           "epoch 0 comes after");
    expect(R"({"epoch":1,"step":1,"train_loss":"1"})", "train_loss is not a number");
    EpochRecord odd = record_of(1);
    std::string text = to_json(odd);
    text.replace(text.find("[3,0,5]"), 7, "5      ");
    expect(text, "draws_per_category is not a list");
    text.replace(text.find("5      "), 7, "[-1]   ");
    expect(text, "draws_per_category is not a list");
    EXPECT_EQ(error_of<UsageError>([&] { read_train_log((folder_ / "none").string()); }),
              (folder_ / "none").string() + " cannot be read: No such file or directory");
}

TEST_F(TrainLogTest, epochs_that_do_not_ascend_and_names_taken_are_defects) {
    TrainLog log(path_, 3);
    EXPECT_THROW(log.append(record_of(3)), ContractError);
    EpochRecord record = record_of(4);
    record.more["step"] = 1;
    EXPECT_THROW(log.append(record), ContractError);
    log.append(record_of(4));
    EXPECT_THROW(log.append(record_of(4)), ContractError);
}

TEST_F(TrainLogTest, a_line_for_which_the_disk_has_no_room_leaves_the_log_as_it_was) {
    TrainLog log(path_, 0);
    log.append(record_of(1));
    const std::string before = read_text(path_);
    // A file as long as allowed behaves as a disk that fills up in the middle of a line.
    rlimit unlimited{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit tight{before.size() + 20, unlimited.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
    const std::string why = error_of<Error>([&] { log.append(record_of(2)); });
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    std::signal(SIGXFSZ, ignored);
    EXPECT_EQ(why, path_ + " cannot be written: the disk is full");
    EXPECT_EQ(read_text(path_), before);
    log.append(record_of(2));
    EXPECT_EQ(epochs(), (std::vector<int64_t>{1, 2}));
}

TEST_F(TrainLogTest, a_place_that_cannot_be_written_is_a_sentence) {
    const std::string nowhere = (folder_ / "no/such/log.jsonl").string();
    EXPECT_EQ(error_of<Error>([&] { const TrainLog log(nowhere, 0); }),
              nowhere + " cannot be created: the folder " + std::filesystem::path(nowhere).parent_path().string() +
                  " does not exist; make it first");
    EXPECT_NE(error_of<UsageError>([&] { const TrainLog log(folder_.path().string(), 0); }).find("is not a file"),
              std::string::npos);
}

}  // namespace
}  // namespace boneage::train

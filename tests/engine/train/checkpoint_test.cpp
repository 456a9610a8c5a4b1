#include "engine/train/checkpoint.h"

#include "engine/io/safetensors.h"
#include "kernels/base/error.h"
#include "kernels/base/rng.h"
#include "tests/support/folder.h"

#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace boneage::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::error_of;
using testing::Folder;
using testing::read_text;

// Three tensors of a training, all values of which tell the step.
struct Training {
    std::vector<float> weights = std::vector<float>(60'000);
    std::vector<float> moments = std::vector<float>(60'000);
    std::vector<float> mean = std::vector<float>(7);
    std::vector<float> none;

    void advance_to(int64_t step) {
        for (std::vector<float>* tensor : {&weights, &moments, &mean}) {
            tensor->assign(tensor->size(), static_cast<float>(step));
        }
    }
    [[nodiscard]] bool is_whole_at(int64_t step) const {
        Training wanted;
        wanted.advance_to(step);
        return weights == wanted.weights && moments == wanted.moments && mean == wanted.mean;
    }
    [[nodiscard]] std::vector<NamedValues<const float>> read_only() const {
        return {{"fc.weight", {200, 300}, weights},
                {"adam.m", {200, 300}, moments},
                {"none", {0, 4}, none},
                {"mean", {7}, mean}};
    }
    std::vector<NamedValues<float>> writable() {
        return {{"mean", {7}, mean},
                {"fc.weight", {200, 300}, weights},
                {"adam.m", {200, 300}, moments},
                {"none", {0, 4}, none}};
    }
};

class CheckpointTest : public ::testing::Test {
protected:
    void write(int64_t step) {
        Training training;
        training.advance_to(step);
        write_checkpoint(path_, training.read_only(), {{"step", step}});
    }
    [[noreturn]] void write_until_killed(int64_t step, std::atomic<int64_t>& finished) {
        while (true) {
            write(++step);
            finished = step;
        }
    }
    // The step of a checkpoint whose tensors all belong to it.
    static int64_t whole_step(const Checkpoint& checkpoint) {
        Training training;
        checkpoint.restore(training.writable());
        const int64_t step = checkpoint.state()["step"];
        EXPECT_TRUE(training.is_whole_at(step));
        return step;
    }
    std::string refusal(const std::string& bytes) {
        const std::string path = folder_.write("broken.ckpt", bytes);
        std::string why = error_of<UsageError>([&] { const Checkpoint checkpoint(path); });
        EXPECT_EQ(why.rfind(path + " ", 0), 0U) << why;
        EXPECT_EQ(why.find('\n'), std::string::npos) << why;
        return why;
    }

    Folder folder_;
    std::string path_ = (folder_ / "run.ckpt").string();
    std::string previous_ = path_ + ".previous";
};

TEST_F(CheckpointTest, what_is_written_is_restored_to_the_bit) {
    std::vector<float> odd{-0.0F, 1e-45F, std::numeric_limits<float>::infinity(), std::nanf("5"), 0.1F};
    const json state{
        {"epoch", 3}, {"best", 0.1}, {"rate", 1e-3 / 3}, {"name", "quotes \" and \xc3\xa9"}, {"off", nullptr}};
    write_checkpoint(path_, {{"odd", {5}, odd}, {"scalar", {}, std::span(odd).first(1)}}, state);
    std::vector<float> values(5);
    std::vector<float> scalar(1);
    const Checkpoint checkpoint(path_);
    checkpoint.restore({{"odd", {5}, values}, {"scalar", {}, scalar}});
    for (size_t i = 0; i < odd.size(); ++i) {
        EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(odd[i]));
    }
    EXPECT_TRUE(std::signbit(scalar[0]));
    EXPECT_EQ(checkpoint.state(), state);
}

TEST_F(CheckpointTest, the_one_before_stays_as_previous) {
    write(1);
    EXPECT_FALSE(fs::exists(previous_));
    write(2);
    write(3);
    EXPECT_EQ(whole_step(Checkpoint(path_)), 3);
    EXPECT_EQ(whole_step(Checkpoint(previous_)), 2);
    const NewestCheckpoint newest = newest_checkpoint(path_);
    EXPECT_EQ(whole_step(newest.checkpoint), 3);
    EXPECT_EQ(newest.notice, "");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 2);
}

TEST_F(CheckpointTest, when_the_newest_cannot_be_used_the_previous_one_is_taken_and_that_is_said) {
    write(1);
    write(2);
    const std::string whole = read_text(path_);
    folder_.write("run.ckpt", whole.substr(0, whole.size() - 1));
    const NewestCheckpoint newest = newest_checkpoint(path_);
    EXPECT_EQ(whole_step(newest.checkpoint), 1);
    EXPECT_EQ(newest.checkpoint.path(), previous_);
    EXPECT_EQ(newest.notice.rfind(path_ + " is not a usable", 0), 0U) << newest.notice;
    EXPECT_NE(newest.notice.find("continuing from the previous one, " + previous_), std::string::npos);
    // As after a kill between the two renames.
    fs::remove(path_);
    EXPECT_EQ(whole_step(newest_checkpoint(path_).checkpoint), 1);
    EXPECT_NE(newest_checkpoint(path_).notice, "");
    write(3);
    EXPECT_EQ(newest_checkpoint(path_).notice, "");
    EXPECT_EQ(whole_step(Checkpoint(previous_)), 1);
}

TEST_F(CheckpointTest, with_no_usable_one_the_reasons_are_given) {
    const auto refusal_of_newest = [&] { return error_of<UsageError>([&] { newest_checkpoint(path_); }); };
    EXPECT_EQ(refusal_of_newest(),
              path_ + " cannot be read: No such file or directory; there is no previous one to continue from either");
    folder_.write("run.ckpt", std::string_view("text"));
    folder_.write("run.ckpt.previous", std::string_view("{}"));
    const std::string why = refusal_of_newest();
    EXPECT_NE(why.find(path_ + " is not a usable"), std::string::npos) << why;
    EXPECT_NE(why.find("nor can the previous one be used: " + previous_ + " is not a usable"), std::string::npos)
        << why;
}

TEST_F(CheckpointTest, cut_off_anywhere_it_is_refused) {
    write(1);
    const std::string whole = read_text(path_);
    const io::SafetensorsFile file(path_);
    ASSERT_EQ(file.tensors().size(), 4U);
    const auto* begin = reinterpret_cast<const std::byte*>(file.tensors()[0].bytes.data());
    const size_t header = whole.size() - (60'000 * 2 + 7) * sizeof(float);
    for (const io::StoredTensor& tensor : file.tensors()) {
        for (const int64_t off : {-1, 0, 1}) {
            for (const std::byte* edge : {tensor.bytes.data(), tensor.bytes.data() + tensor.bytes.size()}) {
                const int64_t length = static_cast<int64_t>(header) + (edge - begin) + off;
                if (length < static_cast<int64_t>(whole.size())) {
                    refusal(whole.substr(0, static_cast<size_t>(length)));
                }
            }
        }
    }
    for (size_t length = 0; length < header; ++length) {
        refusal(whole.substr(0, length));
    }
    EXPECT_NE(refusal(whole + '\0').find("belong to no tensor"), std::string::npos);
}

TEST_F(CheckpointTest, any_changed_bit_of_its_tensors_is_noticed) {
    write(1);
    const std::string whole = read_text(path_);
    for (size_t back = 1; back < (60'000 * 2 + 7) * sizeof(float); back += 9973) {
        std::string changed = whole;
        char& byte = changed[whole.size() - back];
        byte = static_cast<char>(byte ^ 0x10);
        EXPECT_NE(refusal(changed).find("CRC-32"), std::string::npos);
    }
}

TEST_F(CheckpointTest, files_that_are_no_checkpoints_are_refused) {
    const std::vector<float> one{1};
    const auto refusal_with = [&](const io::Metadata& metadata) {
        const std::string path = (folder_ / "other.safetensors").string();
        io::write_safetensors(path, {{"a", io::StoredType::f32, {1}, std::as_bytes(std::span(one))}}, metadata);
        return error_of<UsageError>([&] { const Checkpoint checkpoint(path); });
    };
    const std::string format = "boneage-checkpoint-1";
    EXPECT_NE(refusal_with({}).find("no format"), std::string::npos);
    EXPECT_NE(refusal_with({{"format", "boneage-1"}}).find("format is not"), std::string::npos);
    EXPECT_NE(refusal_with({{"format", format}}).find("no state"), std::string::npos);
    for (const char* state : {"", "[]", "7", "{", "{\"a\":1e999}", "{}}"}) {
        EXPECT_NE(refusal_with({{"format", format}, {"state", state}}).find("state is not a JSON object"),
                  std::string::npos)
            << state;
    }
    EXPECT_NE(refusal_with({{"format", format}, {"state", "{}"}}).find("no data_crc32"), std::string::npos);
    EXPECT_NE(refusal_with({{"format", format}, {"state", "{}"}, {"data_crc32", "1"}}).find("damaged"),
              std::string::npos);
}

TEST_F(CheckpointTest, tensors_of_another_network_are_named_and_nothing_is_filled) {
    write(4);
    const Checkpoint checkpoint(path_);
    Training training;
    const auto refusal_of = [&](const auto& change) {
        std::vector<NamedValues<float>> tensors = training.writable();
        change(tensors);
        std::string why = error_of<UsageError>([&] { checkpoint.restore(tensors); });
        EXPECT_TRUE(training.is_whole_at(0));
        return why;
    };
    using Tensors = std::vector<NamedValues<float>>;
    EXPECT_NE(refusal_of([](Tensors& t) { t[1].name = "fc.bias"; }).find("it lacks \"fc.bias\";"), std::string::npos);
    EXPECT_NE(refusal_of([](Tensors& t) {
                  t.erase(t.begin() + 1, t.begin() + 3);
              }).find(R"(it also holds "fc.weight", "adam.m";)"),
              std::string::npos);
    EXPECT_NE(refusal_of([](Tensors& t) {
                  t[1].shape = {300, 200};
              }).find(R"(tensor "fc.weight" has shape [200,300] and not [300,200])"),
              std::string::npos);
    checkpoint.restore(training.writable());
    EXPECT_TRUE(training.is_whole_at(4));
}

TEST_F(CheckpointTest, of_another_type_is_refused) {
    const std::vector<std::byte> halves = io::from_float32(io::StoredType::f16, std::vector<float>{1});
    io::write_safetensors(path_, {{"a", io::StoredType::f16, {1}, halves}},
                          {{"format", "boneage-checkpoint-1"}, {"state", "{}"}, {"data_crc32", "1857449592"}});
    std::vector<float> value(1);
    const std::string why = error_of<UsageError>([&] { Checkpoint(path_).restore({{"a", {1}, value}}); });
    EXPECT_NE(why.find("tensor \"a\" is F16 and not F32"), std::string::npos) << why;
}

TEST_F(CheckpointTest, when_it_cannot_be_written_the_earlier_ones_stay) {
    write(1);
    write(2);
    Training training;
    const auto error_at = [&](const std::string& path) {
        return error_of<Error>([&] { write_checkpoint(path, training.read_only(), json::object()); });
    };
    fs::create_directory(path_ + ".next");
    EXPECT_NE(error_at(path_).find(path_ + ".next cannot be written"), std::string::npos);
    EXPECT_EQ(whole_step(Checkpoint(path_)), 2);
    EXPECT_EQ(whole_step(Checkpoint(previous_)), 1);
    EXPECT_NE(error_at((folder_ / "no/such/folder").string()).find("does not exist"), std::string::npos);
    EXPECT_NE(error_at(folder_.path().string()).find("no regular file"), std::string::npos);
    EXPECT_NE(error_at("/dev/null").find("no regular file"), std::string::npos);
}

// What several processes see of one another.
template <class T>
class Shared {
public:
    Shared() : value_(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        new (value_) T();
    }
    ~Shared() { ::munmap(value_, sizeof(T)); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    T& operator*() { return *static_cast<T*>(value_); }

private:
    void* value_;
};

TEST_F(CheckpointTest, a_writer_killed_at_any_moment_leaves_its_last_finished_one_or_a_newer) {
    constexpr int kKills = 40;
    Shared<std::atomic<int64_t>> finished;
    Rng rng(17);
    const auto begin = std::chrono::steady_clock::now();
    write(1);
    const std::chrono::duration<double> write_s = std::chrono::steady_clock::now() - begin;
    *finished = 1;
    for (int kill = 0; kill < kKills; ++kill) {
        const int64_t before = *finished;
        const pid_t writer = ::fork();
        if (writer == 0) {
            try {
                write_until_killed(before, *finished);
            } catch (...) {
                ::_exit(1);
            }
        }
        ASSERT_GT(writer, 0);
        int status = 0;
        // Every other writer finishes one; then any moment of the next is as likely as any other.
        while (kill % 2 == 1 && *finished == before && ::waitpid(writer, &status, WNOHANG) == 0) {
            std::this_thread::yield();
        }
        std::this_thread::sleep_for(write_s * rng.uniform());
        ::kill(writer, SIGKILL);
        ASSERT_EQ(::waitpid(writer, &status, 0), writer) << "a writer ended by itself";
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        const NewestCheckpoint newest = newest_checkpoint(path_);
        const int64_t step = whole_step(newest.checkpoint);
        EXPECT_GE(step, *finished) << newest.notice;
        EXPECT_LE(step, *finished + 1) << newest.notice;
        *finished = step;
    }
    EXPECT_GT(*finished, kKills / 2);
    write(*finished + 1);
    // What the killed writers left is gone; the two checkpoints are there.
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 2);
}

}  // namespace
}  // namespace boneage::train

// Batches made and trainings run as on a device, on the CUDA-on-CPU runner, against the host's: the same bits.
#include "engine/io/model_file.h"
#include "engine/onednn/backend.h"
#include "engine/onednn/training_backend.h"
#include "engine/train/age_course.h"
#include "engine/train/checkpoint.h"
#include "engine/train/mask_course.h"
#include "engine/train/trainer.h"
#include "kernels/base/error.h"
#include "tests/support/folder.h"
#include "tests/support/small_caches.h"
#include "tests/support/stream_training_backend.h"

#include <bit>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <numeric>

namespace boneage::train {
namespace {

using testing::Folder;

constexpr AugmentParams kEverything{.rotation_degrees = 25,
                                    .shift = 0.1F,
                                    .zoom = 0.2F,
                                    .shear = 0.1F,
                                    .flip = 0.5F,
                                    .brightness = 0.1F,
                                    .contrast = 0.3F,
                                    .noise = 0.05F,
                                    .erase = 0.5F,
                                    .erase_smallest_area = 0.02F,
                                    .erase_largest_area = 0.2F,
                                    .erase_stretch = 1};
constexpr int64_t kBatch = 5;

// What a training on the host computes with.
struct OnHost {
    std::unique_ptr<plan::Backend> judge_ = onednn::make_backend({.threads = 1});
    std::unique_ptr<plan::TrainingBackend> backend_ = onednn::make_training_backend(1);

    plan::Backend& judge() { return *judge_; }
    plan::TrainingBackend& backend() { return *backend_; }
    template <class Cache>
    std::nullptr_t batches(const Cache& /*cache*/) {
        return nullptr;
    }
};

// Counts the bytes it is given for the device.
class CountingBackend final : public testing::StreamBackend {
public:
    using StreamBackend::StreamBackend;
    void upload(std::byte* to, const void* from, int64_t bytes) override {
        uploaded += bytes;
        StreamBackend::upload(to, from, bytes);
    }
    int64_t uploaded = 0;
};

// Counts the bytes that are waited for.
class CountingTrainingBackend final : public testing::StreamTrainingBackend {
public:
    using StreamTrainingBackend::StreamTrainingBackend;
    void download(void* to, const std::byte* from, int64_t bytes) override {
        downloaded += bytes;
        StreamTrainingBackend::download(to, from, bytes);
    }
    int64_t downloaded = 0;
};

// What a training on a device computes with, everything on one stream.
struct OnDevice {
    OnHost host;
    Stream stream;
    CountingBackend judge_{host.judge(), stream};
    CountingTrainingBackend backend_{host.backend(), stream};

    plan::Backend& judge() { return judge_; }
    plan::TrainingBackend& backend() { return backend_; }
    template <class Cache>
    auto batches(const Cache& cache) {
        return batches_on_device(cache, stream);
    }
};

plan::TrainingOptions lowering(int64_t height, int64_t width, plan::Loss loss, const plan::TrainingBackend& backend) {
    plan::TrainingOptions options;
    options.batch = kBatch;
    options.height = height;
    options.width = width;
    options.loss = loss;
    options.traits = backend.traits();
    return options;
}

template <class Where>
struct Ages {
    Ages(const AgeCache& cache, const AgeCourseOptions& options)
        : course(cache, options, where.judge(), 1, where.batches(cache)),
          executor(plan::lower_training(net::resnet34(options.network),
                                        lowering(cache.recipe().input.height, cache.recipe().input.width,
                                                 plan::Loss::absolute_error, where.backend())),
                   where.backend(), io::initial_parameters(net::resnet34(options.network), 3)) {}

    Where where;
    AgeCourse course;
    plan::TrainingExecutor executor;
};

template <class Where>
struct Masks {
    Masks(const MaskCache& cache, const MaskCourseOptions& options)
        : course(cache, options, where.judge(), 1, where.batches(cache)),
          executor(plan::lower_training(net::unet(options.network),
                                        lowering(32, 32, plan::Loss::segmentation, where.backend())),
                   where.backend(), io::initial_parameters(net::unet(options.network), 1), {.averages = true}) {}

    Where where;
    MaskCourse course;
    plan::TrainingExecutor executor;
};

std::vector<uint32_t> bits_of(const std::vector<float>& values) {
    std::vector<uint32_t> bits;
    bits.reserve(values.size());
    for (const float value : values) {
        bits.push_back(std::bit_cast<uint32_t>(value));
    }
    return bits;
}

// Batch after batch of both, by the same draws.
template <class OnHostRun, class OnDeviceRun>
void expect_same_batches(OnHostRun& host, OnDeviceRun& device, const std::vector<const char*>& inputs) {
    const std::vector<int64_t> samples = host.course.epoch(2);
    ASSERT_EQ(device.course.epoch(2), samples);
    std::vector<float> last_image;
    for (size_t first = 0; first + kBatch <= samples.size(); first += kBatch) {
        const std::span<const int64_t> batch = std::span(samples).subspan(first, kBatch);
        host.course.fill(batch, 1000 + first, host.executor);
        device.course.fill(batch, 1000 + first, device.executor);
        for (const char* input : inputs) {
            const std::vector<float> want = plan::read_place(host.where.backend(), host.executor.place(input));
            const std::vector<float> got = plan::read_place(device.where.backend(), device.executor.place(input));
            ASSERT_FALSE(want.empty());
            ASSERT_EQ(bits_of(got), bits_of(want)) << input << " of the batch from sample " << first;
        }
        const std::vector<float> image = plan::read_place(host.where.backend(), host.executor.place("image"));
        EXPECT_NE(image, last_image) << "two batches are the same";
        last_image = image;
    }
    EXPECT_FALSE(last_image.empty()) << "nothing was compared";
}

TEST(DeviceBatches, of_ages_have_the_hosts_bits) {
    const Folder folder;
    const std::string path = (folder / "ages.safetensors").string();
    testing::write_small_ages(path);
    const AgeCache cache(path);
    AgeCourseOptions options;
    options.network.base_width = 16;
    options.network.sex_input = true;
    options.augment = kEverything;
    options.unknown_sex = 0.3;
    Ages<OnHost> host(cache, options);
    Ages<OnDevice> device(cache, options);
    expect_same_batches(host, device, {"image", "targets", "weights", "sex"});
}

class JudgedAges : public ::testing::TestWithParam<bool> {  // whether the network is told the sex
protected:
    JudgedAges() {
        testing::write_small_ages(path());
        options_.network.base_width = 16;
        options_.network.sex_input = GetParam();
        options_.judged_batch = 5;  // of sixteen pictures: the last batch has one
    }
    ~JudgedAges() override {
        simt::faults().device_bytes = ~size_t{0} >> 1;
        simt::faults().graphs = 1 << 30;
    }
    [[nodiscard]] std::string path() const { return (folder_ / "ages.safetensors").string(); }
    [[nodiscard]] plan::ParameterSource weights(uint64_t seed) const {
        return io::initial_parameters(net::resnet34(options_.network), seed);
    }

    Folder folder_;
    AgeCourseOptions options_;
};
INSTANTIATE_TEST_SUITE_P(Device, JudgedAges, ::testing::Bool());

TEST_P(JudgedAges, have_the_hosts_bits_in_every_epoch) {
    const AgeCache cache(path());
    Ages<OnHost> host(cache, options_);
    Ages<OnDevice> device(cache, options_);
    device.course.prepare_judging(weights(0));
    double last = 0;
    for (uint64_t epoch = 1; epoch <= 3; ++epoch) {
        const Judgement want = host.course.judge(weights(epoch));
        const Judgement got = device.course.judge(weights(epoch));
        EXPECT_EQ(std::bit_cast<uint64_t>(got.metric), std::bit_cast<uint64_t>(want.metric)) << "epoch " << epoch;
        EXPECT_EQ(got.more, want.more);
        EXPECT_EQ(want.more.contains(kUnknownSexMae), GetParam());
        EXPECT_NE(want.metric, last) << "two networks judge the same";
        last = want.metric;
    }
}

// The runner's steps are made anew on the host, where a GPU's would be given their new weights by uploads.
TEST_P(JudgedAges, once_judged_on_a_device_need_no_memory_no_recording_and_no_copy_of_a_picture) {
    const AgeCache cache(path());
    Ages<OnHost> host(cache, options_);
    Ages<OnDevice> device(cache, options_);
    static_cast<void>(device.course.judge(weights(1)));
    device.where.judge_.uploaded = 0;
    simt::faults().device_bytes = simt::device_bytes_in_use();
    simt::faults().graphs = 0;
    EXPECT_EQ(device.course.judge(weights(2)).metric, host.course.judge(weights(2)).metric);
    EXPECT_EQ(device.where.judge_.uploaded, 0);
}

class DeviceMasks : public ::testing::Test {
protected:
    DeviceMasks() {
        testing::write_small_masks(cache_path(), 20);
        options_.network = {.depth = 1, .base_width = 4};
        options_.repeats = 2;
        options_.hold_out = 4;
        options_.augment = kEverything;
    }
    [[nodiscard]] std::string cache_path() const { return (folder_ / "masks.safetensors").string(); }
    [[nodiscard]] TrainerOptions trainer_options(const std::string& run) const {
        std::filesystem::create_directories(folder_ / run);
        TrainerOptions options;
        options.epochs = 3;
        options.folder = (folder_ / run).string();
        options.resume = std::filesystem::exists(folder_ / (run + "/checkpoint.safetensors"));
        options.average_decay = 0.9;  // its first steps all have other decays
        options.schedule.better = Better::higher;
        options.schedule.learning_rate = 5e-3;
        options.schedule.rule = Cosine{{3, Extent::Unit::epochs}, 1e-5};  // another rate in every step
        return options;
    }

    Folder folder_;
    MaskCourseOptions options_;
};

TEST_F(DeviceMasks, and_their_patches_have_the_hosts_bits) {
    const MaskCache cache(cache_path());
    Masks<OnHost> host(cache, options_);
    Masks<OnDevice> device(cache, options_);
    expect_same_batches(host, device, {"image", "targets"});
}

TEST_F(DeviceMasks, batches_of_one_place_are_not_made_for_an_executor_at_another) {
    const MaskCache cache(cache_path());
    Masks<OnHost> host(cache, options_);
    Masks<OnDevice> device(cache, options_);
    const std::vector<int64_t> samples(kBatch, 0);
    EXPECT_THROW(host.course.fill(samples, 0, device.executor), ContractError);
    EXPECT_THROW(device.course.fill(samples, 0, host.executor), ContractError);
}

// What a run leaves.
struct Left {
    std::vector<std::vector<float>> states;
    std::vector<double> losses;      // of every epoch
    std::vector<double> validation;  // likewise
    bool operator==(const Left&) const = default;
};

// Runs a training, stopping after `stop_at` losses in all where that is not 0.
template <class Where>
std::pair<TrainEnd, Left> run_masks(const MaskCache& cache, const MaskCourseOptions& options,
                                    const TrainerOptions& trainer_options, int64_t stop_at) {
    Masks<Where> training(cache, options);
    std::atomic<bool> stop{false};
    int64_t seen = 0;
    int64_t expected = 0;
    TrainObserver observer;
    observer.step = [&](int64_t step, int64_t steps, double) {
        EXPECT_EQ(step, expected % steps + 1) << "losses come in the order of the steps, each once";
        ++expected;
        if (++seen == stop_at) {
            stop = true;
        }
    };
    observer.epoch = [&](const EpochRecord& record, const EpochOutcome&) {
        // Whoever is killed from here on loses the next epoch at most.
        const Checkpoint saved(trainer_options.folder + "/checkpoint.safetensors");
        EXPECT_EQ(saved.state()["epoch"], record.epoch);
        EXPECT_EQ(saved.state()["step"], record.step);
        // While it was written a device had steps to compute.
        const bool busy = training.executor.queues() && record.epoch < trainer_options.epochs;
        EXPECT_EQ(training.executor.step() > record.step, busy);
    };
    observer.say = [](const std::string&) {};
    observer.best = [](const plan::ParameterSource&, const EpochRecord&) {};
    Trainer trainer(training.course, training.executor, trainer_options, observer);
    const TrainEnd end = trainer.run(stop);
    Left left;
    for (const plan::State state : training.executor.states()) {
        left.states.push_back(training.executor.state(state));
    }
    for (const EpochRecord& record : read_train_log(trainer_options.folder + "/train.jsonl")) {
        left.losses.push_back(record.train_loss);
        left.validation.push_back(record.val_dice.value_or(-1));
    }
    return {end, left};
}

TEST_F(DeviceMasks, are_waited_for_once_an_epoch_by_what_is_judged_and_kept) {
    const MaskCache cache(cache_path());
    Masks<OnDevice> training(cache, options_);
    TrainObserver observer;
    observer.step = [](int64_t, int64_t, double) {};
    observer.epoch = [](const EpochRecord&, const EpochOutcome&) {};
    observer.say = [](const std::string&) {};
    observer.best = [](const plan::ParameterSource&, const EpochRecord&) {};
    Trainer trainer(training.course, training.executor, trainer_options("counted"), observer);
    int64_t bytes = 0;
    for (const plan::State state : training.executor.states()) {
        bytes += static_cast<int64_t>(training.executor.state(state).size() * sizeof(float));
    }
    training.where.backend_.downloaded = 0;
    EXPECT_EQ(trainer.run(false), TrainEnd::finished);
    EXPECT_EQ(training.where.backend_.downloaded, 3 * bytes);
}

TEST_F(DeviceMasks, trained_on_a_device_whole_or_resumed_give_the_hosts_bits) {
    options_.repeats = 12;
    const MaskCache cache(cache_path());
    const auto [end, want] = run_masks<OnHost>(cache, options_, trainer_options("host"), 0);
    ASSERT_EQ(end, TrainEnd::finished);
    ASSERT_EQ(want.losses.size(), 3U);
    EXPECT_NE(want.losses[0], want.losses[2]) << "nothing was learned";

    const auto [device_end, got] = run_masks<OnDevice>(cache, options_, trainer_options("device"), 0);
    EXPECT_EQ(device_end, TrainEnd::finished);
    EXPECT_EQ(got, want);

    // An epoch has 36 steps, of which at most 32 wait to be seen: this ends within the second one.
    EXPECT_EQ(run_masks<OnDevice>(cache, options_, trainer_options("broken"), 40).first, TrainEnd::interrupted);
    const auto [resumed_end, resumed] = run_masks<OnDevice>(cache, options_, trainer_options("broken"), 0);
    EXPECT_EQ(resumed_end, TrainEnd::finished);
    EXPECT_EQ(resumed, want);
}

TEST(StagedUploads, arrive_whole_whatever_becomes_of_their_source) {
    const Stream stream;
    plan::StagedUploads uploads(stream);
    constexpr int64_t kPieces = 200;  // more than both halves hold
    constexpr int64_t kBytes = 1009;
    const Buffer<uint8_t, Device> to(kPieces * kBytes);
    std::vector<uint8_t> want;
    std::vector<uint8_t> piece(kBytes);
    for (int64_t i = 0; i < kPieces; ++i) {
        std::iota(piece.begin(), piece.end(), static_cast<uint8_t>(7 * i));
        want.insert(want.end(), piece.begin(), piece.end());
        uploads.copy(to.data() + i * kBytes, piece.data(), kBytes);
        std::ranges::fill(piece, uint8_t{0});
    }
    std::vector<uint8_t> got(want.size());
    copy_to_host(stream, got.data(), to.data(), to.size());
    stream.synchronize();
    EXPECT_EQ(got, want);
}

// Notes on either kind of back end.
void expect_notes_in_order(plan::TrainingBackend& backend) {
    const plan::Memory memory = backend.allocate(sizeof(float));
    const auto set = [&](float value) { backend.upload(memory.get(), &value, sizeof(float)); };
    const std::unique_ptr<plan::Reading> reading = backend.reading(memory.get(), sizeof(float));
    const auto take = [&] {
        float value = 0;
        reading->take(&value);
        return value;
    };
    EXPECT_THROW(take(), ContractError);
    for (int round = 0; round < 3; ++round) {
        const auto first = static_cast<float>(100 * round);
        for (size_t i = 0; i < plan::Reading::kNotes; ++i) {
            set(first + static_cast<float>(i));
            reading->note();
        }
        set(-1);
        EXPECT_THROW(reading->note(), ContractError);
        EXPECT_EQ(take(), first);
        reading->note();
        for (size_t i = 1; i < plan::Reading::kNotes; ++i) {
            EXPECT_EQ(take(), first + static_cast<float>(i));
        }
        EXPECT_EQ(take(), -1);
        EXPECT_THROW(take(), ContractError);
    }
}

TEST(Readings, are_taken_in_the_order_they_were_noted_in) {
    OnHost host;
    expect_notes_in_order(host.backend());
    OnDevice device;
    expect_notes_in_order(device.backend());
}

}  // namespace
}  // namespace boneage::train

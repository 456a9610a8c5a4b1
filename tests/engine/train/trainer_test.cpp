#include "engine/train/trainer.h"

#include "engine/io/model_file.h"
#include "engine/onednn/backend.h"
#include "engine/onednn/training_backend.h"
#include "engine/train/age_course.h"
#include "engine/train/mask_course.h"
#include "kernels/base/error.h"
#include "tests/support/folder.h"
#include "tests/support/small_caches.h"

#include <gtest/gtest.h>

namespace boneage::train {
namespace {

using testing::error_of;
using testing::Folder;

const std::atomic<bool> kNeverStop{false};

TrainObserver silent() {
    return {[](int64_t, int64_t, double) {}, [](const EpochRecord&, const EpochOutcome&) {}, [](const std::string&) {},
            [](const plan::ParameterSource&, const EpochRecord&) {}};
}

// A training of a narrow network on the sixteen radiographs.
class AgeTraining {
public:
    AgeTraining(const AgeCache& cache, const AgeCourseOptions& options, int64_t batch, bool averages = false)
        : judge_(onednn::make_backend({.threads = 1})),
          backend_(onednn::make_training_backend(1)),
          course_(cache, options, *judge_, 1),
          executor_(plan::lower_training(net::resnet34(options.network), lowering(cache, batch)), *backend_,
                    io::initial_parameters(net::resnet34(options.network), 3), {.averages = averages}) {}

    AgeCourse& course() { return course_; }
    plan::TrainingExecutor& executor() { return executor_; }

private:
    [[nodiscard]] plan::TrainingOptions lowering(const AgeCache& cache, int64_t batch) const {
        plan::TrainingOptions lowering;
        lowering.batch = batch;
        lowering.height = cache.recipe().input.height;
        lowering.width = cache.recipe().input.width;
        lowering.traits = backend_->traits();
        return lowering;
    }

    std::unique_ptr<plan::Backend> judge_;
    std::unique_ptr<plan::TrainingBackend> backend_;
    AgeCourse course_;
    plan::TrainingExecutor executor_;
};

class TrainerTest : public ::testing::Test {
protected:
    TrainerTest() { testing::write_small_ages(cache_path()); }
    [[nodiscard]] std::string cache_path() const { return (folder_ / "ages.safetensors").string(); }
    std::string run_folder(const std::string& name) const {
        std::filesystem::create_directories(folder_ / name);
        return (folder_ / name).string();
    }

    Folder folder_;
};

AgeCourseOptions with_sex() {
    AgeCourseOptions options;
    options.network.base_width = 16;
    options.network.sex_input = true;
    return options;
}

TEST_F(TrainerTest, learns_sixteen_real_radiographs_by_heart) {
    const AgeCache cache(cache_path());
    AgeCourseOptions options = with_sex();
    options.balance.reset();
    options.unknown_sex = 0;
    AgeTraining training(cache, options, 16, true);
    plan::TrainingExecutor& executor = training.executor();
    ScheduleParams params;
    params.learning_rate = 1e-3;
    params.rule = Cosine{{400, Extent::Unit::epochs}, 1e-5};
    const Schedule schedule(params);
    AdamParams adam;
    double best = 1000;
    for (int64_t i = 0; i < 400 && best >= 1.0; ++i) {
        training.course().fill(training.course().epoch(i), 16 * static_cast<uint64_t>(i), executor);
        adam.learning_rate = schedule.learning_rate(i, static_cast<double>(i));
        executor.train(adam, 0.9F);
        if (i % 10 == 9 && i > 100) {
            const std::vector<float> parameters = executor.state(plan::State::average_parameters);
            const std::vector<float> statistics = executor.state(plan::State::average_statistics);
            const std::vector<int64_t> batches = executor.batches();
            const plan::ParameterSource network = plan::parameters_in(executor.plan(), parameters, statistics, batches);
            best = std::min(best, training.course().judge(network).metric);
        }
    }
    // Judged on the same radiographs: by running statistics instead of the batch's, as when scoring.
    EXPECT_LT(best, 1.0);
}

// Everything that a run leaves, to be compared.
struct Left {
    std::vector<std::vector<float>> states;
    std::vector<EpochRecord> log;
    int64_t step;
};

Left left_by(AgeTraining& training, const std::string& folder) {
    Left left{{}, read_train_log(folder + "/train.jsonl"), training.executor().step()};
    for (const plan::State state : training.executor().states()) {
        left.states.push_back(training.executor().state(state));
    }
    return left;
}

TEST_F(TrainerTest, a_resumed_training_goes_on_to_the_same_bits) {
    const AgeCache cache(cache_path());
    AgeCourseOptions options = with_sex();
    options.augment = {.rotation_degrees = 20, .shift = 0.1F, .flip = 0.5F, .noise = 0.1F};
    TrainerOptions trainer_options;
    trainer_options.epochs = 6;
    trainer_options.average_decay = 0.9;
    trainer_options.schedule.rule = TorchPlateau{.factor = 0.5, .patience = 0};
    trainer_options.folder = run_folder("unbroken");
    AgeTraining unbroken(cache, options, 5, true);
    Trainer(unbroken.course(), unbroken.executor(), trainer_options, silent()).run(kNeverStop);
    const Left want = left_by(unbroken, trainer_options.folder);

    // Stopped within an epoch, then after one, each time resumed by another process's worth of objects.
    trainer_options.folder = run_folder("broken");
    int64_t interruptions = 0;
    for (int attempt = 0; attempt < 4; ++attempt) {
        trainer_options.resume = attempt > 1;  // of the first one nothing is left
        AgeTraining broken(cache, options, 5, true);
        std::atomic<bool> stop{false};
        TrainObserver observer = silent();
        observer.step = [&](int64_t step, int64_t, double) {
            stop = attempt < 2 && step == 2 && broken.executor().step() > 3 * attempt;
        };
        observer.epoch = [&](const EpochRecord& record, const EpochOutcome&) {
            stop = attempt == 2 && record.epoch == 4;
        };
        Trainer trainer(broken.course(), broken.executor(), trainer_options, observer);
        const TrainEnd end = trainer.run(stop);
        interruptions += end == TrainEnd::interrupted ? 1 : 0;
        if (end == TrainEnd::finished) {
            const Left got = left_by(broken, trainer_options.folder);
            EXPECT_EQ(got.states, want.states);
            EXPECT_EQ(got.step, want.step);
            ASSERT_EQ(got.log.size(), want.log.size());
            for (size_t i = 0; i < want.log.size(); ++i) {
                EXPECT_EQ(got.log[i].train_loss, want.log[i].train_loss);
                EXPECT_EQ(got.log[i].val_mae_months, want.log[i].val_mae_months);
                EXPECT_EQ(got.log[i].learning_rate, want.log[i].learning_rate);
            }
        }
    }
    EXPECT_EQ(interruptions, 3);
}

TEST_F(TrainerTest, refuses_to_resume_what_was_another_training) {
    const AgeCache cache(cache_path());
    TrainerOptions trainer_options;
    trainer_options.epochs = 1;
    trainer_options.folder = run_folder("run");
    AgeTraining first(cache, with_sex(), 8);
    Trainer(first.course(), first.executor(), trainer_options, silent()).run(kNeverStop);
    const auto again = [&](const AgeCourseOptions& options, int64_t batch, bool resume) {
        return error_of<UsageError>([&] {
            AgeTraining other(cache, options, batch);
            TrainerOptions asked = trainer_options;
            asked.resume = resume;
            Trainer(other.course(), other.executor(), asked, silent());
        });
    };
    EXPECT_NE(again(with_sex(), 8, false).find("holds a training already"), std::string::npos);
    EXPECT_NE(again(with_sex(), 4, true).find("another training"), std::string::npos);
    AgeCourseOptions other_seed = with_sex();
    other_seed.seed = 2;
    EXPECT_NE(again(other_seed, 8, true).find("another training"), std::string::npos);
    EXPECT_EQ(again(with_sex(), 8, true), "(no error)");
}

TEST_F(TrainerTest, a_model_that_is_not_of_the_run_is_not_replaced) {
    const AgeCache cache(cache_path());
    AgeTraining training(cache, with_sex(), 8);
    TrainerOptions trainer_options;
    trainer_options.folder = run_folder("run");
    trainer_options.model = folder_.write("run/model.safetensors", "somebody's");
    const auto refusal = [&] {
        return error_of<UsageError>(
            [&] { Trainer(training.course(), training.executor(), trainer_options, silent()); });
    };
    EXPECT_EQ(refusal(),
              trainer_options.model + " exists already and would be replaced; choose another folder, or move it away");
    trainer_options.resume = true;
    EXPECT_EQ(refusal(),
              "there is no run to resume in " + trainer_options.folder + "; leave out --resume to begin one");
}

TEST_F(TrainerTest, a_best_model_that_was_deleted_is_written_again_when_resuming) {
    const AgeCache cache(cache_path());
    TrainerOptions trainer_options;
    trainer_options.epochs = 4;
    trainer_options.schedule.learning_rate = 3e-3;
    trainer_options.folder = run_folder("run");
    trainer_options.model = trainer_options.folder + "/model.safetensors";
    struct Handed {
        EpochRecord record;
        std::vector<float> fc;
        std::vector<float> batches;
    };
    std::vector<Handed> handed;
    TrainObserver observer = silent();
    observer.best = [&](const plan::ParameterSource& parameters, const EpochRecord& record) {
        handed.push_back({record, parameters("fc.weight"), parameters("bn1.num_batches_tracked")});
    };
    const auto run = [&] {
        AgeTraining training(cache, with_sex(), 8);
        Trainer(training.course(), training.executor(), trainer_options, observer).run(kNeverStop);
    };
    run();
    ASSERT_FALSE(handed.empty());
    const Handed want = handed.back();
    handed.clear();
    trainer_options.resume = true;
    run();
    ASSERT_EQ(handed.size(), 1U);
    EXPECT_EQ(handed[0].fc, want.fc);
    EXPECT_EQ(handed[0].batches, want.batches);
    EXPECT_EQ(handed[0].record.epoch, want.record.epoch);
    EXPECT_EQ(handed[0].record.step, want.record.step);
    EXPECT_EQ(handed[0].record.val_mae_months, want.record.val_mae_months);
    folder_.write("run/model.safetensors", "there");
    run();
    EXPECT_EQ(handed.size(), 1U);
}

TEST_F(TrainerTest, a_diverging_training_is_an_error_that_says_what_to_do) {
    const AgeCache cache(cache_path());
    AgeTraining training(cache, with_sex(), 8);
    TrainerOptions trainer_options;
    trainer_options.epochs = 50;
    trainer_options.folder = run_folder("run");
    trainer_options.schedule.learning_rate = 1e30;
    const std::string said = error_of<Error>(
        [&] { Trainer(training.course(), training.executor(), trainer_options, silent()).run(kNeverStop); });
    EXPECT_NE(said.find("diverged"), std::string::npos) << said;
    EXPECT_NE(said.find("smaller learning rate"), std::string::npos) << said;
}

TEST_F(TrainerTest, early_stopping_ends_it_and_the_best_weights_are_handed_out) {
    const AgeCache cache(cache_path());
    AgeTraining training(cache, with_sex(), 16);
    TrainerOptions trainer_options;
    trainer_options.epochs = 40;
    trainer_options.folder = run_folder("run");
    trainer_options.schedule.learning_rate = 1e-3;
    trainer_options.schedule.stopping.patience = 3;
    std::vector<double> handed_out;
    TrainObserver observer = silent();
    observer.best = [&](const plan::ParameterSource& parameters, const EpochRecord& record) {
        EXPECT_EQ(training.course().judge(parameters).metric, *record.val_mae_months);
        handed_out.push_back(*record.val_mae_months);
    };
    Trainer trainer(training.course(), training.executor(), trainer_options, observer);
    const TrainEnd end = trainer.run(kNeverStop);
    ASSERT_FALSE(handed_out.empty());
    EXPECT_TRUE(std::ranges::is_sorted(handed_out, std::greater<>()));
    EXPECT_EQ(handed_out.back(), *trainer.schedule().best());
    if (end == TrainEnd::stopped_early) {
        EXPECT_EQ(trainer.epochs(), *trainer.schedule().best_epoch() + 1 + 3);
    } else {
        EXPECT_EQ(trainer.epochs(), 40);
    }
}

TEST_F(TrainerTest, a_withheld_sex_is_unknown_to_the_network_as_often_as_asked) {
    const AgeCache cache(cache_path());
    AgeCourseOptions options = with_sex();
    options.unknown_sex = 0.25;
    AgeTraining training(cache, options, 16);
    const std::vector<int64_t> samples = training.course().epoch(0);
    int unknown = 0;
    constexpr int kBatches = 100;
    for (int i = 0; i < kBatches; ++i) {
        training.course().fill(samples, 16 * static_cast<uint64_t>(i), training.executor());
        const auto sexes = training.executor().input("sex");
        for (size_t k = 0; k < sexes.size(); ++k) {
            const float known = cache.sexes()[static_cast<size_t>(samples[k])];
            EXPECT_TRUE(sexes[k] == 0 || sexes[k] == known);
            unknown += sexes[k] == 0 ? 1 : 0;
        }
    }
    EXPECT_NEAR(unknown / (16.0 * kBatches), 0.25, 0.05);
}

TEST(MaskTraining, learns_rectangles_and_holds_out_what_it_judges_by) {
    const Folder folder;
    const std::string path = (folder / "masks.safetensors").string();
    testing::write_small_masks(path, 20);
    const MaskCache cache(path);
    MaskCourseOptions options;
    options.network = {.depth = 2, .base_width = 8};
    options.repeats = 2;
    options.hold_out = 4;
    options.augment = {.shift = 0.1F, .flip = 0.5F};
    const auto judge = onednn::make_backend({.threads = 1});
    const auto backend = onednn::make_training_backend(1);
    MaskCourse course(cache, options, *judge, 1);
    EXPECT_EQ(course.training_samples(), 15);
    EXPECT_EQ(course.validation_samples(), 5);
    plan::TrainingOptions lowering;
    lowering.batch = 5;
    lowering.height = 32;
    lowering.width = 32;
    lowering.loss = plan::Loss::segmentation;
    lowering.traits = backend->traits();
    plan::TrainingExecutor executor(plan::lower_training(net::unet(options.network), lowering), *backend,
                                    io::initial_parameters(net::unet(options.network), 1));
    TrainerOptions trainer_options;
    trainer_options.epochs = 25;
    trainer_options.folder = folder.path().string();
    trainer_options.schedule.learning_rate = 5e-3;
    trainer_options.schedule.better = Better::higher;
    Trainer trainer(course, executor, trainer_options, silent());
    EXPECT_EQ(trainer.run(kNeverStop), TrainEnd::finished);
    EXPECT_GT(*trainer.schedule().best(), 0.95);
    const EpochRecord last = read_train_log(trainer_options.folder + "/train.jsonl").back();
    EXPECT_TRUE(last.val_dice);
    EXPECT_FALSE(last.val_mae_months);
    EXPECT_TRUE(last.more.contains(kLargestDice));
    const double cross_entropy = last.more.at(kTrainCrossEntropy);
    const double dice_term = last.more.at(kTrainDice);
    EXPECT_GT(cross_entropy, 0);
    EXPECT_GT(dice_term, 0);
    EXPECT_LT(dice_term, 0.2) << "it is what is missing to a Dice coefficient of 1";
    EXPECT_NEAR(cross_entropy + dice_term, last.train_loss, 1e-6);
}

TEST(MaskTraining, too_few_pictures_to_hold_any_out_are_refused_with_what_to_do) {
    const Folder folder;
    const auto judge = onednn::make_backend({.threads = 1});
    const auto refusal = [&](int count) {
        const std::string path = (folder / "masks.safetensors").string();
        testing::write_small_masks(path, count);
        const MaskCache cache(path);
        return error_of<UsageError>([&] { MaskCourse(cache, MaskCourseOptions(), *judge, 1); });
    };
    EXPECT_NE(refusal(3).find("of 3 pictures with masks none can be held out to judge by: one of every 5 is; prepare "
                              "more, or give --hold-out 3"),
              std::string::npos)
        << refusal(3);
    EXPECT_NE(refusal(1).find("prepare more"), std::string::npos) << refusal(1);
}

TEST(MaskTraining, dice_is_twice_the_common_part_over_the_sum) {
    HostImage<uint8_t> a(2, 3);
    HostImage<uint8_t> b(2, 3);
    const std::array<uint8_t, 6> first{255, 128, 127, 0, 200, 0};
    const std::array<uint8_t, 6> second{255, 0, 255, 0, 130, 0};
    std::ranges::copy(first, a.view().data);
    std::ranges::copy(second, b.view().data);
    EXPECT_DOUBLE_EQ(dice(a.view(), b.view()), 2.0 * 2 / (3 + 3));
    std::fill_n(a.view().data, 6, uint8_t{0});
    EXPECT_DOUBLE_EQ(dice(a.view(), b.view()), 0.0);
    std::fill_n(b.view().data, 6, uint8_t{0});
    EXPECT_DOUBLE_EQ(dice(a.view(), b.view()), 1.0);
}

}  // namespace
}  // namespace boneage::train

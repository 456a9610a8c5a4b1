#include "engine/train/schedule.h"

#include "kernels/base/error.h"
#include "tests/support/folder.h"

#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>

namespace boneage::train {
namespace {

using nlohmann::json;
using testing::error_of;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

const json& goldens() {
    static const json document = json::parse(std::ifstream(std::string(BONEAGE_GOLDEN) + "/schedules.json"));
    return document;
}

std::vector<double> metrics_of(const json& golden) {
    std::vector<double> metrics;
    for (const json& value : golden["metrics"]) {
        metrics.push_back(value.is_null() ? kNaN : value.get<double>());
    }
    return metrics;
}

Better better_of(const json& golden) {
    return golden["mode"] == "min" ? Better::lower : Better::higher;
}

PlateauParams plateau_params(const json& golden) {
    if (golden["rule"] == "keras") {
        return KerasPlateau{golden["factor"], golden["patience"], golden["min_delta"], golden["cooldown"],
                            golden["min_lr"]};
    }
    const auto mode =
        golden["threshold_mode"] == "rel" ? TorchPlateau::Threshold::relative : TorchPlateau::Threshold::absolute;
    return TorchPlateau{golden["factor"],   golden["patience"], golden["threshold"], mode,
                        golden["cooldown"], golden["min_lr"],   golden["eps"]};
}

// A schedule of the plateau rule as the trainer makes one.
Schedule plateau_schedule(const json& golden) {
    ScheduleParams params;
    params.learning_rate = goldens()["learning_rate"];
    params.better = better_of(golden);
    std::visit([&](const auto& rule) { params.rule = rule; }, plateau_params(golden));
    return Schedule(params);
}

TEST(ReduceOnPlateau, lowers_the_rate_when_torch_and_keras_do) {
    int64_t compared = 0;
    for (const json& golden : goldens()["plateaus"]) {
        ReduceOnPlateau rule(plateau_params(golden), better_of(golden), goldens()["learning_rate"]);
        const std::vector<double> metrics = metrics_of(golden);
        ASSERT_EQ(metrics.size(), golden["rates"].size());
        for (size_t epoch = 0; epoch < metrics.size(); ++epoch, ++compared) {
            const double before = rule.learning_rate();
            const bool lowered = rule.epoch_ended(metrics[epoch]);
            ASSERT_EQ(rule.learning_rate(), golden["rates"][epoch].get<double>()) << golden << "\nepoch " << epoch;
            ASSERT_EQ(lowered, rule.learning_rate() < before);
        }
    }
    EXPECT_GT(compared, 1000);
}

TEST(ReduceOnPlateau, has_the_defaults_of_torch_and_keras) {
    const TorchPlateau torch;
    EXPECT_EQ(torch.factor, 0.1);
    EXPECT_EQ(torch.patience, 10);
    EXPECT_EQ(torch.threshold, 1e-4);
    EXPECT_EQ(torch.threshold_mode, TorchPlateau::Threshold::relative);
    EXPECT_EQ(torch.cooldown, 0);
    EXPECT_EQ(torch.min_learning_rate, 0);
    EXPECT_EQ(torch.eps, 1e-8);
    const KerasPlateau keras;
    EXPECT_EQ(keras.factor, 0.1);
    EXPECT_EQ(keras.patience, 10);
    EXPECT_EQ(keras.min_delta, 1e-4);
}

// The table of 10.0 for ever: torch waits for one bad epoch more than its patience, Keras for its patience.
TEST(ReduceOnPlateau, torch_fires_one_epoch_later_than_keras) {
    const auto fired = [](const PlateauParams& params) {
        ReduceOnPlateau rule(params, Better::lower, 1.0);
        int64_t epoch = 0;
        while (!rule.epoch_ended(10.0)) {
            ++epoch;
        }
        return epoch;
    };
    EXPECT_EQ(fired(TorchPlateau{.patience = 3}), 4);
    EXPECT_EQ(fired(KerasPlateau{.patience = 3}), 3);
}

TEST(EarlyStopping, stops_and_remembers_the_best_epoch_as_keras) {
    int64_t stopped = 0;
    for (const json& golden : goldens()["stoppings"]) {
        EarlyStopping rule({.min_delta = golden["min_delta"], .patience = golden["patience"].get<int64_t>()},
                           better_of(golden));
        json stopped_epoch;
        const std::vector<double> metrics = metrics_of(golden);
        for (size_t epoch = 0; epoch < metrics.size() && stopped_epoch.is_null(); ++epoch) {
            if (rule.epoch_ended(metrics[epoch]) == EarlyStopping::Verdict::stop) {
                stopped_epoch = epoch;
                ++stopped;
            }
        }
        EXPECT_EQ(stopped_epoch, golden["stopped_epoch"]) << golden;
        EXPECT_EQ(rule.best_epoch() ? json(*rule.best_epoch()) : json(nullptr), golden["best_epoch"]) << golden;
        if (rule.best_epoch()) {
            EXPECT_EQ(rule.best(), metrics.at(static_cast<size_t>(*rule.best_epoch())));
        }
    }
    EXPECT_GT(stopped, 5);
}

TEST(EarlyStopping, without_a_patience_never_stops) {
    EarlyStopping rule({}, Better::higher);
    EXPECT_EQ(rule.epoch_ended(0.5), EarlyStopping::Verdict::better);
    for (int epoch = 0; epoch < 1000; ++epoch) {
        EXPECT_EQ(rule.epoch_ended(0.5), EarlyStopping::Verdict::go_on);
    }
    EXPECT_EQ(rule.epoch_ended(0.6), EarlyStopping::Verdict::better);
    EXPECT_EQ(rule.best_epoch(), 1001);
}

TEST(Schedule, what_is_not_finite_never_improves) {
    for (const Better better : {Better::lower, Better::higher}) {
        ScheduleParams params;
        params.better = better;
        params.rule = TorchPlateau{.patience = 0};
        Schedule schedule(params);
        for (const double metric : {kNaN, kInfinity, -kInfinity}) {
            const EpochOutcome outcome = schedule.epoch_ended(metric);
            EXPECT_FALSE(outcome.improved) << metric;
            EXPECT_TRUE(outcome.reduced) << metric;
        }
        EXPECT_FALSE(schedule.best());
        EXPECT_TRUE(schedule.epoch_ended(7).improved);
        EXPECT_FALSE(schedule.epoch_ended(kNaN).improved);
        EXPECT_EQ(schedule.best(), 7.0);
        EXPECT_EQ(schedule.best_epoch(), 3);
    }
}

ScheduleParams curve_params(const json& golden, Extent::Unit unit) {
    ScheduleParams params;
    params.learning_rate = goldens()["learning_rate"];
    if (golden.contains("warmup")) {
        params.warmup = {{golden["warmup"], unit}, golden["start_share"]};
    }
    if (golden["rule"] == "cosine") {
        params.rule = Cosine{{golden["total"], unit}, golden["min_lr"]};
    } else if (golden["rule"] == "one_cycle") {
        const auto anneal = golden["anneal"] == "cos" ? OneCycle::Anneal::cosine : OneCycle::Anneal::linear;
        params.rule = OneCycle{
            {golden["total"], unit}, golden["rise_share"], golden["div_factor"], golden["final_div_factor"], anneal};
    }
    return params;
}

TEST(Schedule, rises_and_falls_step_by_step_as_torch_does) {
    for (const json& golden : goldens()["curves"]) {
        const Schedule schedule(curve_params(golden, Extent::Unit::steps));
        ASSERT_GT(golden["rates"].size(), 9U);
        for (size_t step = 0; step < golden["rates"].size(); ++step) {
            // torch multiplies its rate on from step to step and so gathers rounding errors.
            const auto expected = golden["rates"][step].get<double>();
            EXPECT_NEAR(schedule.learning_rate(static_cast<int64_t>(step), 0), expected, 1e-12) << golden << step;
        }
    }
}

TEST(Schedule, in_epochs_takes_no_notice_of_the_number_of_steps) {
    for (const json& golden : goldens()["curves"]) {
        if (golden["rule"] != "one_cycle") {
            const Schedule steps(curve_params(golden, Extent::Unit::steps));
            const Schedule epochs(curve_params(golden, Extent::Unit::epochs));
            for (int64_t step = 0; step < 40; ++step) {
                EXPECT_EQ(epochs.learning_rate(step * 100, static_cast<double>(step)), steps.learning_rate(step, 99));
            }
        }
    }
    ScheduleParams params;
    params.rule = OneCycle{.total = {10, Extent::Unit::epochs}, .rise_share = 0.25, .div_factor = 10};
    const Schedule cycle(params);
    EXPECT_DOUBLE_EQ(cycle.learning_rate(9, 0), 1e-4);
    EXPECT_DOUBLE_EQ(cycle.learning_rate(9, 1.25), (1e-4 + 1e-3) / 2);
    EXPECT_DOUBLE_EQ(cycle.learning_rate(9, 2.5), 1e-3);
    EXPECT_NEAR(cycle.learning_rate(9, 10), 1e-8, 1e-15);
}

TEST(Schedule, stays_at_its_last_rate_past_its_end) {
    ScheduleParams params;
    params.rule = Cosine{{100}, 1e-5};
    EXPECT_DOUBLE_EQ(Schedule(params).learning_rate(1000, 0), 1e-5);
    params.rule = OneCycle{.total = {100}};
    EXPECT_NEAR(Schedule(params).learning_rate(1000, 0), 1e-3 / 25 / 1e4, 1e-15);
    params.rule = ConstantRate{};
    EXPECT_EQ(Schedule(params).learning_rate(1000, 50), 1e-3);
}

TEST(Schedule, warms_up_whatever_the_plateau_made_of_the_rate) {
    ScheduleParams params;
    params.warmup = {{10}, 0.5};
    params.rule = KerasPlateau{.factor = 0.5, .patience = 1};
    Schedule schedule(params);
    EXPECT_DOUBLE_EQ(schedule.learning_rate(0, 0), 0.5e-3);
    schedule.epoch_ended(1);
    EXPECT_TRUE(schedule.epoch_ended(1).reduced);
    EXPECT_DOUBLE_EQ(schedule.learning_rate(5, 2), 0.75 * 0.5e-3);
    EXPECT_DOUBLE_EQ(schedule.learning_rate(10, 2), 0.5e-3);
}

TEST(Schedule, restored_from_json_text_after_any_epoch_goes_on_as_the_unbroken_one) {
    for (const json& golden : goldens()["plateaus"]) {
        const std::vector<double> metrics = metrics_of(golden);
        for (size_t broken = 0; broken < metrics.size(); broken += 5) {
            Schedule first = plateau_schedule(golden);
            for (size_t epoch = 0; epoch < broken; ++epoch) {
                first.epoch_ended(metrics[epoch]);
            }
            Schedule second = plateau_schedule(golden);
            second.restore(json::parse(first.state().dump()));
            for (size_t epoch = broken; epoch < metrics.size(); ++epoch) {
                second.epoch_ended(metrics[epoch]);
                ASSERT_EQ(second.learning_rate(0, 0), golden["rates"][epoch].get<double>()) << golden << broken;
                first.epoch_ended(metrics[epoch]);
                ASSERT_EQ(first.state(), second.state()) << golden << broken;
            }
        }
    }
}

TEST(Schedule, a_saved_state_that_is_damaged_or_of_another_rule_is_refused_and_changes_nothing) {
    ScheduleParams params;
    params.rule = TorchPlateau{};
    Schedule schedule(params);
    schedule.epoch_ended(12.5);
    const json good = schedule.state();
    const auto refusal = [&](const json& state) {
        std::string why = error_of<UsageError>([&] { schedule.restore(state); });
        EXPECT_EQ(schedule.state(), good);
        return why;
    };
    EXPECT_EQ(refusal(nullptr), "the saved state of the schedule: it is not a JSON object");
    EXPECT_EQ(refusal({{"plateau", nullptr}}),
              "the saved state of the schedule: it was saved by a run without a plateau rule");
    for (const char* group : {"plateau", "stopping"}) {
        for (const auto& [name, value] : good[group].items()) {
            json state = good;
            state[group].erase(name);
            EXPECT_NE(refusal(state).find(name + " is missing"), std::string::npos) << name;
            for (const json& wrong : {json("1"), json(-1), json(json::array())}) {
                if (name != "best" || !wrong.is_number()) {
                    state[group][name] = wrong;
                    EXPECT_NE(refusal(state).find(name), std::string::npos) << name << wrong;
                }
            }
        }
    }
    json late = good;
    late["stopping"]["best_epoch"] = 1;
    EXPECT_NE(refusal(late).find("contradict"), std::string::npos);
    Schedule constant{ScheduleParams{}};
    EXPECT_NE(error_of<UsageError>([&] { constant.restore(good); }).find("with a plateau rule"), std::string::npos);
}

TEST(Schedule, a_plateau_goes_on_at_its_own_rate_or_at_a_new_one_that_was_asked_for) {
    ScheduleParams params;
    params.learning_rate = 1e-3;
    params.rule = TorchPlateau{.factor = 0.1, .patience = 0};
    Schedule first(params);
    first.epoch_ended(1);
    ASSERT_TRUE(first.epoch_ended(2).reduced);
    const double lowered = first.learning_rate(0, 0);
    ASSERT_LT(lowered, 2e-4);
    Schedule same(params);
    same.restore(first.state());
    EXPECT_EQ(same.learning_rate(0, 0), lowered);
    params.learning_rate = 5e-4;
    Schedule other(params);
    other.restore(first.state());
    EXPECT_EQ(other.learning_rate(0, 0), 5e-4);
    Schedule later(params);
    later.restore(other.state());
    EXPECT_EQ(later.learning_rate(0, 0), 5e-4);
}

TEST(Schedule, parameters_out_of_range_are_named) {
    const auto refusal = [](const auto& change) {
        ScheduleParams params;
        change(params);
        return error_of<UsageError>([&] { const Schedule schedule(params); });
    };
    const auto expect = [&](const char* word, const auto& change) {
        const std::string why = refusal(change);
        EXPECT_EQ(why.rfind("schedule: ", 0), 0U) << why;
        EXPECT_NE(why.find(word), std::string::npos) << why;
    };
    for (const double bad : {0.0, -1.0, kNaN, kInfinity}) {
        expect("learning rate", [&](ScheduleParams& p) { p.learning_rate = bad; });
        expect("cosine", [&](ScheduleParams& p) { p.rule = Cosine{{bad}}; });
        expect("cycle", [&](ScheduleParams& p) { p.rule = OneCycle{.total = {bad}}; });
        expect("factor", [&](ScheduleParams& p) { p.rule = TorchPlateau{.factor = bad}; });
        expect("div_factor", [&](ScheduleParams& p) { p.rule = OneCycle{.total = {50}, .div_factor = bad}; });
    }
    expect("warm-up", [](ScheduleParams& p) { p.warmup.over.amount = -1; });
    expect("share", [](ScheduleParams& p) { p.warmup.start_share = 1.5; });
    expect("factor", [](ScheduleParams& p) { p.rule = KerasPlateau{.factor = 1}; });
    expect("patience", [](ScheduleParams& p) { p.rule = KerasPlateau{.patience = -1}; });
    expect("cooldown", [](ScheduleParams& p) { p.rule = KerasPlateau{.cooldown = -1}; });
    expect("min_delta", [](ScheduleParams& p) { p.rule = KerasPlateau{.min_delta = kNaN}; });
    expect("threshold", [](ScheduleParams& p) { p.rule = TorchPlateau{.threshold = 1}; });
    expect("smallest", [](ScheduleParams& p) { p.rule = TorchPlateau{.min_learning_rate = -1}; });
    expect("eps", [](ScheduleParams& p) { p.rule = TorchPlateau{.eps = -1}; });
    expect("patience", [](ScheduleParams& p) { p.stopping.patience = -1; });
    expect("min_delta", [](ScheduleParams& p) { p.stopping.min_delta = -1; });
    expect("longer", [](ScheduleParams& p) {
        p.warmup.over = {10};
        p.rule = Cosine{{10}};
    });
    expect("both in epochs", [](ScheduleParams& p) {
        p.warmup.over = {1};
        p.rule = Cosine{{10, Extent::Unit::epochs}};
    });
    expect("leave the warm-up out", [](ScheduleParams& p) {
        p.warmup.over = {1};
        p.rule = OneCycle{.total = {10}};
    });
    expect("too few steps", [](ScheduleParams& p) { p.rule = OneCycle{.total = {3}}; });
    EXPECT_EQ(refusal([](ScheduleParams&) {}), "(no error)");
}

}  // namespace
}  // namespace boneage::train

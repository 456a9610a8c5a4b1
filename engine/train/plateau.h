// What a validation metric that no longer improves leads to: a smaller learning rate (ReduceLROnPlateau, as PyTorch or
// as Keras has it) or the end of the training (EarlyStopping, as Keras has it).
//
// Comparisons are strict, all arithmetic is double (Keras itself keeps its rate in float32). A metric that is not
// finite never improves: one diverged epoch cannot become the best.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <variant>

namespace boneage::train {

// Which way a metric improves: an error should fall, a Dice coefficient rise.
enum class Better { lower, higher };

// torch.optim.lr_scheduler.ReduceLROnPlateau. An epoch is better when
//   relative   metric < best * (1 - threshold), or metric > best * (1 + threshold) where higher is better
//   absolute   metric < best - threshold,       or metric > best + threshold
// It fires when more than `patience` epochs in a row were not. During the `cooldown` epochs after that no epoch counts
// as bad. Firing sets the rate to max(rate * factor, min_learning_rate), but only where that lowers it by more than
// `eps`; the counters start anew in either case.
struct TorchPlateau {
    enum class Threshold { relative, absolute };
    double factor = 0.1;
    int64_t patience = 10;
    double threshold = 1e-4;
    Threshold threshold_mode = Threshold::relative;
    int64_t cooldown = 0;
    double min_learning_rate = 0;
    double eps = 1e-8;
};

// keras.callbacks.ReduceLROnPlateau. An epoch is better when metric + min_delta < best, or metric - min_delta > best.
// It fires with the `patience`-th epoch in a row that was not (with the first where patience is 0), and only while the
// rate exceeds min_learning_rate; when it cannot, the counters go on. The epoch with which a cooldown ends counts
// already, so a cooldown of one epoch is none.
struct KerasPlateau {
    double factor = 0.1;
    int64_t patience = 10;
    double min_delta = 1e-4;
    int64_t cooldown = 0;
    double min_learning_rate = 0;
};

using PlateauParams = std::variant<TorchPlateau, KerasPlateau>;

class ReduceOnPlateau {
public:
    // Throws UsageError naming the parameter that is out of its range.
    ReduceOnPlateau(const PlateauParams& params, Better better, double learning_rate);

    [[nodiscard]] double learning_rate() const { return learning_rate_; }
    void set_learning_rate(double learning_rate) { learning_rate_ = learning_rate; }
    // Whether it lowered the rate.
    bool epoch_ended(double metric);

    [[nodiscard]] nlohmann::json state() const;
    // Throws UsageError naming the field that is wrong; the parameters are the constructor's.
    void restore(const nlohmann::json& state);

private:
    bool follow(const TorchPlateau& params, double metric);
    bool follow(const KerasPlateau& params, double metric);

    PlateauParams params_;
    Better better_;
    double learning_rate_;
    std::optional<double> best_;  // none before the first finite metric
    int64_t bad_epochs_ = 0;
    int64_t cooldown_left_ = 0;
};

// keras.callbacks.EarlyStopping. An epoch is better when metric + min_delta < best, or metric - min_delta > best. It
// says stop with the `patience`-th epoch in a row that was not, but never with the very first epoch.
struct StoppingParams {
    double min_delta = 0;
    std::optional<int64_t> patience;  // none: never stop, only remember the best epoch; Keras' default is 0
};

class EarlyStopping {
public:
    enum class Verdict { better, go_on, stop };

    // Throws UsageError naming the parameter that is out of its range.
    EarlyStopping(const StoppingParams& params, Better better);

    Verdict epoch_ended(double metric);
    // The best metric so far, and the epoch, from 0, it was reached in: whose weights to keep. None before the first
    // finite metric.
    [[nodiscard]] std::optional<double> best() const { return best_; }
    [[nodiscard]] std::optional<int64_t> best_epoch() const;

    [[nodiscard]] nlohmann::json state() const;
    // Throws UsageError naming the field that is wrong; the parameters are the constructor's.
    void restore(const nlohmann::json& state);

private:
    StoppingParams params_;
    Better better_;
    std::optional<double> best_;
    int64_t best_epoch_ = 0;
    int64_t epochs_ = 0;
    int64_t waited_ = 0;
};

}  // namespace boneage::train

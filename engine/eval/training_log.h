// The log that a training run leaves: one JSON object a line, one line an epoch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace boneage::eval {

struct Epoch {
    int64_t epoch = 0;
    // None where the line has no number for it.
    std::optional<double> train_loss;
    std::optional<double> val_mae_months;
    std::optional<double> learning_rate;
};

struct TrainingLog {
    std::vector<Epoch> epochs;       // rising; of an epoch that was run again after a resumption, the last line
    std::vector<std::string> notes;  // a sentence for each line that was not taken
};

// Reads `epoch` and, where they are numbers, `train_loss`, `val_mae_months` and `learning_rate`; lines without an
// epoch (a header, a summary) and a last line cut short by a killed run are told in `notes`. Throws UsageError naming
// file and line where another line is no JSON object, and naming the file when it has no epochs or is the log of a
// segmenter.
TrainingLog read_training_log(const std::filesystem::path& path);

}  // namespace boneage::eval

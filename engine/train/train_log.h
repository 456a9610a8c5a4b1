// The log of a training: one JSON object an epoch, one line each, for people, plots and other programs.
//
//   {"epoch":3,"step":1185,"train_loss":0.41,"val_mae_months":11.2,"learning_rate":0.001,"images_per_second":18.3,
//    "elapsed_s":2071.4,"draws_per_category":[412,398,...]}
//
// Epochs count from 1 and ascend: an epoch's number says how many were finished when its line was written. A number
// that is not finite is written as null.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace boneage::train {

struct EpochRecord {
    int64_t epoch = 1;
    int64_t step = 0;  // optimiser steps since the training began
    double train_loss = 0;
    std::optional<double> val_mae_months;  // of a ResNet34
    std::optional<double> val_dice;        // of a segmenter
    double learning_rate = 0;              // of the epoch's last step
    double images_per_second = 0;
    double elapsed_s = 0;                     // of all runs of this training together
    std::vector<int64_t> draws_per_category;  // empty where samples are not weighted
    std::map<std::string, double> more;       // further figures, by names that are none of the above
};

std::string to_json(const EpochRecord& record);  // one line, without its end

// What a log holds. A last line that was cut off while it was written is left out. Throws UsageError naming the file
// and the line when any other line is no record, or when an epoch does not come after the one before.
std::vector<EpochRecord> read_train_log(const std::string& path);

// A log being written. Every line is on the disk when append() returns.
class TrainLog {
public:
    // Continues after `epochs` finished epochs: what the file holds of later ones is cut off, as a run that was killed
    // wrote it after the checkpoint from which this one resumes. With 0 the log begins anew. Throws UsageError as
    // read_train_log(), Error when the file cannot be written.
    TrainLog(std::string path, int64_t epochs);
    ~TrainLog();
    TrainLog(const TrainLog&) = delete;
    TrainLog& operator=(const TrainLog&) = delete;

    // Whether the file held lines that were cut off, and of how many epochs.
    [[nodiscard]] int64_t epochs_cut() const { return epochs_cut_; }
    // The record's epoch must come after all before. Throws Error naming the path and the reason when the line cannot
    // be written; the file is then as it was.
    void append(const EpochRecord& record);

private:
    std::string path_;
    int descriptor_ = -1;
    int64_t bytes_ = 0;
    int64_t last_epoch_ = 0;
    int64_t epochs_cut_ = 0;
};

}  // namespace boneage::train

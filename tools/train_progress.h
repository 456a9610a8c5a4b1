// How a training gets on, on standard error: a bar for the running epoch and a line for each finished one.
#pragma once

#include "engine/train/trainer.h"
#include "tools/commands.h"
#include "tools/progress.h"

#include <memory>

namespace boneage::tools {

class TrainProgress {
public:
    TrainProgress(const train::Course& course, int64_t epochs, int64_t batch)
        : course_(course), epochs_(epochs), batch_(batch) {}

    // Refers to this. Its `best` does nothing.
    train::TrainObserver observer();
    void say(const std::string& line);
    void finish();

private:
    const train::Course& course_;
    int64_t epochs_;
    int64_t batch_;
    std::unique_ptr<Progress> bar_;  // of the running epoch
};

// Says how a training ended; Error when it was interrupted.
ExitCode tell_end(train::TrainEnd end, const train::Trainer& trainer, TrainProgress& progress,
                  const train::Course& course, const std::string& model);

}  // namespace boneage::tools

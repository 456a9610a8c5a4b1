// From prepared images to months: the ResNet34 over a batch of slots, as a boy's and as a girl's hand.
#pragma once

#include "engine/pipeline/segmenter.h"
#include "engine/pipeline/verdict.h"

namespace boneage::pipeline {

// What the network's input "sex" means.
inline constexpr float kMale = 1.0F;
inline constexpr float kFemale = -1.0F;

// The plan for a batch of the recipe's inputs. Throws UsageError unless the network has exactly one output.
plan::Plan lower_age_network(const net::ResNet34Spec& spec, const Recipe& recipe, const plan::Backend& backend,
                             plan::Precision precision, int64_t batch);

// Belongs to one thread.
class AgeNetwork {
public:
    // `backend` must outlive this.
    AgeNetwork(const AgeNetworkSource& source, const Recipe& recipe, plan::Backend& backend, plan::Precision precision,
               int64_t batch);

    [[nodiscard]] int64_t batch() const { return batch_; }
    // The input of one slot, [1, h, w, c], to be filled before every run().
    Tensor<float, Host> slot(int64_t i);
    // Answers of the first `count` slots. The trunk runs once; only what follows the sex runs again.
    void run(int64_t count, std::vector<Ages>& ages);
    // The means of these and of the answers for the slots' mirror images: twice the work.
    void run_both_ways(int64_t count, std::vector<Ages>& ages);

    [[nodiscard]] const plan::Plan& plan() const { return executor_.plan(); }

private:
    void read(int64_t count, std::vector<Ages>& ages, double Ages::*which) const;

    Recipe::Input input_;
    Recipe::Age age_;
    net::ResNet34Spec spec_;
    int64_t batch_;
    plan::Executor executor_;
    Workers workers_{1};
    std::vector<float> kept_;
    std::vector<Ages> mirrored_;
};

}  // namespace boneage::pipeline

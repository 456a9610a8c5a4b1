#include "engine/pipeline/age_network.h"

#include "kernels/base/error.h"
#include "kernels/nn/mirror.h"

#include <algorithm>

namespace boneage::pipeline {

plan::Plan lower_age_network(const net::ResNet34Spec& spec, const Recipe& recipe, const plan::Backend& backend,
                             plan::Precision precision, int64_t batch) {
    if (spec.outputs != 1) {
        throw UsageError("weights that estimate ages have one output, these have " + std::to_string(spec.outputs));
    }
    plan::Options options;
    options.batch = batch;
    options.height = recipe.input.height;
    options.width = recipe.input.width;
    options.precision = precision;
    options.traits = backend.traits();
    if (spec.sex_input) {
        options.rerun = {"sex"};
    }
    return plan::lower(net::resnet34(spec), options);
}

AgeNetwork::AgeNetwork(const AgeNetworkSource& source, const Recipe& recipe, plan::Backend& backend,
                       plan::Precision precision, int64_t batch)
    : input_(recipe.input),
      age_(recipe.age),
      spec_(source.spec),
      batch_(batch),
      executor_(lower_age_network(source.spec, recipe, backend, precision, batch), backend, source.parameters) {}

Tensor<float, Host> AgeNetwork::slot(int64_t i) {
    expects(i >= 0 && i < batch_, "no such slot");
    const Tensor<float, Host> all(executor_.input("image").data(), batch_, input_.height, input_.width, spec_.channels);
    return {all.at(i), 1, input_.height, input_.width, spec_.channels};
}

void AgeNetwork::run(int64_t count, std::vector<Ages>& ages) {
    expects(count >= 0 && count <= batch_, "more images than slots");
    ages.resize(static_cast<size_t>(count));
    if (count == 0) {
        return;
    }
    // Slots that nobody filled hold what the last run left there: harmless to the others, but possibly slow denormals.
    const std::span<float> image = executor_.input("image");
    const auto filled = static_cast<ptrdiff_t>(image.size() / static_cast<size_t>(batch_)) * count;
    std::fill(image.begin() + filled, image.end(), 0.0F);
    if (spec_.sex_input) {
        std::ranges::fill(executor_.input("sex"), kMale);
    }
    executor_.run();
    read(count, ages, &Ages::if_male);
    if (spec_.sex_input) {
        std::ranges::fill(executor_.input("sex"), kFemale);
        executor_.rerun("sex");
    }
    read(count, ages, &Ages::if_female);
}

void AgeNetwork::run_both_ways(int64_t count, std::vector<Ages>& ages) {
    // The first run may use the inputs' memory for other values.
    const std::span<float> image = executor_.input("image");
    kept_.assign(image.begin(), image.end());
    run(count, ages);
    std::ranges::copy(kept_, image.begin());
    mirror(workers_, {image.data(), batch_, input_.height, input_.width, spec_.channels});
    run(count, mirrored_);
    std::ranges::transform(ages, mirrored_, ages.begin(), mean_of);
}

void AgeNetwork::read(int64_t count, std::vector<Ages>& ages, double Ages::*which) const {
    const std::span<const float> answers = executor_.output("age");
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        ages[i].*which = age_.months(answers[i]);
    }
}

}  // namespace boneage::pipeline

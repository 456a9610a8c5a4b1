// What a training step must give, in double precision and with no plan: the loss of a graph whose norms take the
// batch's statistics, and its slopes by central differences.
#pragma once

#include "engine/plan/training_executor.h"
#include "tests/support/naive_graph.h"

namespace boneage::testing {

// A network, what enters it and where it stands.
struct TrainingCase {
    std::string name;
    net::Graph graph;
    plan::TrainingOptions options;
    Parameters parameters;
    std::map<std::string, std::vector<float>> inputs;  // the graph's, "targets" and, for absolute errors, "weights"
};

// Two residual blocks, the second with a 1x1 shortcut, over "image", and "sex" that joins behind the average: "age".
net::Graph small_residual_network();

// Random parameters and inputs. Norms get an eps of 0.1: with a few pixels a channel and PyTorch's 1e-5 the gradients
// behind a norm are small differences of large numbers, and float32 could not be held to a tight bound.
TrainingCase training_case(std::string name, net::Graph graph, const plan::TrainingOptions& options, uint64_t seed);

// U-Nets of three depths, and a residual network of two blocks, one of them with a convolution in its shortcut, that
// takes sexes and has a hidden layer: everything the real networks have, small enough for any test.
std::vector<TrainingCase> small_training_cases();

void fill(plan::TrainingExecutor& executor, const TrainingCase& c);
// Fills and runs it twice: nothing of the first run may be left in the second's gradients.
void run_twice(plan::TrainingExecutor& executor, const TrainingCase& c);

double exact_loss(const TrainingCase& c, const ExactParameters& parameters);

// How fast the loss rises when the parameter `name` moves by `direction`.
double exact_slope(const TrainingCase& c, const std::string& name, const std::vector<double>& direction);

// Compares the loss and, for every trainable tensor, the gradient with central differences: in its own direction, in a
// random direction that moves every element, and in the largest and `entries` more elements. `what` begins messages.
// Where that takes too long, only every so many tensors are tried.
void expect_gradients(const plan::TrainingExecutor& executor, const TrainingCase& c, int entries,
                      const std::string& what, size_t every = 1);

}  // namespace boneage::testing

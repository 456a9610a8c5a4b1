#include "tests/support/exact_training.h"

#include "engine/net/builder.h"
#include "tests/support/plan_runs.h"

#include <numeric>
#include <random>

namespace boneage::testing {
namespace {

double absolute_error(const std::vector<double>& predictions, const std::vector<float>& targets,
                      const std::vector<float>& weights) {
    double sum = 0;
    double weight = 0;
    for (size_t i = 0; i < predictions.size(); ++i) {
        sum += weights.at(i) * std::abs(predictions[i] - targets.at(i));
        weight += weights.at(i);
    }
    return sum / weight;
}

double segmentation(const std::vector<double>& logits, const std::vector<float>& targets, int64_t images) {
    const size_t pixels = logits.size() / static_cast<size_t>(images);
    double loss = 0;
    for (size_t first = 0; first < logits.size(); first += pixels) {
        double entropy = 0;
        double both = 0;
        double either = 0;
        for (size_t i = first; i < first + pixels; ++i) {
            const double x = logits[i];
            const double p = 1 / (1 + std::exp(-x));
            const double t = targets.at(i);
            entropy += std::max(x, 0.0) - x * t + std::log1p(std::exp(-std::abs(x)));
            both += p * t;
            either += p + t;
        }
        loss += entropy / static_cast<double>(pixels) + 1 - (2 * both + 1) / (either + 1);
    }
    return loss / static_cast<double>(images);
}

double norm_of(const std::vector<float>& values) {
    double sum = 0;
    for (const float value : values) {
        sum += static_cast<double>(value) * value;
    }
    return std::sqrt(sum);
}

}  // namespace

net::Graph small_residual_network() {
    net::Builder net("small");
    net::ValueId x = net.conv_norm(net.input("image", 2, true), "conv1", "bn1", 4, 3, 1, net::Act::relu, "conv1");
    x = net.max_pool(x, 3, 2, 1, "maxpool");
    net::ValueId middle = net.conv_norm(x, "a.conv1", "a.bn1", 4, 3, 1, net::Act::relu, "a.conv1");
    x = net.conv_norm(middle, "a.conv2", "a.bn2", 4, 3, 1, net::Act::relu, "a", x);
    const net::ValueId shortcut = net.conv_norm(x, "b.down.0", "b.down.1", 6, 1, 2, net::Act::none, "b.down");
    middle = net.conv_norm(x, "b.conv1", "b.bn1", 6, 3, 2, net::Act::relu, "b.conv1");
    x = net.conv_norm(middle, "b.conv2", "b.bn2", 6, 3, 1, net::Act::relu, "b", shortcut);
    x = net.global_avg_pool(x, "features");
    x = net.concat({x, net.linear(net.input("sex", 1, false), "sex_fc", 3, net::Act::relu, "sex_fc")}, "both");
    x = net.linear(x, "hidden", 5, net::Act::relu, "hidden");
    net.output(net.linear(x, "fc", 1, net::Act::none, "age"));
    return net.take();
}

TrainingCase training_case(std::string name, net::Graph graph, const plan::TrainingOptions& options, uint64_t seed) {
    TrainingCase c{std::move(name), std::move(graph), options, {}, {}};
    for (net::Op& op : c.graph.ops) {
        if (auto* unit = std::get_if<net::ConvUnit>(&op); unit != nullptr && unit->norm) {
            unit->norm->eps = 0.1;
        }
    }
    c.parameters = random_parameters(c.graph, seed);
    const auto shapes = net::infer_shapes(c.graph, options.batch, options.height, options.width);
    for (const net::Input& input : c.graph.inputs) {
        const auto id = static_cast<size_t>(input.value);
        c.inputs[c.graph.values[id].name] = random_values(shapes[id].size(), seed + id);
    }
    auto& targets = c.inputs["targets"];
    targets = random_values(shapes[static_cast<size_t>(c.graph.outputs.at(0))].size(), seed + 1000);
    switch (options.loss) {
        case plan::Loss::absolute_error: {
            auto& weights = c.inputs["weights"];
            for (size_t i = 0; i < targets.size(); ++i) {
                targets[i] *= 3;
                weights.push_back(static_cast<float>(i % 3) + 0.5F);
            }
            break;
        }
        case plan::Loss::segmentation:
            for (float& target : targets) {
                target = target > 0 ? 1.0F : 0.0F;
            }
            break;
    }
    return c;
}

void fill(plan::TrainingExecutor& executor, const TrainingCase& c) {
    for (const auto& [name, values] : c.inputs) {
        const auto to = executor.input(name);
        ASSERT_EQ(to.size(), values.size()) << c.name << ", " << name;
        std::ranges::copy(values, to.begin());
    }
}

std::vector<TrainingCase> small_training_cases() {
    std::vector<TrainingCase> all;
    const plan::TrainingOptions masks{.batch = 2, .height = 8, .width = 12, .loss = plan::Loss::segmentation};
    all.push_back(training_case("unet_of_depth_1", net::unet({.channels = 1, .depth = 1, .base_width = 3}), masks, 1));
    all.push_back(training_case("unet_of_depth_2", net::unet({.channels = 2, .depth = 2, .base_width = 4}), masks, 2));
    all.push_back(training_case("unet_of_depth_0", net::unet({.channels = 3, .depth = 0, .base_width = 5}), masks, 3));
    const plan::TrainingOptions ages{.batch = 3, .height = 8, .width = 12};
    all.push_back(training_case("small_residual_network", small_residual_network(), ages, 4));
    return all;
}

void run_twice(plan::TrainingExecutor& executor, const TrainingCase& c) {
    for (int run = 0; run < 2; ++run) {
        fill(executor, c);
        executor.run();
    }
}

double exact_loss(const TrainingCase& c, const ExactParameters& parameters) {
    const plan::TrainingOptions& o = c.options;
    const auto values = evaluate(c.graph, o.batch, o.height, o.width, parameters, c.inputs, Norms::batch);
    const auto& output = values.at(c.graph.values[static_cast<size_t>(c.graph.outputs.at(0))].name);
    return o.loss == plan::Loss::absolute_error ? absolute_error(output, c.inputs.at("targets"), c.inputs.at("weights"))
                                                : segmentation(output, c.inputs.at("targets"), o.batch);
}

double exact_slope(const TrainingCase& c, const std::string& name, const std::vector<double>& direction) {
    // So far all together: a larger step turns corners of ReLUs, for a smaller one the loss has too few digits.
    constexpr double kStep = 1e-6;
    const double length = std::sqrt(std::inner_product(direction.begin(), direction.end(), direction.begin(), 0.0));
    ExactParameters moved = exact(c.parameters);
    std::vector<double>& values = moved.at(name);
    const std::vector<double> start = values;
    const auto loss_at = [&](double step) {
        for (size_t i = 0; i < values.size(); ++i) {
            values[i] = start[i] + step / length * direction[i];
        }
        return exact_loss(c, moved);
    };
    return (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep) * length;
}

void expect_gradients(const plan::TrainingExecutor& executor, const TrainingCase& c, int entries,
                      const std::string& what, size_t every) {
    const double loss = exact_loss(c, exact(c.parameters));
    EXPECT_NEAR(executor.loss().total, loss, 1e-5 * std::abs(loss)) << what;

    std::map<std::string, std::vector<float>> gradients;
    double largest = 0;
    for (const plan::ParameterPlace& place : executor.plan().parameters) {
        const std::string& name = place.parameter.name;
        gradients[name] = executor.gradient(name);
        largest = std::max(largest, norm_of(gradients[name]));
    }
    ASSERT_GT(largest, 0) << what << ": no gradient at all";
    std::mt19937 random(7);
    size_t number = 0;
    for (const auto& each : gradients) {
        const std::string& name = each.first;
        const std::vector<float>& gradient = each.second;
        if (number++ % every != 0) {
            continue;
        }
        const auto count = static_cast<double>(gradient.size());
        // A bias that a norm takes away again has no slope: what is left is the rounding of terms as large as others'.
        const double size = std::max(norm_of(gradient), 1e-2 * largest);
        const auto expect_slope = [&](const std::vector<double>& direction, double tolerance,
                                      const std::string& along) {
            const double got = std::inner_product(direction.begin(), direction.end(), gradient.begin(), 0.0);
            const double want = exact_slope(c, name, direction);
            ASSERT_TRUE(std::abs(got - want) <= tolerance)  // false for NaN
                << what << ": " << name << " along " << along << " is " << got << ", differences give " << want
                << ", tolerance " << tolerance;
        };
        std::vector<double> direction(gradient.begin(), gradient.end());
        if (norm_of(gradient) > 0) {
            expect_slope(direction, 1e-4 * size * norm_of(gradient), "itself");
        }
        for (double& element : direction) {
            element = random() % 2 == 0 ? 1 : -1;
        }
        expect_slope(direction, 1e-3 * size, "a random direction");
        for (int i = 0; i <= entries; ++i) {
            const auto by_size = [](float a, float b) { return std::abs(a) < std::abs(b); };
            const size_t at = i == 0
                                  ? static_cast<size_t>(std::ranges::max_element(gradient, by_size) - gradient.begin())
                                  : random() % gradient.size();
            std::ranges::fill(direction, 0.0);
            direction[at] = 1;
            expect_slope(direction, 1e-4 * size / std::sqrt(count), "element " + std::to_string(at));
        }
    }
}

}  // namespace boneage::testing

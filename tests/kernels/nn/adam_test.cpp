#include "kernels/nn/adam.h"

#include "kernels/base/error.h"
#include "tests/support/tensors.h"

namespace boneage {
namespace {

using testing::expect_same;
using testing::OwnedTensor;
using testing::random_tensor;

// A buffer of weights with its moments and state.
struct Weights {
    AdamState state;
    OwnedTensor<float> weights, first_moment, second_moment;

    Weights(const AdamParams& params, OwnedTensor<float> start)
        : weights(std::move(start)), first_moment(weights.shape()), second_moment(weights.shape()) {
        state.params = params;
    }
    void step(Workers& workers, const OwnedTensor<float>& gradients) {
        adam(workers, {&state, 1}, weights.tensor(), gradients.tensor(), first_moment.tensor(), second_moment.tensor());
    }
};

OwnedTensor<float> tensor_of(const std::vector<float>& values) {
    OwnedTensor<float> tensor({static_cast<int64_t>(values.size()), 1, 1, 1});
    std::copy(values.begin(), values.end(), tensor.tensor().data);
    return tensor;
}

struct PyTorchCase {
    const char* name;
    AdamParams params;
    std::vector<float> weights, first_moment, second_moment;  // after the three steps
};

// From PyTorch 1.13, float32 on a CPU.
const PyTorchCase kPyTorch[] = {
    {"Adam",
     {.learning_rate = 0.01},
     {0.483724982F, -1.23715222F, 3.00429845F, -0.00825516041F},
     {-0.0349000022F, 0.00829999987F, 0.000110000008F, 0.243999988F},
     {0.000589890056F, 8.2417544e-05F, 4.99900077e-09F, 0.0209640171F}},
    {"Adam with weight decay",
     {.learning_rate = 0.01, .weight_decay = 0.1},
     {0.482349992F, -1.22708404F, 2.97000194F, -0.00825492572F},
     {-0.021634819F, -0.0253031403F, 0.0811200142F, 0.243995041F},
     {0.00056917069F, 0.000116785501F, 0.000268535427F, 0.0209701583F}},
    {"AdamW",
     {.learning_rate = 0.01, .weight_decay = 0.1, .decoupled = true},
     {0.482255667F, -1.23343074F, 2.99530005F, -0.0082559213F},
     {-0.0349000022F, 0.00829999987F, 0.000110000008F, 0.243999988F},
     {0.000589890056F, 8.2417544e-05F, 4.99900077e-09F, 0.0209640171F}},
    {"Adam with other betas and eps",
     {.learning_rate = 0.1, .beta1 = 0.5, .beta2 = 0.75, .eps = 1e-3},
     {0.363224208F, -1.18579388F, 3.00273967F, -0.116253138F},
     {-0.262499988F, 0.0874999985F, 0.000750000007F, 0.5F},
     {0.140781254F, 0.0160937514F, 1.18750006e-06F, 3.25F}},
};

TEST(Adam, three_steps_equal_pytorch) {
    Workers workers(1);
    for (const PyTorchCase& reference : kPyTorch) {
        Weights got(reference.params, tensor_of({0.5F, -1.25F, 3.0F, 0.0078125F}));
        for (const auto& gradients : {std::vector<float>{0.1F, -0.2F, 0.0F, 4.0F},
                                      {0.3F, 0.05F, -0.001F, -2.0F},
                                      {-0.7F, 0.2F, 0.002F, 1.0F}}) {
            got.step(workers, tensor_of(gradients));
        }
        for (size_t i = 0; i < 4; ++i) {
            const auto k = static_cast<int64_t>(i);
            EXPECT_NEAR(got.weights[k], reference.weights[i], 1e-6) << reference.name << ", weight " << i;
            EXPECT_NEAR(got.first_moment[k], reference.first_moment[i], 1e-6 * std::abs(reference.first_moment[i]))
                << reference.name << ", first moment " << i;
            EXPECT_NEAR(got.second_moment[k], reference.second_moment[i], 1e-6 * reference.second_moment[i])
                << reference.name << ", second moment " << i;
        }
    }
}

TEST(Adam, a_hundred_steps_stay_with_double) {
    Workers workers(2);
    constexpr int64_t kSize = 1001;
    for (const bool decoupled : {false, true}) {
        const AdamParams params{.learning_rate = 0.01, .weight_decay = 0.01, .decoupled = decoupled};
        Weights got(params, random_tensor<float>({kSize, 1, 1, 1}, 1));
        std::vector<double> weights(got.weights.tensor().data, got.weights.tensor().data + kSize);
        std::vector<double> m(kSize);
        std::vector<double> v(kSize);
        for (int step = 1; step <= 100; ++step) {
            const auto gradients = random_tensor<float>({kSize, 1, 1, 1}, static_cast<uint64_t>(step) + 100);
            got.step(workers, gradients);
            for (size_t i = 0; i < kSize; ++i) {
                double g = static_cast<double>(gradients[static_cast<int64_t>(i)]);
                if (decoupled) {
                    weights[i] *= 1 - 0.01 * 0.01;
                } else {
                    g += 0.01 * weights[i];
                }
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                weights[i] -=
                    0.01 * (m[i] / (1 - std::pow(0.9, step))) / (std::sqrt(v[i] / (1 - std::pow(0.999, step))) + 1e-8);
            }
        }
        EXPECT_EQ(got.state.step, 100);
        const float* data = got.weights.tensor().data;
        testing::expect_close(std::vector<float>(data, data + kSize), weights, 5e-6, "weights");
    }
}

// Gradients about as small as eps over sqrt(1 - beta2), where the place of eps shows.
TEST(Adam, keras_mode_stays_with_its_definition_in_double) {
    Workers workers(2);
    constexpr int64_t kSize = 1001;
    for (const bool decay : {false, true}) {
        AdamParams params{.learning_rate = 0.01, .eps = 1e-7, .mode = AdamMode::keras};
        if (decay) {
            params.weight_decay = 0.01;
            params.decoupled = true;
        }
        Weights got(params, random_tensor<float>({kSize, 1, 1, 1}, 1));
        std::vector<double> weights(got.weights.tensor().data, got.weights.tensor().data + kSize);
        std::vector<double> m(kSize);
        std::vector<double> v(kSize);
        for (int step = 1; step <= 100; ++step) {
            auto gradients = random_tensor<float>({kSize, 1, 1, 1}, static_cast<uint64_t>(step) + 100);
            for (int64_t i = 0; i < kSize; ++i) {
                gradients[i] *= 3e-6F;
            }
            got.step(workers, gradients);
            const double alpha = 0.01 * std::sqrt(1 - std::pow(0.999, step)) / (1 - std::pow(0.9, step));
            for (size_t i = 0; i < kSize; ++i) {
                const double g = static_cast<double>(gradients[static_cast<int64_t>(i)]);
                weights[i] *= decay ? 1 - 0.01 * 0.01 : 1;
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                weights[i] -= alpha * m[i] / (std::sqrt(v[i]) + 1e-7);
            }
        }
        const float* data = got.weights.tensor().data;
        testing::expect_close(std::vector<float>(data, data + kSize), weights, 5e-6, "weights");
    }
}

// The first step is g / (|g| + eps) in PyTorch's and g / (|g| + eps / sqrt(1 - beta2)) in Keras's.
TEST(Adam, modes_differ_by_the_place_of_eps) {
    Workers workers(1);
    for (const AdamMode mode : {AdamMode::torch, AdamMode::keras}) {
        Weights layer({.learning_rate = 1, .beta2 = 0.99, .eps = 1e-3, .mode = mode}, tensor_of({0.0F, 0.0F}));
        layer.step(workers, tensor_of({0.01F, -1.0F}));
        const double eps = mode == AdamMode::keras ? 0.01 : 0.001;
        EXPECT_NEAR(layer.weights[0], -0.01 / (0.01 + eps), 1e-6);
        EXPECT_NEAR(layer.weights[1], 1 / (1 + eps), 1e-6);
    }
}

TEST(Adam, any_number_of_workers_gives_the_same_bits) {
    const auto start = random_tensor<float>({50021, 1, 1, 1}, 1);
    const auto gradients = random_tensor<float>({50021, 1, 1, 1}, 2);
    const AdamParams params{.weight_decay = 0.1};
    Weights one(params, start);
    Workers single(1);
    one.step(single, gradients);
    one.step(single, gradients);
    for (const int threads : {2, 5}) {
        Weights many(params, start);
        Workers workers(threads);
        many.step(workers, gradients);
        many.step(workers, gradients);
        expect_same(many.weights, one.weights, "weights");
        expect_same(many.first_moment, one.first_moment, "first moment");
        expect_same(many.second_moment, one.second_moment, "second moment");
    }
}

TEST(Adam, parameters_rewritten_between_steps_hold_from_the_next_step) {
    Workers workers(1);
    const auto gradients = tensor_of({1.0F, -1.0F});
    Weights layer({.learning_rate = 0.5}, tensor_of({0.0F, 0.0F}));
    layer.step(workers, gradients);
    EXPECT_NEAR(layer.weights[0], -0.5, 1e-6);  // the first step is the learning rate, whatever the gradient
    layer.state.params.learning_rate = 0.125;
    layer.step(workers, gradients);
    EXPECT_NEAR(layer.weights[0], -0.625, 1e-6);
    EXPECT_NEAR(layer.weights[1], 0.625, 1e-6);
    EXPECT_EQ(layer.state.step, 2);
}

TEST(Adam, refuses_sizes_that_do_not_belong_together) {
    Workers workers(1);
    Weights layer({}, tensor_of({1.0F, 2.0F}));
    EXPECT_THROW(layer.step(workers, tensor_of({1.0F})), ContractError);
}

}  // namespace
}  // namespace boneage

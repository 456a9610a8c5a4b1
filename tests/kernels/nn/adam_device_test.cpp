#include "kernels/nn/adam.h"
#include "tests/support/device_tensors.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::OwnedTensor;
using testing::random_tensor;

TEST(AdamDevice, a_replayed_graph_equals_the_cpu_twin_and_sees_new_parameters) {
    Stream stream;
    Workers workers(1);
    const AdamParams each[] = {{.learning_rate = 0.01, .weight_decay = 0.1},
                               {.learning_rate = 0.01, .weight_decay = 0.1, .decoupled = true},
                               {.learning_rate = 0.01, .eps = 1e-7, .mode = AdamMode::keras}};
    for (const AdamParams& params : each) {
        for (const int64_t size : {1, 5, 1024, 4099}) {
            for (const int64_t offset : {0, 1}) {
                AdamState state;
                state.params = params;
                const std::array<int64_t, 4> shape{size, 1, 1, 1};
                auto weights = random_tensor<float>(shape, 1);
                OwnedTensor<float> m(shape);
                OwnedTensor<float> v(shape);
                const auto gradients = random_tensor<float>(shape, 2);

                const Buffer<AdamState, Device> device_state(1);
                copy_to_device(stream, device_state.data(), &state, sizeof(AdamState));
                DeviceTensor<float> device_weights(stream, weights, {0, offset});
                DeviceTensor<float> device_m(stream, m, {0, offset});
                DeviceTensor<float> device_v(stream, v, {0, offset});
                const DeviceTensor<float> device_gradients(stream, gradients, {0, offset});
                const CapturedGraph step(stream, [&] {
                    adam(stream, {device_state.data(), 1}, device_weights.tensor(), device_gradients.const_tensor(),
                         device_m.tensor(), device_v.tensor());
                });
                for (const double learning_rate : {0.01, 0.01, 0.3, 0.002}) {
                    state.params.learning_rate = learning_rate;
                    copy_to_device(stream, device_state.data(), &state.params, sizeof(AdamParams));
                    stream.synchronize();
                    step.launch(stream);
                    adam(workers, {&state, 1}, weights.tensor(), gradients.tensor(), m.tensor(), v.tensor());
                }
                expect_same(device_weights.download(), weights, "weights");
                expect_same(device_m.download(), m, "first moment");
                expect_same(device_v.download(), v, "second moment");
                AdamState got;
                copy_to_host(stream, &got, device_state.data(), sizeof(AdamState));
                stream.synchronize();
                EXPECT_EQ(got.step, 4);
            }
        }
    }
}

}  // namespace
}  // namespace boneage

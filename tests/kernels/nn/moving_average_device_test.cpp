#include "kernels/nn/moving_average.h"
#include "tests/support/device_tensors.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::random_tensor;

TEST(MovingAverageDevice, a_replayed_graph_equals_the_cpu_twin_and_sees_a_new_decay) {
    Stream stream;
    Workers workers(1);
    for (const int64_t size : {1, 5, 1024, 4099}) {
        for (const int64_t offset : {0, 1}) {
            const auto values = random_tensor<float>({size, 1, 1, 1}, 1);
            auto average = random_tensor<float>({size, 1, 1, 1}, 2);
            const DeviceTensor<float> device_values(stream, values, {0, offset});
            DeviceTensor<float> device_average(stream, average, {0, offset});
            const Buffer<float, Device> device_decay(1);
            const CapturedGraph step(stream, [&] {
                moving_average(stream, {device_decay.data(), 1}, device_values.const_tensor(), device_average.tensor());
            });
            for (const float decay : {0.1F, 0.9F, 0.999F}) {
                copy_to_device(stream, device_decay.data(), &decay, sizeof(float));
                step.launch(stream);
                stream.synchronize();
                moving_average(workers, {&decay, 1}, values.tensor(), average.tensor());
            }
            testing::expect_same(device_average.download(), average, std::to_string(size) + " elements");
        }
    }
}

}  // namespace
}  // namespace boneage

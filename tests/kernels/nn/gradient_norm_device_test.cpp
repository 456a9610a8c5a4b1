#include "kernels/nn/gradient_norm.h"
#include "tests/support/device_tensors.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::OwnedTensor;

void expect_twins_equal(Stream& stream, OwnedTensor<float> gradients, double max_norm, int64_t offset) {
    Workers workers(1);
    HostScratch host_scratch;
    const int64_t bytes = clip_gradients_scratch_bytes(gradients.size());
    const Buffer<std::byte, Device> scratch(bytes);
    const Buffer<GradientNorm, Device> norm(1);
    DeviceTensor<float> device(stream, gradients, {0, offset});
    clip_gradients(stream, device.tensor(), max_norm, {norm.data(), 1}, {scratch.data(), bytes});
    GradientNorm got{};
    copy_to_host(stream, &got, norm.data(), sizeof(GradientNorm));
    stream.synchronize();

    GradientNorm want{};
    clip_gradients(workers, gradients.tensor(), max_norm, {&want, 1}, host_scratch.bytes(bytes));
    const std::string what = std::to_string(gradients.size()) + " gradients, at most " + std::to_string(max_norm);
    EXPECT_TRUE(got.norm == want.norm || (std::isnan(got.norm) && std::isnan(want.norm))) << what;
    EXPECT_EQ(got.factor, want.factor) << what;
    testing::expect_same(device.download(), gradients, what);
}

TEST(ClipGradientsDevice, equals_the_cpu_twin_at_any_size_and_alignment) {
    Stream stream;
    for (const int64_t size : {1, 3, 1024, 1027, 16384, 16390, 50000}) {
        for (const int64_t offset : {0, 1}) {
            for (const double max_norm : {0.5, 1e9}) {
                expect_twins_equal(stream, testing::random_tensor<float>({size, 1, 1, 1}, 7), max_norm, offset);
            }
        }
    }
}

TEST(ClipGradientsDevice, reports_what_is_not_finite_and_leaves_it) {
    Stream stream;
    for (const float broken : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        auto gradients = testing::random_tensor<float>({2000, 1, 1, 1}, 7);
        gradients[1234] = broken;
        expect_twins_equal(stream, gradients, 0.5, 0);
    }
}

}  // namespace
}  // namespace boneage

#include "kernels/nn/linear.h"
#include "tests/support/device_tensors.h"
#include "tests/support/thread_orders.h"

#include <limits>

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::OwnedTensor;
using testing::random_tensor;

TEST(LinearDevice, equals_the_cpu_twin_bit_for_bit_for_lengths_around_the_lanes) {
    Stream stream;
    Workers workers(1);
    for (const int64_t in : {1, 2, 15, 16, 17, 31, 32, 544}) {
        for (const int64_t out : {1, 3, 37}) {
            auto values = random_tensor<float>({5, 1, 1, in}, 1);
            values[0] = std::numeric_limits<float>::quiet_NaN();
            const auto w = random_tensor<float>({out, in, 1, 1}, 2);
            const auto b = random_tensor<float>({out, 1, 1, 1}, 3);
            const DeviceTensor<float> src(stream, values, {in % 3, 1});
            const DeviceTensor<float> weights(stream, w);
            const DeviceTensor<float> bias(stream, b);
            for (const bool relu : {false, true}) {
                OwnedTensor<float> want({5, 1, 1, out});
                linear(workers, std::as_const(values).view(), w.tensor(), b.tensor(), want.view(), relu);
                testing::in_every_thread_order([&, in = in, out = out] {
                    DeviceTensor<float> dst(stream, {5, 1, 1, out}, {2, 0});
                    linear(stream, src.const_view(), weights.const_tensor(), bias.const_tensor(), dst.view(), relu);
                    expect_same(dst.download(), want, std::to_string(in) + " to " + std::to_string(out));
                });
            }
        }
    }
}

}  // namespace
}  // namespace boneage

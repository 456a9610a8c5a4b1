#include "kernels/nn/mirror.h"
#include "tests/support/device_tensors.h"
#include "tests/support/thread_orders.h"

namespace boneage {
namespace {

TEST(MirrorDevice, equals_the_cpu_twin) {
    Stream stream;
    Workers workers(1);
    for (const auto& shape :
         {std::array<int64_t, 4>{1, 1, 1, 1}, {1, 1, 2, 1}, {2, 3, 5, 1}, {1, 2, 601, 1}, {3, 5, 8, 3}, {1, 2, 7, 2}}) {
        const auto values = testing::random_tensor<float>(shape, 4);
        auto want = values;
        mirror(workers, want.view());
        testing::in_every_thread_order([&] {
            for (const auto& layout : testing::kPixelLayouts) {
                testing::DeviceTensor<float> x(stream, values, layout);
                mirror(stream, x.view());
                expect_same(x.download(), want, std::to_string(shape[2]) + " wide");
            }
        });
    }
}

}  // namespace
}  // namespace boneage

#include "kernels/image/finite.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::TwinBatch;

TEST(FindNotFiniteDevice, equals_the_cpu_twin_with_one_such_pixel_in_some_images) {
    Stream stream;
    Workers workers(1);
    testing::Sizes sizes = testing::sizes_with_an_empty_one();
    sizes.insert(sizes.end(), {{40, 640}, {333, 70}});
    const Buffer<uint8_t, Device> device_broken(static_cast<int64_t>(sizes.size()));
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<float> src(stream, sizes, layout);
        for (const float value : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::quiet_NaN(),
                                  std::numeric_limits<float>::max()}) {
            for (const size_t every : {2, 3}) {
                src.fill([&](int64_t h, int64_t w, size_t i) {
                    auto image = testing::random_image<float>(h, w, i, -9, 9);
                    if (h > 0 && i % every == 0) {
                        Rng rng(i);
                        image.view().at(rng.next_u32() % h, rng.next_u32() % w) = value;
                    }
                    return image;
                });
                std::vector<uint8_t> want(sizes.size(), 9);
                find_not_finite(workers, src.const_host(), {want.data(), src.count()});
                find_not_finite(stream, src.const_device(), {device_broken.data(), src.count()});
                EXPECT_EQ(testing::to_host(stream, device_broken), want);
                EXPECT_EQ(std::count(want.begin(), want.end(), 1) > 0, !std::isfinite(value));
            }
        }
    }
}

}  // namespace
}  // namespace boneage

#include "kernels/image/overlay.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::TwinBatch;

template <class P>
class OverlayDeviceTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(OverlayDeviceTest, PixelTypes);

TYPED_TEST(OverlayDeviceTest, equals_the_cpu_twin_on_a_batch_of_awkward_sizes_also_in_place) {
    Stream stream;
    Workers workers(1);
    const testing::Sizes sizes = testing::sizes_with_an_empty_one();
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<TypeParam> src(stream, sizes, layout);
        TwinBatch<uint8_t> mask(stream, sizes, layout);
        TwinBatch<TypeParam> dst(stream, sizes, layout);
        src.fill_random(1);
        // Any value but 0 keeps.
        mask.fill([](int64_t h, int64_t w, size_t i) { return testing::random_image<uint8_t>(h, w, i, 0, 3); });
        for (const TypeParam background : {TypeParam{0}, TypeParam{200}}) {
            overlay<TypeParam>(stream, src.const_device(), mask.const_device(), dst.device(), background);
            overlay<TypeParam>(workers, src.const_host(), mask.const_host(), dst.host(), background);
            dst.expect_twins_equal("overlay");
        }
        overlay<TypeParam>(stream, src.const_device(), mask.const_device(), src.device(), 7);
        overlay<TypeParam>(workers, src.const_host(), mask.const_host(), src.host(), 7);
        src.expect_twins_equal("overlay in place");
    }
}

TYPED_TEST(OverlayDeviceTest, an_empty_batch_launches_nothing) {
    Stream stream;
    EXPECT_NO_THROW(overlay<TypeParam>(stream, {}, {}, {}, 0));
}

}  // namespace
}  // namespace boneage

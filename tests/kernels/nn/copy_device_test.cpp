#include "kernels/base/error.h"
#include "kernels/nn/copy.h"
#include "tests/support/device_tensors.h"

#include <sstream>

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::kPixelLayouts;
using testing::OwnedTensor;
using testing::random_tensor;

template <class... Parts>
std::string text(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return out.str();
}

template <class From, class To>
void expect_copies_equal() {
    Stream stream;
    Workers workers(1);
    for (const auto& shape : {std::array<int64_t, 4>{1, 1, 1, 1},
                              {2, 3, 5, 3},
                              {1, 7, 2, 16},
                              {3, 2, 2, 24},
                              {1, 1, 9, 600},
                              {1, 1, 1, 4096 + 1}}) {
        auto values = random_tensor<From>(shape, 3);
        values[0] = testing::as(std::numeric_limits<float>::quiet_NaN(), From{});
        values[values.size() / 2] = testing::as(1e-40F, From{});
        OwnedTensor<To> want(shape);
        copy<From, To>(workers, std::as_const(values).view(), want.view());
        for (const auto& from : kPixelLayouts) {
            for (const auto& to : kPixelLayouts) {
                const DeviceTensor<From> src(stream, values, from);
                DeviceTensor<To> dst(stream, shape, to);
                copy<From, To>(stream, src.const_view(), dst.view());
                expect_same(dst.download(), want, text(shape[3], " channels from ", from, " to ", to));
            }
        }
    }
}

TEST(CopyDevice, equals_the_cpu_twin_between_all_types_and_slices) {
    expect_copies_equal<float, float>();
    expect_copies_equal<float, bfloat16>();
    expect_copies_equal<bfloat16, float>();
    expect_copies_equal<bfloat16, bfloat16>();
}

TEST(CopyDevice, every_bfloat16_survives_the_way_there_and_back) {
    Stream stream;
    OwnedTensor<bfloat16> all({65536 / 64, 1, 1, 64});
    for (int64_t i = 0; i < all.size(); ++i) {
        all[i] = {static_cast<uint16_t>(i)};
    }
    const DeviceTensor<bfloat16> src(stream, all);
    const DeviceTensor<float> wide(stream, all.shape());
    DeviceTensor<bfloat16> back(stream, all.shape());
    copy<bfloat16, float>(stream, src.const_view(), wide.view());
    copy<float, bfloat16>(stream, wide.const_view(), back.view());
    const auto got = back.download();
    for (int64_t i = 0; i < all.size(); ++i) {
        const int want = std::isnan(to_float(all[i])) ? all[i].bits | 0x0040 : all[i].bits;
        ASSERT_EQ(got[i].bits, want) << i;
    }
}

TEST(CopyDevice, an_empty_batch_copies_nothing) {
    Stream stream;
    const DeviceTensor<float> src(stream, {0, 4, 4, 8});
    DeviceTensor<float> dst(stream, {0, 4, 4, 8});
    copy<float, float>(stream, src.const_view(), dst.view());
    EXPECT_EQ(dst.download().size(), 0);
}

template <class T>
class RegroupDeviceTest : public ::testing::Test {};
using ElementTypes = ::testing::Types<float, bfloat16>;
TYPED_TEST_SUITE(RegroupDeviceTest, ElementTypes);

TYPED_TEST(RegroupDeviceTest, depth_to_space_equals_the_cpu_twin_and_space_to_depth_undoes_it) {
    Stream stream;
    Workers workers(1);
    for (const auto& [n, h, w, c] :
         {std::array<int64_t, 4>{1, 1, 1, 1}, {2, 3, 5, 4}, {3, 4, 2, 8}, {1, 3, 33, 16}, {2, 2, 2, 72}}) {
        const auto values = random_tensor<TypeParam>({n, h, w, 4 * c}, 9);
        const auto groups = [c = c](const auto& view) {
            return std::array{view.channels(0, c), view.channels(c, c), view.channels(2 * c, c),
                              view.channels(3 * c, c)};
        };
        OwnedTensor<TypeParam> want({n, 2 * h, 2 * w, c});
        depth_to_space<TypeParam>(workers, groups(values.view()), want.view());
        for (const auto& layout : kPixelLayouts) {
            const DeviceTensor<TypeParam> src(stream, values, layout);
            DeviceTensor<TypeParam> dst(stream, want.shape(), layout);
            depth_to_space<TypeParam>(stream, groups(src.const_view()), dst.view());
            expect_same(dst.download(), want, text(c, " channels, ", layout));
            DeviceTensor<TypeParam> back(stream, values.shape(), layout);
            space_to_depth<TypeParam>(stream, dst.const_view(), groups(back.view()));
            expect_same(back.download(), values, text("back, ", c, " channels, ", layout));
        }
    }
}

TYPED_TEST(RegroupDeviceTest, add_equals_the_cpu_twin) {
    Stream stream;
    Workers workers(1);
    for (const auto& shape : {std::array<int64_t, 4>{1, 1, 1, 1}, {2, 3, 5, 3}, {1, 7, 2, 16}, {1, 1, 9, 600}}) {
        const auto values = random_tensor<TypeParam>(shape, 1);
        const auto before = random_tensor<TypeParam>(shape, 2);
        auto want = before;
        add<TypeParam>(workers, values.view(), want.view());
        for (const auto& from : kPixelLayouts) {
            for (const auto& to : kPixelLayouts) {
                const DeviceTensor<TypeParam> src(stream, values, from);
                DeviceTensor<TypeParam> dst(stream, before, to);
                add<TypeParam>(stream, src.const_view(), dst.view());
                expect_same(dst.download(), want, text(shape[3], " channels from ", from, " to ", to));
            }
        }
    }
}

}  // namespace
}  // namespace boneage

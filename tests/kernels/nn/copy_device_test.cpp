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
    expect_copies_equal<float, float16>();
    expect_copies_equal<float16, float>();
    expect_copies_equal<float16, float16>();
    expect_copies_equal<float16, bfloat16>();
    expect_copies_equal<bfloat16, float16>();
}

// Every exponent with mantissas around each tie, and everything that is special: on a GPU the conversion is an
// instruction, on a processor a formula.
TEST(CopyDevice, rounds_to_float16_as_the_cpu_twin_does_at_every_exponent) {
    Stream stream;
    Workers workers(1);
    constexpr std::array<uint32_t, 12> kMantissas{0,      1,      0xfff,  0x1000, 0x1001,   0x1fff,
                                                  0x2000, 0x2fff, 0x3000, 0x3001, 0x7fefff, 0x7fffff};
    OwnedTensor<float> src({512, 1, 1, kMantissas.size()});
    for (uint32_t i = 0; i < 512; ++i) {
        for (uint32_t k = 0; k < kMantissas.size(); ++k) {
            src[i * kMantissas.size() + k] = std::bit_cast<float>((i << 23) | kMantissas.at(k));
        }
    }
    OwnedTensor<float16> want(src.shape());
    copy<float, float16>(workers, std::as_const(src).view(), want.view());
    DeviceTensor<float16> dst(stream, src.shape());
    const DeviceTensor<float> on_device(stream, src);
    copy<float, float16>(stream, on_device.const_view(), dst.view());
    const auto got = dst.download();
    for (int64_t i = 0; i < src.size(); ++i) {
        ASSERT_EQ(got[i].bits, want[i].bits) << std::bit_cast<uint32_t>(src[i]);
    }
}

template <class T>
void expect_survival(int quiet) {
    Stream stream;
    OwnedTensor<T> all({65536 / 64, 1, 1, 64});
    for (int64_t i = 0; i < all.size(); ++i) {
        all[i] = {static_cast<uint16_t>(i)};
    }
    const DeviceTensor<T> src(stream, all);
    DeviceTensor<float> wide(stream, all.shape());
    DeviceTensor<T> back(stream, all.shape());
    copy<T, float>(stream, src.const_view(), wide.view());
    copy<float, T>(stream, wide.const_view(), back.view());
    const auto got = back.download();
    for (int64_t i = 0; i < all.size(); ++i) {
        const int want = std::isnan(to_float(all[i])) ? all[i].bits | quiet : all[i].bits;
        ASSERT_EQ(got[i].bits, want) << i;
    }
}

TEST(CopyDevice, every_16_bit_number_survives_the_way_there_and_back) {
    expect_survival<bfloat16>(0x0040);
    expect_survival<float16>(0x0200);
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
using ElementTypes = ::testing::Types<float, bfloat16, float16>;
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

#include "kernels/base/error.h"
#include "kernels/image/morphology.h"
#include "tests/support/thread_orders.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::PaddedImage;
using testing::TwinBatch;

constexpr ElementShape kShapes[] = {ElementShape::rect, ElementShape::cross, ElementShape::ellipse};
constexpr MorphologyOp kOps[] = {MorphologyOp::dilate, MorphologyOp::erode, MorphologyOp::open, MorphologyOp::close};

// 0 and the largest value, the latter with the given probability.
template <class P>
PaddedImage<P> mask(int64_t height, int64_t width, uint64_t seed, float density) {
    Rng rng(seed);
    PaddedImage<P> image(height, width);
    for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
            image.view().at(y, x) = rng.uniform() < density ? std::numeric_limits<P>::max() : P{0};
        }
    }
    return image;
}

template <class P>
class MorphologyDeviceTest : public ::testing::Test {
protected:
    // The batch on both sides, the device's scratch filled with what an earlier call may have left there.
    void compare(TwinBatch<P>& src, TwinBatch<P>& dst, const MorphologyParams& params) {
        const Batch<const P, Device> in = src.const_device();
        const int64_t bytes = morphology_scratch_bytes<P, Device>(params, in.max_height, in.max_width, in.count);
        const auto memory =
            testing::to_device(stream_, std::vector<std::byte>(static_cast<size_t>(bytes), std::byte{0x9b}));
        morphology<P>(stream_, in, dst.device(), params, {memory.data(), bytes});
        morphology<P>(workers_, src.const_host(), dst.host(), params,
                      host_scratch_.bytes(morphology_scratch_bytes<P>(params, in.max_height, in.max_width, 1)));
        dst.expect_twins_equal("op " + std::to_string(static_cast<int>(params.op)) + ", shape " +
                               std::to_string(static_cast<int>(params.shape)) + " " + std::to_string(params.width) +
                               "x" + std::to_string(params.height) + ", " + std::to_string(params.iterations) +
                               " times");
    }

    Stream stream_;
    Workers workers_{1};
    HostScratch host_scratch_;
};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(MorphologyDeviceTest, PixelTypes);

TYPED_TEST(MorphologyDeviceTest, equals_the_cpu_twin_on_a_batch_of_awkward_sizes) {
    const testing::Sizes sizes = testing::sizes_with_an_empty_one();
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<TypeParam> src(this->stream_, sizes, layout);
        TwinBatch<TypeParam> dst(this->stream_, sizes, layout);
        src.fill_random(1);
        this->compare(src, dst, {MorphologyOp::dilate, ElementShape::ellipse, 15, 15, 1});
        this->compare(src, dst, {MorphologyOp::erode, ElementShape::ellipse, 15, 15, 1});
        this->compare(src, dst, {MorphologyOp::open, ElementShape::cross, 5, 3, 1});
        this->compare(src, dst, {MorphologyOp::close, ElementShape::rect, 4, 11, 1});
    }
}

// From one pixel to more than the image, in shared memory and beyond what fits there.
TYPED_TEST(MorphologyDeviceTest, equals_the_cpu_twin_for_odd_even_and_oversized_elements) {
    const testing::Sizes sizes{{37, 53}, {70, 66}, {1, 40}, {40, 1}};
    TwinBatch<TypeParam> src(this->stream_, sizes, testing::kRowLayouts[1]);
    TwinBatch<TypeParam> dst(this->stream_, sizes, testing::kRowLayouts[1]);
    src.fill_random(2);
    const std::vector<std::pair<int64_t, int64_t>> elements{
        {1, 1},  {1, 2},   {2, 1},  {2, 2},  {3, 3},  {4, 4},   {6, 9},   {9, 6},  {1, 21},  {21, 1},  {8, 8},
        {7, 16}, {61, 45}, {5, 64}, {5, 65}, {64, 6}, {90, 70}, {1, 100}, {65, 1}, {300, 3}, {400, 2}, {130, 131}};
    for (const auto& [width, height] : elements) {
        for (const ElementShape shape : kShapes) {
            for (const MorphologyOp op : kOps) {
                const bool two = op == MorphologyOp::open || op == MorphologyOp::close;
                if (!two || width * height < 30) {
                    this->compare(src, dst, {op, shape, width, height, 1});
                }
            }
        }
    }
    this->compare(src, dst, {MorphologyOp::open, ElementShape::ellipse, 70, 71, 1});
    this->compare(src, dst, {MorphologyOp::close, ElementShape::cross, 71, 70, 1});
}

// Tiles of masks are worked on as bits: few pixels are set, so that an element that misses one shows, or few are not.
TYPED_TEST(MorphologyDeviceTest, equals_the_cpu_twin_on_masks) {
    const testing::Sizes sizes{{70, 300}, {130, 129}, {1, 140}, {150, 1}, {0, 0}, {64, 128}};
    const std::vector<std::pair<int64_t, int64_t>> elements{{1, 1},  {2, 2},   {15, 15}, {6, 9},  {63, 3},
                                                            {64, 2}, {41, 41}, {33, 17}, {32, 5}, {1, 63}};
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<TypeParam> src(this->stream_, sizes, layout);
        TwinBatch<TypeParam> dst(this->stream_, sizes, layout);
        for (const float density : {0.005F, 0.995F}) {
            src.fill([&](int64_t h, int64_t w, size_t i) { return mask<TypeParam>(h, w, i, density); });
            for (const auto& [width, height] : elements) {
                for (const ElementShape shape : kShapes) {
                    this->compare(src, dst, {MorphologyOp::dilate, shape, width, height, 1});
                    this->compare(src, dst, {MorphologyOp::erode, shape, width, height, 1});
                }
            }
            this->compare(src, dst, {MorphologyOp::close, ElementShape::ellipse, 15, 15, 2});
            this->compare(src, dst, {MorphologyOp::open, ElementShape::ellipse, 7, 6, 2});
        }
    }
}

// One pixel that is neither 0 nor the largest value, and only its own tile is no mask's any more.
TYPED_TEST(MorphologyDeviceTest, equals_the_cpu_twin_on_images_that_are_masks_in_part) {
    constexpr TypeParam kMost = std::numeric_limits<TypeParam>::max();
    const testing::Sizes sizes{{130, 260}, {64, 300}, {1, 1}};
    TwinBatch<TypeParam> src(this->stream_, sizes, testing::kRowLayouts[0]);
    TwinBatch<TypeParam> dst(this->stream_, sizes, testing::kRowLayouts[0]);
    for (const TypeParam value : {TypeParam{1}, TypeParam{kMost / 2}, TypeParam{kMost / 2 + 1}, TypeParam{kMost - 1}}) {
        for (const float density : {0.0F, 0.3F, 1.0F}) {
            src.fill([&](int64_t h, int64_t w, size_t i) {
                PaddedImage<TypeParam> image = mask<TypeParam>(h, w, i, density);
                image.view().at(h / 3, w / 2) = value;
                return image;
            });
            for (const MorphologyOp op : kOps) {
                this->compare(src, dst, {op, ElementShape::ellipse, 5, 5, 1});
            }
        }
    }
}

TYPED_TEST(MorphologyDeviceTest, equals_the_cpu_twin_for_several_iterations) {
    const testing::Sizes sizes{{64, 41}, {33, 70}, {0, 0}};
    TwinBatch<TypeParam> src(this->stream_, sizes, testing::kRowLayouts[0]);
    TwinBatch<TypeParam> dst(this->stream_, sizes, testing::kRowLayouts[0]);
    src.fill_random(3);
    for (const ElementShape shape : kShapes) {
        for (const int64_t iterations : {2, 3, 4}) {
            for (const MorphologyOp op : kOps) {
                this->compare(src, dst, {op, shape, 5, 4, iterations});
            }
        }
        this->compare(src, dst, {MorphologyOp::close, shape, 3, 66, 3});
    }
}

TYPED_TEST(MorphologyDeviceTest, equals_the_cpu_twin_in_every_order_of_threads) {
    const testing::Sizes sizes{{100, 90}, {31, 65}};
    testing::in_every_thread_order([&] {
        TwinBatch<TypeParam> src(this->stream_, sizes, testing::kRowLayouts[0]);
        TwinBatch<TypeParam> dst(this->stream_, sizes, testing::kRowLayouts[0]);
        for (const bool masks : {false, true}) {
            src.fill_random(4);
            if (masks) {
                src.fill([](int64_t h, int64_t w, size_t i) { return mask<TypeParam>(h, w, i, 0.05F); });
            }
            for (const ElementShape shape : kShapes) {
                this->compare(src, dst, {MorphologyOp::dilate, shape, 15, 15, 1});
                this->compare(src, dst, {MorphologyOp::close, shape, 9, 70, 1});
            }
        }
    });
}

TYPED_TEST(MorphologyDeviceTest, refuses_empty_elements_and_too_little_scratch) {
    TwinBatch<TypeParam> src(this->stream_, {{8, 8}, {8, 8}}, testing::kRowLayouts[0]);
    TwinBatch<TypeParam> dst(this->stream_, {{8, 8}, {8, 8}}, testing::kRowLayouts[0]);
    const MorphologyParams opening{MorphologyOp::open, ElementShape::ellipse, 3, 3, 1};
    const int64_t enough = morphology_scratch_bytes<TypeParam, Device>(opening, 8, 8, 2);
    const Buffer<std::byte, Device> memory(enough);
    const auto run = [&](const MorphologyParams& params, int64_t bytes) {
        morphology<TypeParam>(this->stream_, src.const_device(), dst.device(), params, {memory.data(), bytes});
    };
    EXPECT_THROW(run({MorphologyOp::dilate, ElementShape::rect, 0, 3, 1}, enough), ContractError);
    EXPECT_THROW(run({MorphologyOp::dilate, ElementShape::rect, 3, 3, 0}, enough), ContractError);
    EXPECT_THROW(run(opening, enough - 1), ContractError);
    EXPECT_NO_THROW(morphology<TypeParam>(this->stream_, {}, {}, opening, {}));
}

}  // namespace
}  // namespace boneage

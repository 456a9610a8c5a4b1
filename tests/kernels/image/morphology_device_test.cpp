#include "kernels/base/error.h"
#include "kernels/image/morphology.h"
#include "tests/support/thread_orders.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::TwinBatch;

constexpr ElementShape kShapes[] = {ElementShape::rect, ElementShape::cross, ElementShape::ellipse};
constexpr MorphologyOp kOps[] = {MorphologyOp::dilate, MorphologyOp::erode, MorphologyOp::open, MorphologyOp::close};

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
        src.fill_random(4);
        for (const ElementShape shape : kShapes) {
            this->compare(src, dst, {MorphologyOp::dilate, shape, 15, 15, 1});
            this->compare(src, dst, {MorphologyOp::close, shape, 9, 70, 1});
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

#include "kernels/image/morphology.h"

#include "kernels/base/error.h"
#include "tests/support/images.h"

#include <opencv2/imgproc.hpp>

namespace boneage {
namespace {

using testing::expect_equal;
using testing::PaddedImage;

int opencv_shape(ElementShape shape) {
    switch (shape) {
        case ElementShape::rect:
            return cv::MORPH_RECT;
        case ElementShape::cross:
            return cv::MORPH_CROSS;
        case ElementShape::ellipse:
            return cv::MORPH_ELLIPSE;
    }
    return -1;
}

int opencv_op(MorphologyOp op) {
    switch (op) {
        case MorphologyOp::dilate:
            return cv::MORPH_DILATE;
        case MorphologyOp::erode:
            return cv::MORPH_ERODE;
        case MorphologyOp::open:
            return cv::MORPH_OPEN;
        case MorphologyOp::close:
            return cv::MORPH_CLOSE;
    }
    return -1;
}

constexpr ElementShape kShapes[] = {ElementShape::rect, ElementShape::cross, ElementShape::ellipse};
constexpr MorphologyOp kOps[] = {MorphologyOp::dilate, MorphologyOp::erode, MorphologyOp::open, MorphologyOp::close};

std::string text(const MorphologyParams& p) {
    return "op " + std::to_string(static_cast<int>(p.op)) + ", shape " + std::to_string(static_cast<int>(p.shape)) +
           " " + std::to_string(p.width) + "x" + std::to_string(p.height) + ", " + std::to_string(p.iterations) +
           " times";
}

template <class P>
void compare_with_opencv(PaddedImage<P>& src, const MorphologyParams& params, int threads) {
    Workers workers(threads);
    HostScratch scratch;
    PaddedImage<P> dst(src.view().height, src.view().width, 3);
    morphology<P>(workers, one<const P>(src.view()), one(dst.view()), params,
                  scratch.bytes(morphology_scratch_bytes<P>(params, src.view().height, src.view().width, threads)));
    const cv::Mat element = cv::getStructuringElement(
        opencv_shape(params.shape), {static_cast<int>(params.width), static_cast<int>(params.height)});
    cv::Mat want;
    cv::morphologyEx(src.mat(), want, opencv_op(params.op), element, {-1, -1}, static_cast<int>(params.iterations));
    expect_equal<P>(dst.view(), want, text(params));
    dst.check_padding();
}

template <class P>
class MorphologyTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(MorphologyTest, PixelTypes);

TYPED_TEST(MorphologyTest, equals_opencv_on_awkward_sizes) {
    for (const auto& [height, width] : testing::awkward_sizes()) {
        auto src = testing::random_image<TypeParam>(height, width, 4);
        for (const ElementShape shape : kShapes) {
            for (const MorphologyOp op : kOps) {
                compare_with_opencv<TypeParam>(src, {op, shape, 5, 3, 1}, 1);
                compare_with_opencv<TypeParam>(src, {op, shape, 15, 15, 1}, 2);
            }
        }
    }
}

TYPED_TEST(MorphologyTest, equals_opencv_for_odd_even_and_oversized_elements) {
    auto src = testing::random_image<TypeParam>(37, 53, 5);
    for (const ElementShape shape : kShapes) {
        for (const auto& [width, height] : std::vector<std::pair<int64_t, int64_t>>{{1, 1},
                                                                                    {1, 2},
                                                                                    {2, 1},
                                                                                    {2, 2},
                                                                                    {3, 3},
                                                                                    {4, 4},
                                                                                    {6, 9},
                                                                                    {9, 6},
                                                                                    {1, 21},
                                                                                    {21, 1},
                                                                                    {16, 16},
                                                                                    {61, 45}}) {
            for (const MorphologyOp op : kOps) {
                compare_with_opencv<TypeParam>(src, {op, shape, width, height, 1}, 1);
                compare_with_opencv<TypeParam>(src, {op, shape, width, height, 1}, 4);
            }
        }
    }
}

TYPED_TEST(MorphologyTest, equals_opencv_for_several_iterations) {
    auto src = testing::random_image<TypeParam>(64, 41, 6);
    for (const ElementShape shape : kShapes) {
        for (const int64_t iterations : {2, 3}) {
            for (const MorphologyOp op : kOps) {
                for (const int64_t size : {1, 2, 3, 5}) {
                    compare_with_opencv<TypeParam>(src, {op, shape, size, size, iterations}, 2);
                }
            }
        }
    }
}

TYPED_TEST(MorphologyTest, refuses_empty_elements_and_too_little_scratch) {
    Workers workers(1);
    HostScratch scratch;
    PaddedImage<TypeParam> src(8, 8);
    PaddedImage<TypeParam> dst(8, 8);
    const auto run = [&](const MorphologyParams& params, int64_t missing) {
        morphology<TypeParam>(workers, one<const TypeParam>(src.view()), one(dst.view()), params,
                              scratch.bytes(morphology_scratch_bytes<TypeParam>({}, 8, 8, 1) - missing));
    };
    EXPECT_THROW(run({MorphologyOp::dilate, ElementShape::rect, 0, 3, 1}, 0), ContractError);
    EXPECT_THROW(run({MorphologyOp::dilate, ElementShape::rect, 3, 3, 0}, 0), ContractError);
    EXPECT_THROW(run({}, 1), ContractError);
}

TEST(Element, equals_opencv_for_every_size_up_to_40) {
    for (const ElementShape shape : kShapes) {
        for (int width = 1; width <= 40; ++width) {
            for (int height = 1; height <= 40; ++height) {
                const cv::Mat want = cv::getStructuringElement(opencv_shape(shape), {width, height});
                for (int i = 0; i < height; ++i) {
                    const ElementRow row = element_row({MorphologyOp::dilate, shape, width, height, 1}, i);
                    for (int j = 0; j < width; ++j) {
                        ASSERT_EQ(want.at<uint8_t>(i, j) != 0, j >= row.begin && j < row.end)
                            << width << "x" << height << " row " << i << " column " << j;
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace boneage

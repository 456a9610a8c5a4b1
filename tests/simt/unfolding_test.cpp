// A convolution of one channel and the one of its unfolded rows that cuDNN computes in its place are the same sums.
#include "engine/cudnn/unfolding.h"

#include "tests/support/device_tensors.h"

namespace boneage::cudnn {
namespace {

using testing::DeviceTensor;
using testing::OwnedTensor;

// [k, out_h, out_w] of one image after the other, in double precision; weights [k, kernel_h, kernel_w, c].
template <class T>
std::vector<double> convolved(const ConvGeometry& g, const T* x, const std::vector<float>& weight) {
    const int64_t pixel = g.x_pixel_stride == 0 ? g.c : g.x_pixel_stride;
    std::vector<double> y;
    for (int64_t n = 0; n < g.n; ++n) {
        for (int64_t k = 0; k < g.k; ++k) {
            for (int64_t at = 0; at < g.out_h() * g.out_w(); ++at) {
                double sum = 0;
                for (int64_t tap = 0; tap < g.kernel_h * g.kernel_w; ++tap) {
                    const int64_t v = at / g.out_w() * g.stride_h - g.pad_h + tap / g.kernel_w;
                    const int64_t u = at % g.out_w() * g.stride_w - g.pad_w + tap % g.kernel_w;
                    for (int64_t c = 0; c < g.c && v >= 0 && v < g.h && u >= 0 && u < g.w; ++c) {
                        const size_t w = static_cast<size_t>((k * g.kernel_h * g.kernel_w + tap) * g.c + c);
                        sum += static_cast<double>(weight.at(w)) *
                               static_cast<double>(to_float(x[((n * g.h + v) * g.w + u) * pixel + c]));
                    }
                }
                y.push_back(sum);
            }
        }
    }
    return y;
}

template <class T>
void expect_the_same_convolution(const ConvGeometry& g, plan::DataType type) {
    const auto rows = on_unfolded_rows(g, type);
    ASSERT_TRUE(rows.has_value());
    EXPECT_EQ(rows->out_h(), g.out_h());
    EXPECT_EQ(rows->out_w(), g.out_w());
    const OwnedTensor<T> values = testing::random_tensor<T>({g.n, g.h, g.w, g.c}, 1);
    const OwnedTensor<float> weights = testing::random_tensor<float>({g.k, g.kernel_h, g.kernel_w, 1}, 2);
    const std::vector<float> weight(&weights[0], &weights[0] + weights.size());

    Stream stream;
    const int64_t gap = g.x_pixel_stride == 0 ? 0 : g.x_pixel_stride - 1;
    const DeviceTensor<T> x(stream, values, {gap, 0});
    const plan::Place place{reinterpret_cast<std::byte*>(x.view().data), {g.n, g.h, g.w, 1}, type, gap + 1, 1};
    const GraphInput input(stream, place, g);
    ASSERT_TRUE(input.unfolded());
    const Buffer<std::byte, Device> memory(input.scratch_bytes());
    ScratchCursor<Device> scratch({memory.data(), memory.size()});
    const void* windows = input.ready(scratch);
    std::vector<T> unfolded(static_cast<size_t>(rows->n * rows->h * rows->w * rows->c));
    copy_to_host(stream, unfolded.data(), windows, static_cast<int64_t>(unfolded.size() * sizeof(T)));
    stream.synchronize();

    ConvGeometry dense = g;
    dense.x_pixel_stride = 0;
    const std::vector<double> want = convolved(dense, &values[0], weight);
    const std::vector<double> got = convolved(*rows, unfolded.data(), filled_rows(weight, g.kernel_w));
    testing::expect_close(got, want, 1e-12, "y");
}

TEST(Unfolding, gives_the_same_convolution) {
    ConvGeometry first_of_resnet{.n = 2, .h = 19, .w = 26, .c = 1, .k = 3, .kernel_h = 7, .kernel_w = 7};
    first_of_resnet.stride_h = first_of_resnet.stride_w = 2;
    first_of_resnet.pad_h = first_of_resnet.pad_w = 3;
    expect_the_same_convolution<bfloat16>(first_of_resnet, plan::DataType::bf16);
    expect_the_same_convolution<float16>(first_of_resnet, plan::DataType::f16);

    ConvGeometry first_of_unet{.n = 3, .h = 8, .w = 12, .c = 1, .k = 4, .kernel_h = 3, .kernel_w = 3};
    first_of_unet.pad_h = first_of_unet.pad_w = 1;
    first_of_unet.x_pixel_stride = 5;
    expect_the_same_convolution<bfloat16>(first_of_unet, plan::DataType::bf16);
    expect_the_same_convolution<float16>(first_of_unet, plan::DataType::f16);
}

TEST(Unfolding, is_for_one_channel_in_16_bits_and_windows_that_fit) {
    const ConvGeometry one{.n = 1, .h = 16, .w = 16, .c = 1, .k = 8, .kernel_h = 3, .kernel_w = 3};
    EXPECT_TRUE(on_unfolded_rows(one, plan::DataType::bf16));
    EXPECT_FALSE(on_unfolded_rows(one, plan::DataType::f32));
    ConvGeometry three = one;
    three.c = 3;
    EXPECT_FALSE(on_unfolded_rows(three, plan::DataType::bf16));
    ConvGeometry wide = one;
    wide.kernel_h = wide.kernel_w = 9;
    EXPECT_FALSE(on_unfolded_rows(wide, plan::DataType::bf16));
}

TEST(Unfolding, leaves_other_inputs_where_they_lie) {
    Stream stream;
    const DeviceTensor<float> x(stream, {1, 4, 4, 1});
    const plan::Place place{reinterpret_cast<std::byte*>(x.view().data), {1, 4, 4, 1}, plan::DataType::f32, 1, 1};
    const GraphInput input(stream, place, {.n = 1, .h = 4, .w = 4, .c = 1, .k = 8, .kernel_h = 3, .kernel_w = 3});
    EXPECT_EQ(input.scratch_bytes(), 0);
    ScratchCursor<Device> nothing({nullptr, 0});
    EXPECT_EQ(input.ready(nothing), place.data);
}

}  // namespace
}  // namespace boneage::cudnn

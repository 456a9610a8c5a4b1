#include "kernels/nn/concat.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"

#include <algorithm>
#include <cstring>

namespace boneage {
namespace {

template <class T>
void copy(const T* from, int64_t count, T* to) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
}

}  // namespace

template <class T>
void copy_to_channels(Workers& workers, Tensor<const T, Host> src, Tensor<T, Host> dst, int64_t first_channel) {
    const int64_t from = src.shape[3];
    const int64_t to = dst.shape[3];
    expects(std::equal(src.shape.begin(), src.shape.begin() + 3, dst.shape.begin()),
            "src and dst must agree in all but their channels");
    expects(first_channel >= 0 && first_channel + from <= to, "src's channels must fit into dst");
    // Whole images at once where there is only one pixel (channel-blocked activations look like that), else pixels.
    const int64_t pixels = src.size() / std::max<int64_t>(from, 1);
    const int64_t grain = std::max<int64_t>(1, 4096 / std::max<int64_t>(from, 1));
    workers.parallel_for(pixels, grain, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
            copy(src.data + p * from, from, dst.data + p * to + first_channel);
        }
    });
}

template <class T>
void depth_to_space(Workers& workers, Tensor<const T, Host> src, Tensor<T, Host> dst, DepthOrder order) {
    const auto [n, out_height, out_width, channels] = dst.shape;
    const int64_t height = out_height / 2;
    const int64_t width = out_width / 2;
    const bool planar = order == DepthOrder::planar;
    expects(out_height % 2 == 0 && out_width % 2 == 0, "dst must have even sides");
    expects(
        src.shape == (planar ? std::array{4 * n, height, width, channels} : std::array{n, height, width, 4 * channels}),
        "src must hold four groups of dst's channels at half its size");
    // Distance between the groups of a pixel, between the pixels of a group, and between images.
    const int64_t group_step = planar ? height * width * channels : channels;
    const int64_t pixel_step = planar ? channels : 4 * channels;
    const int64_t row_step = width * pixel_step;
    const int64_t image_step = 4 * height * width * channels;
    const int64_t c = channels;
    const int64_t rows = out_height;
    const int64_t columns = width;
    workers.parallel_for(n * rows, 8, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const int64_t y = row % rows;
            const T* left = src.data + row / rows * image_step + y / 2 * row_step + y % 2 * 2 * group_step;
            T* out = dst.data + row * 2 * columns * c;
            for (int64_t x = 0; x < columns; ++x) {
                copy(left + x * pixel_step, c, out + 2 * x * c);
                copy(left + x * pixel_step + group_step, c, out + (2 * x + 1) * c);
            }
        }
    });
}

template void copy_to_channels(Workers&, Tensor<const float, Host>, Tensor<float, Host>, int64_t);
template void copy_to_channels(Workers&, Tensor<const bfloat16, Host>, Tensor<bfloat16, Host>, int64_t);
template void depth_to_space(Workers&, Tensor<const float, Host>, Tensor<float, Host>, DepthOrder);
template void depth_to_space(Workers&, Tensor<const bfloat16, Host>, Tensor<bfloat16, Host>, DepthOrder);

}  // namespace boneage

#include "kernels/nn/pool.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "kernels/nn/convert_math.h"

#include <algorithm>
#include <limits>

namespace boneage {
namespace {

// Channels are done in blocks whose running maxima stay in registers while the window's pixels pass by.
constexpr int64_t kBlock = 32;

// `lanes` is a constant for whole blocks, so that the inner loops unroll into vector code.
template <class T, class Lanes>
void max_of_window(const T* corner, int64_t rows, int64_t columns, int64_t row_stride, int64_t pixel_stride,
                   Lanes lanes, T* out) {
    float best[kBlock];
    for (int64_t k = 0; k < lanes; ++k) {
        best[k] = -std::numeric_limits<float>::infinity();
    }
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
            const T* pixel = corner + i * row_stride + j * pixel_stride;
            for (int64_t k = 0; k < lanes; ++k) {
                const float value = to_float(pixel[k]);
                best[k] = best[k] >= value || best[k] != best[k] ? best[k] : value;
            }
        }
    }
    for (int64_t k = 0; k < lanes; ++k) {
        out[k] = from_float<T>(best[k]);
    }
}

template <class T>
void max_pool_row(const T* image, int64_t height, int64_t width, int64_t channels, int64_t y, int64_t out_width,
                  const PoolParams& params, T* out) {
    const int64_t top = y * params.stride - params.padding;
    const int64_t y0 = std::max<int64_t>(top, 0);
    const int64_t rows = std::min(top + params.size, height) - y0;
    for (int64_t x = 0; x < out_width; ++x) {
        const int64_t left = x * params.stride - params.padding;
        const int64_t x0 = std::max<int64_t>(left, 0);
        const int64_t columns = std::min(left + params.size, width) - x0;
        const T* corner = image + (y0 * width + x0) * channels;
        int64_t c = 0;
        for (; c + kBlock <= channels; c += kBlock) {
            max_of_window(corner + c, rows, columns, width * channels, channels,
                          std::integral_constant<int64_t, kBlock>{}, out + x * channels + c);
        }
        for (; c + 8 <= channels; c += 8) {
            max_of_window(corner + c, rows, columns, width * channels, channels, std::integral_constant<int64_t, 8>{},
                          out + x * channels + c);
        }
        if (c < channels) {
            max_of_window(corner + c, rows, columns, width * channels, channels, channels - c, out + x * channels + c);
        }
    }
}

}  // namespace

template <class T>
void max_pool(Workers& workers, Tensor<const T, Host> src, Tensor<T, Host> dst, const PoolParams& params) {
    const auto [n, height, width, channels] = src.shape;
    expects(params.size >= 1 && params.stride >= 1 && params.padding >= 0 && 2 * params.padding <= params.size,
            "window and stride must be at least 1, padding at most half a window");
    const int64_t out_height = pooled_size(height, params);
    const int64_t out_width = pooled_size(width, params);
    expects(out_height >= 1 && out_width >= 1, "no window fits the image");
    expects(dst.shape == std::array{n, out_height, out_width, channels}, "dst must have the pooled size");
    const int64_t in_image = height * width * channels;
    workers.parallel_for(n * out_height, 4, [&, in_image](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            max_pool_row(src.data + row / out_height * in_image, src.shape[1], src.shape[2], src.shape[3],
                         row % out_height, out_width, params, dst.data + row * out_width * src.shape[3]);
        }
    });
}

template <class T>
void global_average_pool(Workers& workers, Tensor<const T, Host> src, Tensor<T, Host> dst) {
    const int64_t pixels = src.shape[1] * src.shape[2];
    const int64_t channels = src.shape[3];
    expects(pixels >= 1, "src must have pixels");
    expects(dst.shape == std::array<int64_t, 4>{src.shape[0], 1, 1, channels}, "dst must be [n, 1, 1, c]");
    const int64_t blocks = ceil_div(channels, kBlock);
    workers.parallel_for(src.shape[0] * blocks, 4, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t first = task % blocks * kBlock;
            const int64_t lanes = std::min(kBlock, channels - first);
            const T* pixel = src.at(task / blocks) + first;
            double sums[kBlock] = {};
            for (int64_t p = 0; p < pixels; ++p, pixel += channels) {
                for (int64_t k = 0; k < lanes; ++k) {
                    sums[k] += static_cast<double>(to_float(pixel[k]));
                }
            }
            T* out = dst.at(task / blocks) + first;
            for (int64_t k = 0; k < lanes; ++k) {
                out[k] = from_float<T>(static_cast<float>(sums[k] / static_cast<double>(pixels)));
            }
        }
    });
}

template void max_pool(Workers&, Tensor<const float, Host>, Tensor<float, Host>, const PoolParams&);
template void max_pool(Workers&, Tensor<const bfloat16, Host>, Tensor<bfloat16, Host>, const PoolParams&);
template void global_average_pool(Workers&, Tensor<const float, Host>, Tensor<float, Host>);
template void global_average_pool(Workers&, Tensor<const bfloat16, Host>, Tensor<bfloat16, Host>);

}  // namespace boneage

#include "kernels/nn/pool.h"

#include "kernels/base/error.h"
#include "kernels/base/lanes.h"
#include "kernels/base/numeric.h"
#include "kernels/nn/convert_math.h"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace boneage {
namespace {

constexpr int64_t kBlock = 32;  // channels that are averaged together

// The maxima of `count` channels, the lanes of Floats or some of them: then the others stand idle. As vectors, because
// g++ 12 compares lane by lane where it is to find them itself.
template <class Floats, class T, class Count>
void max_of_window(const T* corner, int64_t rows, int64_t columns, int64_t row_stride, int64_t pixel_stride,
                   Count count, T* out) {
    Floats best = Floats{} - std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
            const T* pixel = corner + i * row_stride + j * pixel_stride;
            Floats value{};
            for (int64_t k = 0; k < count; ++k) {
                value[k] = to_float(pixel[k]);
            }
            // The comparison is false for a NaN in `value`, which is taken then, and kept.
            best = ((best >= value) | (best != best)) ? best : value;
        }
    }
    for (int64_t k = 0; k < count; ++k) {
        out[k] = from_float<T>(best[k]);
    }
}

template <class T>
void max_pool_row(const Activations<const T, Host>& src, const Activations<T, Host>& dst, const PoolParams& params,
                  int64_t image, int64_t y) {
    const int64_t top = y * params.stride - params.padding;
    const int64_t y0 = std::max<int64_t>(top, 0);
    const int64_t rows = std::min(top + params.size, src.h) - y0;
    const int64_t step = src.pixel_stride;
    for (int64_t x = 0; x < dst.w; ++x) {
        const int64_t left = x * params.stride - params.padding;
        const int64_t x0 = std::max<int64_t>(left, 0);
        const int64_t columns = std::min(left + params.size, src.w) - x0;
        const T* corner = src.pixel(image, y0, x0);
        T* out = dst.pixel(image, y, x);
        int64_t c = 0;
        const auto take = [&]<class Floats>(std::type_identity<Floats>, auto count) {
            max_of_window<Floats>(corner + c, rows, columns, src.w * step, step, count, out + c);
            c += count;
        };
        constexpr std::integral_constant<int64_t, kLanes> all;
        constexpr std::integral_constant<int64_t, kLanes / 2> half;
        while (c + all <= src.c) {
            take(std::type_identity<Lanes>{}, all);
        }
        if (c + half <= src.c) {
            take(std::type_identity<HalfLanes>{}, half);
        }
        if (c < src.c) {
            take(std::type_identity<HalfLanes>{}, src.c - c);
        }
    }
}

}  // namespace

template <class T>
void max_pool(Workers& workers, Activations<const T, Host> src, Activations<T, Host> dst, const PoolParams& params) {
    expects(params.size >= 1 && params.stride >= 1 && params.padding >= 0 && 2 * params.padding <= params.size,
            "window and stride must be at least 1, padding at most half a window");
    const int64_t height = pooled_size(src.h, params);
    const int64_t width = pooled_size(src.w, params);
    expects(height >= 1 && width >= 1, "no window fits the image");
    expects(same_shape(dst, Activations<T, Host>(nullptr, src.n, height, width, src.c)),
            "dst must have the pooled size");
    workers.parallel_for(src.n * height, 4, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            max_pool_row(src, dst, params, row / dst.h, row % dst.h);
        }
    });
}

template <class T>
void global_average_pool(Workers& workers, Activations<const T, Host> src, Activations<float, Host> dst) {
    const int64_t pixels = src.h * src.w;
    expects(pixels >= 1, "src must have pixels");
    expects(same_shape(dst, Activations<float, Host>(nullptr, src.n, 1, 1, src.c)), "dst must be [n, 1, 1, c]");
    const int64_t blocks = ceil_div(src.c, kBlock);
    workers.parallel_for(src.n * blocks, 4, [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; ++task) {
            const int64_t image = task / blocks;
            const int64_t first = task % blocks * kBlock;
            const int64_t lanes = std::min(kBlock, src.c - first);
            const T* pixel = src.pixel(image, 0, 0) + first;
            double sums[kBlock] = {};
            for (int64_t p = 0; p < pixels; ++p, pixel += src.pixel_stride) {
                for (int64_t k = 0; k < lanes; ++k) {
                    sums[k] += static_cast<double>(to_float(pixel[k]));
                }
            }
            float* out = dst.pixel(image, 0, 0) + first;
            for (int64_t k = 0; k < lanes; ++k) {
                out[k] = static_cast<float>(sums[k] / static_cast<double>(pixels));
            }
        }
    });
}

template void max_pool(Workers&, Activations<const float, Host>, Activations<float, Host>, const PoolParams&);
template void max_pool(Workers&, Activations<const bfloat16, Host>, Activations<bfloat16, Host>, const PoolParams&);
template void global_average_pool(Workers&, Activations<const float, Host>, Activations<float, Host>);
template void global_average_pool(Workers&, Activations<const bfloat16, Host>, Activations<float, Host>);
template void max_pool(Workers&, Activations<const float16, Host>, Activations<float16, Host>, const PoolParams&);
template void global_average_pool(Workers&, Activations<const float16, Host>, Activations<float, Host>);

}  // namespace boneage

#include "kernels/nn/pool_backward.h"

#include "kernels/nn/pool_backward_math.h"

#include <algorithm>
#include <limits>

namespace boneage {
namespace {

// Channels are done in blocks whose values stay in registers while the window's pixels pass by.
constexpr int64_t kBlock = 32;

// Calls body(first, lanes) for the blocks of `channels`; `lanes` is a constant for whole ones, so that loops over it
// unroll into vector code.
template <class Body>
void for_each_block(int64_t channels, const Body& body) {
    int64_t c = 0;
    for (; c + kBlock <= channels; c += kBlock) {
        body(c, std::integral_constant<int64_t, kBlock>{});
    }
    for (; c + 8 <= channels; c += 8) {
        body(c, std::integral_constant<int64_t, 8>{});
    }
    if (c < channels) {
        body(c, channels - c);
    }
}

template <class T>
void max_pool_row(const Activations<const T, Host>& src, const Activations<T, Host>& dst,
                  const Activations<uint8_t, Host>& positions, const PoolParams& params, int64_t image, int64_t y) {
    const int64_t top = y * params.stride - params.padding;
    const int64_t first_row = std::max<int64_t>(top, 0);
    const int64_t end_row = std::min(top + params.size, src.h);
    for (int64_t x = 0; x < dst.w; ++x) {
        const int64_t left = x * params.stride - params.padding;
        const int64_t first_column = std::max<int64_t>(left, 0);
        const int64_t end_column = std::min(left + params.size, src.w);
        for_each_block(src.c, [&](int64_t c, auto lanes) {
            float best[kBlock];
            int32_t place[kBlock];
            const auto first_place = static_cast<int32_t>((first_row - top) * params.size + first_column - left);
            for (int64_t k = 0; k < lanes; ++k) {
                best[k] = -std::numeric_limits<float>::infinity();
                place[k] = first_place;
            }
            for (int64_t v = first_row; v < end_row; ++v) {
                for (int64_t u = first_column; u < end_column; ++u) {
                    const T* pixel = src.pixel(image, v, u) + c;
                    const auto here = static_cast<int32_t>((v - top) * params.size + u - left);
                    for (int64_t k = 0; k < lanes; ++k) {
                        const float value = to_float(pixel[k]);
                        const bool takes = takes_the_lead(value, best[k]);
                        best[k] = takes ? value : best[k];
                        place[k] = takes ? here : place[k];
                    }
                }
            }
            T* out = dst.pixel(image, y, x) + c;
            uint8_t* out_place = positions.pixel(image, y, x) + c;
            for (int64_t k = 0; k < lanes; ++k) {
                out[k] = from_float<T>(best[k]);
                out_place[k] = static_cast<uint8_t>(place[k]);
            }
        });
    }
}

template <class T>
void max_pool_backward_row(const Activations<const T, Host>& d_dst, const Activations<const uint8_t, Host>& positions,
                           const Activations<T, Host>& d_src, const PoolParams& params, bool accumulate, int64_t image,
                           int64_t y) {
    const WindowRange rows = windows_of(y, d_dst.h, params);
    for (int64_t x = 0; x < d_src.w; ++x) {
        const WindowRange columns = windows_of(x, d_dst.w, params);
        for_each_block(d_src.c, [&](int64_t c, auto lanes) {
            float sum[kBlock] = {};
            for (int64_t v = rows.first; v < rows.end; ++v) {
                for (int64_t u = columns.first; u < columns.end; ++u) {
                    const int64_t i = y + params.padding - v * params.stride;
                    const int64_t j = x + params.padding - u * params.stride;
                    const auto place = static_cast<uint8_t>(i * params.size + j);
                    const T* gradient = d_dst.pixel(image, v, u) + c;
                    const uint8_t* winner = positions.pixel(image, v, u) + c;
                    for (int64_t k = 0; k < lanes; ++k) {
                        sum[k] += winner[k] == place ? to_float(gradient[k]) : 0.0F;
                    }
                }
            }
            T* out = d_src.pixel(image, y, x) + c;
            for (int64_t k = 0; k < lanes; ++k) {
                out[k] = written(out[k], sum[k], accumulate);
            }
        });
    }
}

}  // namespace

template <class T>
void max_pool_with_positions(Workers& workers, Activations<const T, Host> src, Activations<T, Host> dst,
                             Activations<uint8_t, Host> positions, const PoolParams& params) {
    check_max_pool<const T, Host>(src, positions, params);
    expects(same_shape(dst, positions), "dst and positions must have the same shape");
    workers.parallel_for(dst.n * dst.h, 4, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            max_pool_row(src, dst, positions, params, row / dst.h, row % dst.h);
        }
    });
}

template <class T>
void max_pool_backward(Workers& workers, Activations<const T, Host> d_dst, Activations<const uint8_t, Host> positions,
                       Activations<T, Host> d_src, const PoolParams& params, Write write) {
    check_max_pool<T, Host>(d_src, positions, params);
    expects(same_shape(d_dst, positions), "d_dst and positions must have the same shape");
    workers.parallel_for(d_src.n * d_src.h, 4, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            max_pool_backward_row(d_dst, positions, d_src, params, write == Write::accumulate, row / d_src.h,
                                  row % d_src.h);
        }
    });
}

template <class T>
void global_average_pool_backward(Workers& workers, Activations<const float, Host> d_dst, Activations<T, Host> d_src,
                                  Write write) {
    const int64_t pixels = d_src.h * d_src.w;
    expects(pixels >= 1, "d_src must have pixels");
    expects(same_shape(d_dst, Activations<float, Host>(nullptr, d_src.n, 1, 1, d_src.c)), "d_dst must be [n, 1, 1, c]");
    const auto share = static_cast<float>(pixels);
    const bool accumulate = write == Write::accumulate;
    const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(d_src.c, 1));
    workers.parallel_for(d_src.pixels(), grain, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
            const float* gradient = d_dst.pixel(p / pixels, 0, 0);
            T* out = d_src.data + p * d_src.pixel_stride;
#pragma GCC ivdep
            for (int64_t k = 0; k < d_src.c; ++k) {
                out[k] = written(out[k], gradient[k] / share, accumulate);
            }
        }
    });
}

template void max_pool_with_positions(Workers&, Activations<const float, Host>, Activations<float, Host>,
                                      Activations<uint8_t, Host>, const PoolParams&);
template void max_pool_with_positions(Workers&, Activations<const bfloat16, Host>, Activations<bfloat16, Host>,
                                      Activations<uint8_t, Host>, const PoolParams&);
template void max_pool_backward(Workers&, Activations<const float, Host>, Activations<const uint8_t, Host>,
                                Activations<float, Host>, const PoolParams&, Write);
template void max_pool_backward(Workers&, Activations<const bfloat16, Host>, Activations<const uint8_t, Host>,
                                Activations<bfloat16, Host>, const PoolParams&, Write);
template void global_average_pool_backward(Workers&, Activations<const float, Host>, Activations<float, Host>, Write);
template void global_average_pool_backward(Workers&, Activations<const float, Host>, Activations<bfloat16, Host>,
                                           Write);
template void max_pool_with_positions(Workers&, Activations<const float16, Host>, Activations<float16, Host>,
                                      Activations<uint8_t, Host>, const PoolParams&);
template void max_pool_backward(Workers&, Activations<const float16, Host>, Activations<const uint8_t, Host>,
                                Activations<float16, Host>, const PoolParams&, Write);
template void global_average_pool_backward(Workers&, Activations<const float, Host>, Activations<float16, Host>, Write);

}  // namespace boneage

#include "kernels/nn/copy.h"

#include "kernels/base/error.h"
#include "kernels/nn/convert_math.h"

#include <algorithm>
#include <cstring>

namespace boneage {
namespace {

template <class From, class To>
void copy_run(const From* from, int64_t count, To* to) {
    if constexpr (std::is_same_v<From, To>) {
        std::memcpy(to, from, static_cast<size_t>(count) * sizeof(To));
    } else {
        for (int64_t i = 0; i < count; ++i) {
            to[i] = from_float<To>(to_float(from[i]));
        }
    }
}

// A pixel of exactly `Channels` channels, so that the copy is a few vector moves; 0: any number.
template <int64_t Channels, class T>
void double_row(const T* even, const T* odd, int64_t from_step, int64_t width, int64_t channels, int64_t to_step,
                T* to) {
    const int64_t count = Channels > 0 ? Channels : channels;
    for (int64_t x = 0; x < width; ++x) {
        copy_run(even + x * from_step, count, to + 2 * x * to_step);
        copy_run(odd + x * from_step, count, to + (2 * x + 1) * to_step);
    }
}

}  // namespace

template <class From, class To>
void copy(Workers& workers, Activations<const From, Host> src, Activations<To, Host> dst) {
    expects(same_shape(src, dst), "src and dst must have the same shape");
    if (src.dense() && dst.dense()) {
        workers.parallel_for(src.size(), 1 << 14, [&](int64_t begin, int64_t end) {
            copy_run(src.data + begin, end - begin, dst.data + begin);
        });
        return;
    }
    const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(src.c, 1));
    workers.parallel_for(src.pixels(), grain, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
            copy_run(src.data + p * src.pixel_stride, src.c, dst.data + p * dst.pixel_stride);
        }
    });
}

template <class T>
void depth_to_space(Workers& workers, const std::array<Activations<const T, Host>, 4>& groups,
                    Activations<T, Host> dst) {
    const auto& first = groups[0];
    for (const auto& group : groups) {
        expects(same_shape(group, first) && group.pixel_stride == first.pixel_stride, "groups must look alike");
    }
    expects(same_shape(dst, Activations<T, Host>(nullptr, first.n, 2 * first.h, 2 * first.w, first.c)),
            "dst must be twice as high and wide as the groups");
    workers.parallel_for(dst.n * dst.h, 8, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const int64_t i = row / dst.h;
            const int64_t y = row % dst.h;
            const T* even = groups[static_cast<size_t>(y % 2 * 2)].pixel(i, y / 2, 0);
            const T* odd = groups[static_cast<size_t>(y % 2 * 2 + 1)].pixel(i, y / 2, 0);
            T* to = dst.pixel(i, y, 0);
            if (dst.c == 8) {
                double_row<8>(even, odd, first.pixel_stride, first.w, 8, dst.pixel_stride, to);
            } else if (dst.c == 16) {
                double_row<16>(even, odd, first.pixel_stride, first.w, 16, dst.pixel_stride, to);
            } else {
                double_row<0>(even, odd, first.pixel_stride, first.w, dst.c, dst.pixel_stride, to);
            }
        }
    });
}

template void copy(Workers&, Activations<const float, Host>, Activations<float, Host>);
template void copy(Workers&, Activations<const float, Host>, Activations<bfloat16, Host>);
template void copy(Workers&, Activations<const bfloat16, Host>, Activations<float, Host>);
template void copy(Workers&, Activations<const bfloat16, Host>, Activations<bfloat16, Host>);
template void depth_to_space(Workers&, const std::array<Activations<const float, Host>, 4>&, Activations<float, Host>);
template void depth_to_space(Workers&, const std::array<Activations<const bfloat16, Host>, 4>&,
                             Activations<bfloat16, Host>);

}  // namespace boneage

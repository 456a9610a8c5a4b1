#include "kernels/nn/copy.h"

#include "kernels/base/error.h"
#include "kernels/nn/convert_math.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

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

// Calls body(channels), with the commonest numbers as constants, so that a pixel's copy is a few vector moves.
template <class Body>
void with_channels(int64_t channels, const Body& body) {
    if (channels == 8) {
        body(std::integral_constant<int64_t, 8>{});
    } else if (channels == 16) {
        body(std::integral_constant<int64_t, 16>{});
    } else {
        body(channels);
    }
}

// Checks that `doubled` is what the four groups make together.
template <class Group, class Doubled>
void check_groups(const std::array<Group, 4>& groups, const Doubled& doubled) {
    const auto& first = groups[0];
    for (const auto& group : groups) {
        expects(same_shape(group, first) && group.pixel_stride == first.pixel_stride, "groups must look alike");
    }
    expects(same_shape(doubled, Doubled(nullptr, first.n, 2 * first.h, 2 * first.w, first.c)),
            "the whole must be twice as high and wide as the groups");
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
void add(Workers& workers, Activations<const T, Host> src, Activations<T, Host> dst) {
    expects(same_shape(src, dst), "src and dst must have the same shape");
    const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(src.c, 1));
    workers.parallel_for(src.pixels(), grain, [&](int64_t begin, int64_t end) {
        const auto add_run = [](const T* __restrict from, int64_t count, T* __restrict to) {
            for (int64_t k = 0; k < count; ++k) {
                to[k] = from_float<T>(to_float(to[k]) + to_float(from[k]));
            }
        };
        if (src.dense() && dst.dense()) {
            add_run(src.data + begin * src.c, (end - begin) * src.c, dst.data + begin * src.c);
            return;
        }
        for (int64_t p = begin; p < end; ++p) {
            add_run(src.data + p * src.pixel_stride, src.c, dst.data + p * dst.pixel_stride);
        }
    });
}

template <class T>
void depth_to_space(Workers& workers, const std::array<Activations<const T, Host>, 4>& groups,
                    Activations<T, Host> dst) {
    check_groups(groups, dst);
    const auto& first = groups[0];
    workers.parallel_for(dst.n * dst.h, 8, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const int64_t i = row / dst.h;
            const int64_t y = row % dst.h;
            const T* even = groups[static_cast<size_t>(y % 2 * 2)].pixel(i, y / 2, 0);
            const T* odd = groups[static_cast<size_t>(y % 2 * 2 + 1)].pixel(i, y / 2, 0);
            T* to = dst.pixel(i, y, 0);
            with_channels(dst.c, [&](auto channels) {
                for (int64_t x = 0; x < first.w; ++x) {
                    copy_run(even + x * first.pixel_stride, channels, to + 2 * x * dst.pixel_stride);
                    copy_run(odd + x * first.pixel_stride, channels, to + (2 * x + 1) * dst.pixel_stride);
                }
            });
        }
    });
}

template <class T>
void space_to_depth(Workers& workers, Activations<const T, Host> src,
                    const std::array<Activations<T, Host>, 4>& groups) {
    check_groups(groups, src);
    const auto& first = groups[0];
    workers.parallel_for(src.n * src.h, 8, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const int64_t i = row / src.h;
            const int64_t y = row % src.h;
            const T* from = src.pixel(i, y, 0);
            T* even = groups[static_cast<size_t>(y % 2 * 2)].pixel(i, y / 2, 0);
            T* odd = groups[static_cast<size_t>(y % 2 * 2 + 1)].pixel(i, y / 2, 0);
            with_channels(src.c, [&](auto channels) {
                for (int64_t x = 0; x < first.w; ++x) {
                    copy_run(from + 2 * x * src.pixel_stride, channels, even + x * first.pixel_stride);
                    copy_run(from + (2 * x + 1) * src.pixel_stride, channels, odd + x * first.pixel_stride);
                }
            });
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
template void add(Workers&, Activations<const float, Host>, Activations<float, Host>);
template void add(Workers&, Activations<const bfloat16, Host>, Activations<bfloat16, Host>);
template void space_to_depth(Workers&, Activations<const float, Host>, const std::array<Activations<float, Host>, 4>&);
template void space_to_depth(Workers&, Activations<const bfloat16, Host>,
                             const std::array<Activations<bfloat16, Host>, 4>&);
template void copy(Workers&, Activations<const float, Host>, Activations<float16, Host>);
template void copy(Workers&, Activations<const float16, Host>, Activations<float, Host>);
template void copy(Workers&, Activations<const float16, Host>, Activations<float16, Host>);
template void copy(Workers&, Activations<const bfloat16, Host>, Activations<float16, Host>);
template void copy(Workers&, Activations<const float16, Host>, Activations<bfloat16, Host>);
template void depth_to_space(Workers&, const std::array<Activations<const float16, Host>, 4>&,
                             Activations<float16, Host>);
template void add(Workers&, Activations<const float16, Host>, Activations<float16, Host>);
template void space_to_depth(Workers&, Activations<const float16, Host>,
                             const std::array<Activations<float16, Host>, 4>&);

}  // namespace boneage

// What the network kernels work on: images of feature channels, possibly a channel slice of wider ones.
#pragma once

#include "kernels/base/view.h"

namespace boneage {

// NHWC, with pixels `pixel_stride` elements apart: element (i, y, x, k) lies at
// data + ((i * h + y) * w + x) * pixel_stride + k. A value stored in blocks of b channels is, image by image, an
// Activations of its c / b planes with b channels each.
template <class T, class Space>
struct Activations {
    T* data = nullptr;
    int64_t n = 0;
    int64_t h = 1;
    int64_t w = 1;
    int64_t c = 1;
    int64_t pixel_stride = 0;

    constexpr Activations() = default;
    constexpr Activations(T* data_, int64_t n_, int64_t h_, int64_t w_, int64_t c_, int64_t pixel_stride_)
        : data(data_), n(n_), h(h_), w(w_), c(c_), pixel_stride(pixel_stride_) {}
    constexpr Activations(T* data_, int64_t n_, int64_t h_, int64_t w_, int64_t c_)
        : Activations(data_, n_, h_, w_, c_, c_) {}

    constexpr operator Activations<const T, Space>() const requires(!std::is_const_v<T>) {
        return {data, n, h, w, c, pixel_stride};
    }

    [[nodiscard]] constexpr int64_t pixels() const { return n * h * w; }
    [[nodiscard]] constexpr int64_t size() const { return pixels() * c; }
    [[nodiscard]] constexpr bool dense() const { return pixel_stride == c; }
    [[nodiscard]] constexpr T* pixel(int64_t i, int64_t y, int64_t x) const {
        return data + ((i * h + y) * w + x) * pixel_stride;
    }
    // The channels [first, first + count).
    [[nodiscard]] constexpr Activations channels(int64_t first, int64_t count) const {
        return {data + first, n, h, w, count, pixel_stride};
    }
};

template <class A, class B, class Space>
constexpr bool same_shape(const Activations<A, Space>& a, const Activations<B, Space>& b) {
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

}  // namespace boneage

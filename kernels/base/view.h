// Non-owning views of images and tensors, and the two memory spaces they may live in.
//
// Host and device memory are different types: a function that takes Image<T, Device> cannot be handed host memory.
// Views are plain structs of pointers and sizes, so kernels receive them by value. Order of sizes is h, w, c.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace boneage {

struct Host {};    // memory the CPU dereferences
struct Device {};  // memory of one CUDA device

class Stream;  // a CUDA stream; defined by CUDA builds, only named in contracts here

// A grey image [height, width]; row y starts at data + y * stride. `stride` counts elements and is >= width.
template <class T, class Space>
struct Image {
    T* data = nullptr;
    int64_t height = 0;
    int64_t width = 0;
    int64_t stride = 0;

    constexpr Image() = default;
    constexpr Image(T* data_, int64_t height_, int64_t width_, int64_t stride_)
        : data(data_), height(height_), width(width_), stride(stride_) {}
    constexpr Image(T* data_, int64_t height_, int64_t width_) : Image(data_, height_, width_, width_) {}

    // Image<T> converts to Image<const T>.
    constexpr operator Image<const T, Space>() const requires(!std::is_const_v<T>) {
        return {data, height, width, stride};
    }

    [[nodiscard]] constexpr T* row(int64_t y) const { return data + y * stride; }
    [[nodiscard]] constexpr T& at(int64_t y, int64_t x) const { return data[y * stride + x]; }
    [[nodiscard]] constexpr int64_t pixels() const { return height * width; }
    [[nodiscard]] constexpr bool empty() const { return height == 0 || width == 0; }
};

template <class A, class B, class Space>
constexpr bool same_size(const Image<A, Space>& a, const Image<B, Space>& b) {
    return a.height == b.height && a.width == b.width;
}

// Images of different sizes that one call handles together. The array `images` itself lives in Space, so that on a
// device it can be rewritten between replays of a captured graph; `max_height` and `max_width` bound every image in it
// and are known to the host, which sizes launches from them.
template <class T, class Space>
struct Batch {
    const Image<T, Space>* images = nullptr;
    int64_t count = 0;
    int64_t max_height = 0;
    int64_t max_width = 0;
};

// A batch of one on the host. `image` must outlive the batch; passing a temporary to a call's argument is fine.
template <class T>
constexpr Batch<T, Host> one(const Image<T, Host>& image) {
    return {&image, 1, image.height, image.width};
}

// A dense tensor of up to four dimensions, outermost first (activations NHWC, convolution weights KRSC).
template <class T, class Space>
struct Tensor {
    T* data = nullptr;
    std::array<int64_t, 4> shape{0, 1, 1, 1};

    constexpr Tensor() = default;
    constexpr Tensor(T* data_, int64_t n, int64_t h = 1, int64_t w = 1, int64_t c = 1)
        : data(data_), shape{n, h, w, c} {}

    constexpr operator Tensor<const T, Space>() const requires(!std::is_const_v<T>) {
        return {data, shape[0], shape[1], shape[2], shape[3]};
    }

    [[nodiscard]] constexpr int64_t size() const { return shape[0] * shape[1] * shape[2] * shape[3]; }
    // The sub-tensor at index `i` of the outermost dimension.
    [[nodiscard]] constexpr T* at(int64_t i) const { return data + i * shape[1] * shape[2] * shape[3]; }
};

// Untyped scratch memory, aligned to 256 bytes by every owner in this project. A call says how much it needs through a
// `..._scratch_bytes()` function and neither keeps nor initialises the memory.
template <class Space>
struct Bytes {
    std::byte* data = nullptr;
    int64_t size = 0;
};

inline constexpr int64_t kScratchAlignment = 256;

constexpr int64_t round_up(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}
constexpr int64_t ceil_div(int64_t n, int64_t d) {
    return (n + d - 1) / d;
}

}  // namespace boneage

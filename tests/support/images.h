// Images for tests: awkward sizes, guarded padding, random pixels, and comparison with OpenCV.
#pragma once

#include "kernels/base/buffer.h"
#include "kernels/base/rng.h"

#include <gtest/gtest.h>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

namespace boneage::testing {

// An owned image whose rows are `padding` elements apart; the padding holds a pattern that check_padding() expects to
// find untouched, so a write past the end of a row is seen.
template <class T>
class PaddedImage {
public:
    PaddedImage(int64_t height, int64_t width, int64_t padding = 5)
        : pixels_(static_cast<size_t>(height * (width + padding)), kPoison),
          height_(height),
          width_(width),
          stride_(width + padding) {}

    Image<T, Host> view() { return {pixels_.data(), height_, width_, stride_}; }
    [[nodiscard]] Image<const T, Host> view() const { return {pixels_.data(), height_, width_, stride_}; }
    // Shares the pixels.
    cv::Mat mat() {
        return {static_cast<int>(height_), static_cast<int>(width_), cv::DataType<T>::type, pixels_.data(),
                static_cast<size_t>(stride_) * sizeof(T)};
    }
    void check_padding() const {
        for (int64_t y = 0; y < height_; ++y) {
            for (int64_t x = width_; x < stride_; ++x) {
                ASSERT_EQ(pixels_[static_cast<size_t>(y * stride_ + x)], kPoison)
                    << "padding overwritten in row " << y << ", column " << x;
            }
        }
    }

private:
    static constexpr T kPoison = static_cast<T>(0xA5);
    std::vector<T> pixels_;
    int64_t height_, width_, stride_;
};

// Uniformly random pixels in [low, high].
template <class T>
PaddedImage<T> random_image(int64_t height, int64_t width, uint64_t seed, T low = 0,
                            T high = std::numeric_limits<T>::max()) {
    PaddedImage<T> image(height, width);
    Rng rng(seed);
    for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
            image.view().at(y, x) = static_cast<T>(low + rng.next_u32() % (static_cast<uint32_t>(high - low) + 1));
        }
    }
    return image;
}

// Smooth blobs plus noise: closer to a radiograph's histogram than white noise.
template <class T>
PaddedImage<T> smooth_image(int64_t height, int64_t width, uint64_t seed) {
    PaddedImage<T> image(height, width);
    Rng rng(seed);
    const float fx = 0.01F + 0.05F * rng.uniform();
    const float fy = 0.01F + 0.05F * rng.uniform();
    const float top = static_cast<float>(std::numeric_limits<T>::max());
    for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
            const float wave = std::sin(fx * static_cast<float>(x)) * std::cos(fy * static_cast<float>(y));
            image.view().at(y, x) = static_cast<T>(top * (0.4F + 0.35F * wave + 0.1F * rng.uniform()));
        }
    }
    return image;
}

// A random mask of 0 and 255 with structure at several scales: blobs, holes and single pixels.
inline PaddedImage<uint8_t> random_mask(int64_t height, int64_t width, uint64_t seed, float density = 0.5F) {
    PaddedImage<uint8_t> mask(height, width);
    Rng rng(seed);
    const int64_t cell = 1 + static_cast<int64_t>(rng.next_u32() % 7);
    std::vector<uint8_t> coarse(static_cast<size_t>((height / cell + 1) * (width / cell + 1)));
    for (uint8_t& v : coarse) {
        v = rng.uniform() < density ? 255 : 0;
    }
    for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
            const uint8_t v = coarse[static_cast<size_t>((y / cell) * (width / cell + 1) + x / cell)];
            mask.view().at(y, x) = rng.uniform() < 0.05F ? static_cast<uint8_t>(255 - v) : v;
        }
    }
    return mask;
}

// Fails with the position and both values of the first pixel that differs by more than `tolerance`.
template <class T>
void expect_equal(Image<const T, Host> got, const cv::Mat& want, const std::string& what, double tolerance = 0) {
    ASSERT_EQ(got.height, want.rows) << what;
    ASSERT_EQ(got.width, want.cols) << what;
    ASSERT_EQ(want.type(), cv::DataType<T>::type) << what;
    ASSERT_GT(got.pixels(), 0) << what << ": nothing was compared";
    for (int64_t y = 0; y < got.height; ++y) {
        for (int64_t x = 0; x < got.width; ++x) {
            const double a = static_cast<double>(got.at(y, x));
            const double b = static_cast<double>(want.at<T>(static_cast<int>(y), static_cast<int>(x)));
            ASSERT_LE(std::abs(a - b), tolerance)
                << what << ": at row " << y << ", column " << x << " got " << a << ", reference has " << b;
        }
    }
}

// Sizes that break tilings, halos and vector tails; [h, w].
inline const std::vector<std::pair<int64_t, int64_t>>& awkward_sizes() {
    static const std::vector<std::pair<int64_t, int64_t>> sizes{{1, 1},    {1, 2},    {2, 1},     {1, 37},   {41, 1},
                                                                {3, 3},    {7, 5},    {8, 8},     {31, 33},  {64, 64},
                                                                {17, 129}, {130, 67}, {255, 257}, {300, 451}};
    return sizes;
}

}  // namespace boneage::testing

// Tensors for tests: random values, and comparison that fails on NaN, on shape and when nothing was compared.
#pragma once

#include "kernels/base/buffer.h"
#include "kernels/base/numeric.h"
#include "kernels/base/rng.h"
#include "kernels/nn/activations.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <vector>

namespace boneage::testing {

inline float as(float value, float) {
    return value;
}
inline bfloat16 as(float value, bfloat16) {
    return to_bfloat16(value);
}

inline float16 as(float value, float16) {
    return to_float16(value);
}

// An owned tensor of float, bfloat16 or float16.
template <class T>
class OwnedTensor {
public:
    explicit OwnedTensor(std::array<int64_t, 4> shape)
        : values_(static_cast<size_t>(shape[0] * shape[1] * shape[2] * shape[3])), shape_(shape) {}

    Activations<T, Host> view() { return {values_.data(), shape_[0], shape_[1], shape_[2], shape_[3]}; }
    [[nodiscard]] Activations<const T, Host> view() const {
        return {values_.data(), shape_[0], shape_[1], shape_[2], shape_[3]};
    }
    Tensor<T, Host> tensor() { return {values_.data(), shape_[0], shape_[1], shape_[2], shape_[3]}; }
    [[nodiscard]] Tensor<const T, Host> tensor() const {
        return {values_.data(), shape_[0], shape_[1], shape_[2], shape_[3]};
    }
    [[nodiscard]] const std::array<int64_t, 4>& shape() const { return shape_; }
    [[nodiscard]] float at(int64_t n, int64_t h, int64_t w, int64_t c) const {
        return to_float(values_.at(static_cast<size_t>(((n * shape_[1] + h) * shape_[2] + w) * shape_[3] + c)));
    }
    void set(int64_t n, int64_t h, int64_t w, int64_t c, float value) {
        values_.at(static_cast<size_t>(((n * shape_[1] + h) * shape_[2] + w) * shape_[3] + c)) = as(value, T{});
    }
    [[nodiscard]] int64_t size() const { return static_cast<int64_t>(values_.size()); }
    T& operator[](int64_t i) { return values_.at(static_cast<size_t>(i)); }
    const T& operator[](int64_t i) const { return values_.at(static_cast<size_t>(i)); }

private:
    std::vector<T> values_;
    std::array<int64_t, 4> shape_;
};

// Uniform in [-1, 1).
template <class T>
OwnedTensor<T> random_tensor(std::array<int64_t, 4> shape, uint64_t seed) {
    OwnedTensor<T> tensor(shape);
    Rng rng(seed);
    for (int64_t i = 0; i < tensor.size(); ++i) {
        tensor[i] = as(2 * rng.uniform() - 1, T{});
    }
    return tensor;
}

// Equal bits, NaN equal to NaN.
template <class T>
void expect_same(const OwnedTensor<T>& got, const OwnedTensor<T>& want, const std::string& what) {
    ASSERT_EQ(got.shape(), want.shape()) << what;
    ASSERT_GT(got.size(), 0) << what << ": nothing was compared";
    for (int64_t i = 0; i < got.size(); ++i) {
        const float a = to_float(got[i]);
        const float b = to_float(want[i]);
        ASSERT_TRUE(a == b || (std::isnan(a) && std::isnan(b)))
            << what << ": element " << i << " is " << a << ", expected " << b;
    }
}

// max|got - want| <= tolerance * max|want|, and no NaN anywhere.
template <class Got, class Want>
void expect_close(const Got& got, const Want& want, double tolerance, const std::string& what) {
    ASSERT_EQ(got.size(), want.size()) << what;
    ASSERT_GT(got.size(), 0U) << what << ": nothing was compared";
    double largest = 0;
    for (const auto& value : want) {
        ASSERT_TRUE(std::isfinite(value)) << what << ": the reference holds a value that is not finite";
        largest = std::max(largest, std::abs(static_cast<double>(value)));
    }
    for (size_t i = 0; i < got.size(); ++i) {
        const double a = static_cast<double>(got[i]);
        const double b = static_cast<double>(want[i]);
        ASSERT_TRUE(std::abs(a - b) <= tolerance * largest)  // false for NaN
            << what << ": element " << i << " is " << a << ", reference " << b << ", largest reference " << largest
            << ", difference " << std::abs(a - b) / largest << " of it";
    }
}

// The L2 distance of two vectors relative to the second; infinite when they differ in length, nothing was compared or
// something is not finite.
inline double relative_distance(const std::vector<float>& got, const std::vector<float>& want) {
    double difference = 0;
    double size = 0;
    for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
        const double a = static_cast<double>(got[i]);
        const double b = static_cast<double>(want[i]);
        difference += (a - b) * (a - b);
        size += b * b;
    }
    const bool valid = got.size() == want.size() && size > 0 && std::isfinite(difference) && std::isfinite(size);
    return valid ? std::sqrt(difference / size) : std::numeric_limits<double>::infinity();
}

}  // namespace boneage::testing

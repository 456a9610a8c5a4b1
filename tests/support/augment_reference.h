// augment.h's contract written out in double, pixel by pixel, from its text alone: forward matrices multiplied and then
// inverted, the library's functions, no rows and no tables.
#pragma once

#include "kernels/base/rng.h"
#include "kernels/image/augment.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace boneage::testing {

class AugmentReference {
public:
    struct Sizes {
        int64_t picture_height, picture_width, height, width;
    };

    AugmentReference(const AugmentDraws& draws, int64_t index, const AugmentParams& params,
                     const NormaliseParams& normalise, const Sizes& sizes)
        : seed_(draws.seed),
          counter_(draws.first + static_cast<uint64_t>(index)),
          params_(params),
          normalise_(normalise),
          sizes_(sizes) {
        Rng rng(seed_, counter_);
        for (double& u : draws_) {
            u = static_cast<double>(rng.uniform());
        }
        const double turn = either_way(params.rotation_degrees, 0) * std::acos(-1.0) / 180;
        const Matrix rotation{std::cos(turn), -std::sin(turn), std::sin(turn), std::cos(turn)};
        const Matrix shear{1, either_way(params.shear, 4), 0, 1};
        const double factor = stretch(params.zoom, 3);
        const Matrix zoom{factor, 0, 0, factor};
        const Matrix flip{draws_[5] < static_cast<double>(params.flip) ? -1.0 : 1.0, 0, 0, 1};
        forward_ = rotation * shear * zoom * flip;
    }

    void append_values(std::vector<double>& to, Image<const uint8_t, Host> picture, int64_t channels) const {
        const double gain = stretch(params_.contrast, 7);
        const double brightness = either_way(params_.brightness, 6);
        const auto mean_level = static_cast<double>(normalise_.mean[0]);
        const double deviation = static_cast<double>(params_.noise) * draws_[8];
        for (int64_t y = 0; y < sizes_.height; ++y) {
            for (int64_t x = 0; x < sizes_.width; ++x) {
                const double level = level_at(picture, y, x, 255 * static_cast<double>(params_.background));
                double value = (level / 255 - mean_level) * gain + mean_level + brightness + deviation * noise(y, x);
                value = std::clamp(value, 0.0, 1.0);
                if (erased(y, x)) {
                    value = static_cast<double>(params_.erase_level);
                }
                for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
                    to.push_back((value - static_cast<double>(normalise_.mean[c])) /
                                 static_cast<double>(normalise_.deviation[c]));
                }
            }
        }
    }

    void append_targets(std::vector<double>& to, Image<const uint8_t, Host> mask) const {
        for (int64_t y = 0; y < sizes_.height; ++y) {
            for (int64_t x = 0; x < sizes_.width; ++x) {
                to.push_back(level_at(mask, y, x, 0) / 255);
            }
        }
    }

private:
    struct Matrix {
        double a, b, c, d;  // rows (a b), (c d)
        Matrix operator*(const Matrix& m) const {
            return {a * m.a + b * m.c, a * m.b + b * m.d, c * m.a + d * m.c, c * m.b + d * m.d};
        }
    };

    [[nodiscard]] double either_way(float range, size_t draw) const {
        return static_cast<double>(range) * (2 * draws_[draw] - 1);
    }
    [[nodiscard]] double stretch(float range, size_t draw) const {
        return std::pow(1 + static_cast<double>(range), 2 * draws_[draw] - 1);
    }
    [[nodiscard]] static double start(double u, int64_t size, int64_t patch) {
        return size > patch ? std::floor(u * static_cast<double>(size - patch + 1))
                            : -std::floor(static_cast<double>(patch - size) / 2);
    }

    [[nodiscard]] double level_at(const Image<const uint8_t, Host>& picture, int64_t y, int64_t x,
                                  double outside) const {
        const double u = static_cast<double>(x) - static_cast<double>(sizes_.width - 1) / 2 -
                         either_way(params_.shift, 1) * static_cast<double>(sizes_.width);
        const double v = static_cast<double>(y) - static_cast<double>(sizes_.height - 1) / 2 -
                         either_way(params_.shift, 2) * static_cast<double>(sizes_.height);
        const double determinant = forward_.a * forward_.d - forward_.b * forward_.c;
        const double px = (forward_.d * u - forward_.b * v) / determinant + static_cast<double>(sizes_.width - 1) / 2 +
                          start(draws_[15], sizes_.picture_width, sizes_.width);
        const double py = (forward_.a * v - forward_.c * u) / determinant + static_cast<double>(sizes_.height - 1) / 2 +
                          start(draws_[14], sizes_.picture_height, sizes_.height);
        double level = 0;
        for (int corner = 0; corner < 4; ++corner) {
            const double column = std::floor(px) + corner % 2;
            const double row = std::floor(py) + (corner < 2 ? 0 : 1);
            const bool inside = column >= 0 && row >= 0 && column < static_cast<double>(picture.width) &&
                                row < static_cast<double>(picture.height);
            level += (1 - std::abs(px - column)) * (1 - std::abs(py - row)) *
                     (inside ? picture.at(static_cast<int64_t>(row), static_cast<int64_t>(column)) : outside);
        }
        return level;
    }

    [[nodiscard]] double noise(int64_t y, int64_t x) const {
        const auto words = philox4x32({static_cast<uint32_t>(x / 4), static_cast<uint32_t>(y + 1),
                                       static_cast<uint32_t>(counter_), static_cast<uint32_t>(counter_ >> 32)},
                                      {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
        const uint32_t word = words[static_cast<size_t>(x % 4)];
        double sum = 0;
        for (int byte = 0; byte < 4; ++byte) {
            sum += word >> (8 * byte) & 255U;
        }
        return (sum - 510) / std::sqrt(21845.0);
    }

    [[nodiscard]] bool erased(int64_t y, int64_t x) const {
        if (draws_[9] >= static_cast<double>(params_.erase)) {
            return false;
        }
        const auto smallest = static_cast<double>(params_.erase_smallest_area);
        const double area = smallest + (static_cast<double>(params_.erase_largest_area) - smallest) * draws_[10];
        const double ratio = stretch(params_.erase_stretch, 11);
        const auto within = [](int64_t at, double share, int64_t side, double u) {
            const auto whole = static_cast<double>(side);
            const double length = std::clamp(std::nearbyint(whole * share), 1.0, whole);
            const double first = std::floor(u * (whole - length + 1));
            return static_cast<double>(at) >= first && static_cast<double>(at) < first + length;
        };
        return within(y, std::sqrt(area * ratio), sizes_.height, draws_[12]) &&
               within(x, std::sqrt(area / ratio), sizes_.width, draws_[13]);
    }

    uint64_t seed_, counter_;
    AugmentParams params_;
    NormaliseParams normalise_;
    Sizes sizes_;
    double draws_[16] = {};
    Matrix forward_{};
};

}  // namespace boneage::testing

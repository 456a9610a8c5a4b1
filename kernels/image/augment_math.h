// The draws and formulas of augment.h, compiled by both twins.
#pragma once

#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "kernels/base/rng.h"
#include "kernels/image/augment.h"
#include "kernels/image/normalise_rows.h"

namespace boneage {

// The series below are good to about 1e-15 and exact where nothing is changed. The libraries' functions differ between
// host and device.

// The natural logarithm of x >= 1, finite: 2 atanh of (m - 1) / (m + 1), m in [0.7, 1.42).
BONEAGE_HD inline double series_log(double x) {
    constexpr double kLn2 = 0.693147180559945309417;
    const auto bits = std::bit_cast<uint64_t>(x);
    auto exponent = static_cast<int64_t>(bits >> 52) - 1023;
    double m = std::bit_cast<double>((bits & 0x000fffffffffffffU) | 0x3ff0000000000000U);
    if (m > 1.41421356237309515) {
        m *= 0.5;
        ++exponent;
    }
    const double s = (m - 1) / (m + 1);
    const double q = s * s;
    double p = 0;
    for (int k = 23; k >= 1; k -= 2) {
        p = p * q + 1.0 / k;
    }
    return static_cast<double>(exponent) * kLn2 + 2 * s * p;
}

// e^x, |x| < 700.
BONEAGE_HD inline double series_exp(double x) {
    constexpr double kLn2 = 0.693147180559945309417;
    const double n = std::nearbyint(x / kLn2);
    const double r = x - n * kLn2;
    double p = 1;
    for (int k = 14; k >= 1; --k) {
        p = 1 + r * p / k;
    }
    return p * std::bit_cast<double>(static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52);
}

struct SineCosine {
    double sine, cosine;
};

// |degrees| <= 360; exact at whole quarter turns.
BONEAGE_HD inline SineCosine series_sine_cosine(double degrees) {
    constexpr double kRadians = 0.0174532925199432957692;
    const double quarters = std::nearbyint(degrees / 90);
    const double r = (degrees - 90 * quarters) * kRadians;
    const double q = r * r;
    double sine = 1;
    double cosine = 1;
    for (int k = 16; k >= 2; k -= 2) {
        sine = 1 - q * sine / (k * (k + 1));
        cosine = 1 - q * cosine / ((k - 1) * k);
    }
    sine *= r;
    switch (static_cast<int>(quarters) & 3) {
        case 0:
            return {sine, cosine};
        case 1:
            return {cosine, -sine};
        case 2:
            return {-sine, -cosine};
        default:
            return {-cosine, sine};
    }
}

// Everything that was drawn for a sample, as its pixels need it.
struct AugmentSample {
    float xx, xy, x0, yx, yy, y0;     // positions
    float gain, offset, deviation;    // values
    int32_t erase_top, erase_bottom;  // rows [top, bottom)
    int32_t erase_left, erase_right;  // and columns [left, right); none where empty
    uint32_t key_low, key_high;       // of the noise
    uint32_t counter_low, counter_high;
};

struct AugmentSize {
    int64_t height, width;
};

// (1 + range)^(2u - 1)
BONEAGE_HD inline double log_uniform(float range, float u) {
    return series_exp((2 * static_cast<double>(u) - 1) * series_log(1 + static_cast<double>(range)));
}

// range * (2u - 1)
BONEAGE_HD inline double either_way(float range, float u) {
    return static_cast<double>(range) * (2 * static_cast<double>(u) - 1);
}

// floor(u * count)
BONEAGE_HD inline int64_t uniform_below(float u, int64_t count) {
    return static_cast<int64_t>(static_cast<double>(u) * static_cast<double>(count));
}

BONEAGE_HD inline int64_t patch_origin(float u, int64_t size, int64_t patch) {
    return size > patch ? uniform_below(u, size - patch + 1) : -((patch - size) / 2);
}

// `size` times `share`, rounded, in [1, size].
BONEAGE_HD inline int64_t erased_side(double share, int64_t size) {
    return clamp(static_cast<int64_t>(std::nearbyint(static_cast<double>(size) * share)), int64_t{1}, size);
}

BONEAGE_HD inline AugmentSample draw_sample(const AugmentDraws& draws, int64_t index, const AugmentParams& params,
                                            float mean_level, AugmentSize source, AugmentSize output) {
    const uint64_t counter = draws.first + static_cast<uint64_t>(index);
    Rng rng(draws.seed, counter);
    const double height = static_cast<double>(output.height);
    const double width = static_cast<double>(output.width);
    AugmentSample sample{};

    const SineCosine turn = series_sine_cosine(either_way(params.rotation_degrees, rng.uniform()));
    const double shift_x = either_way(params.shift, rng.uniform()) * width;
    const double shift_y = either_way(params.shift, rng.uniform()) * height;
    const double zoom = log_uniform(params.zoom, rng.uniform());
    const double shear = either_way(params.shear, rng.uniform());
    const double side = rng.uniform() < params.flip ? -1 : 1;
    const double xx = side * (turn.cosine + shear * turn.sine) / zoom;
    const double xy = side * (turn.sine - shear * turn.cosine) / zoom;
    const double yx = -turn.sine / zoom;
    const double yy = turn.cosine / zoom;

    const double brightness = either_way(params.brightness, rng.uniform());
    const double gain = log_uniform(params.contrast, rng.uniform());
    sample.gain = static_cast<float>(gain);
    sample.offset = static_cast<float>(static_cast<double>(mean_level) * (1 - gain) + brightness);
    sample.deviation = params.noise * rng.uniform();

    const bool erase = rng.uniform() < params.erase;
    const double smallest = static_cast<double>(params.erase_smallest_area);
    const double area =
        smallest + (static_cast<double>(params.erase_largest_area) - smallest) * static_cast<double>(rng.uniform());
    const double stretch = log_uniform(params.erase_stretch, rng.uniform());
    const int64_t rows = erased_side(std::sqrt(area * stretch), output.height);
    const int64_t columns = erased_side(std::sqrt(area / stretch), output.width);
    const int64_t top = uniform_below(rng.uniform(), output.height - rows + 1);
    const int64_t left = uniform_below(rng.uniform(), output.width - columns + 1);
    if (erase) {
        sample.erase_top = static_cast<int32_t>(top);
        sample.erase_bottom = static_cast<int32_t>(top + rows);
        sample.erase_left = static_cast<int32_t>(left);
        sample.erase_right = static_cast<int32_t>(left + columns);
    }

    const int64_t patch_top = patch_origin(rng.uniform(), source.height, output.height);
    const int64_t patch_left = patch_origin(rng.uniform(), source.width, output.width);
    sample.xx = static_cast<float>(xx);
    sample.xy = static_cast<float>(xy);
    sample.yx = static_cast<float>(yx);
    sample.yy = static_cast<float>(yy);
    sample.x0 = static_cast<float>(static_cast<double>(patch_left) + (width - 1) / 2 - (xx * shift_x + xy * shift_y));
    sample.y0 = static_cast<float>(static_cast<double>(patch_top) + (height - 1) / 2 - (yx * shift_x + yy * shift_y));

    sample.key_low = static_cast<uint32_t>(draws.seed);
    sample.key_high = static_cast<uint32_t>(draws.seed >> 32);
    sample.counter_low = static_cast<uint32_t>(counter);
    sample.counter_high = static_cast<uint32_t>(counter >> 32);
    return sample;
}

// The positions of one row of the output.
struct SampleRow {
    float xx, yx;  // steps from column to column
    float start_x, start_y;
    float middle;

    BONEAGE_HD SampleRow(const AugmentSample& sample, AugmentSize output, int64_t y)
        : xx(sample.xx), yx(sample.yx), middle(0.5F * static_cast<float>(output.width - 1)) {
        const float v = static_cast<float>(y) - 0.5F * static_cast<float>(output.height - 1);
        start_x = sample.xy * v + sample.x0;
        start_y = sample.yy * v + sample.y0;
    }
    [[nodiscard]] BONEAGE_HD float x(int64_t column) const { return xx * from_middle(column) + start_x; }
    [[nodiscard]] BONEAGE_HD float y(int64_t column) const { return yx * from_middle(column) + start_y; }

private:
    [[nodiscard]] BONEAGE_HD float from_middle(int64_t column) const {
        return static_cast<float>(static_cast<int32_t>(column)) - middle;
    }
};

// Between pixels a and b over c and d.
BONEAGE_HD inline float between(float a, float b, float c, float d, float fx, float fy) {
    const float top = a + fx * (b - a);
    const float bottom = c + fx * (d - c);
    return top + fy * (bottom - top);
}

// The level at (x, y); `outside` is that of whatever is no pixel.
template <class Space>
BONEAGE_HD inline float level_at(const Image<const uint8_t, Space>& picture, float x, float y, float outside) {
    const auto height = static_cast<int32_t>(picture.height);
    const auto width = static_cast<int32_t>(picture.width);
    // Also where nothing between could be seen, and before a conversion that would overflow.
    if (!(x > -1.0F && y > -1.0F && x < static_cast<float>(width) && y < static_cast<float>(height))) {
        return outside;
    }
    const float left = std::floor(x);
    const float top = std::floor(y);
    const auto column = static_cast<int32_t>(left);
    const auto row = static_cast<int32_t>(top);
    const auto level = [&](int32_t r, int32_t c) {
        const bool inside = r >= 0 && r < height && c >= 0 && c < width;
        return inside ? static_cast<float>(picture.data[r * picture.stride + c]) : outside;
    };
    return between(level(row, column), level(row, column + 1), level(row + 1, column), level(row + 1, column + 1),
                   x - left, y - top);
}

// The four words of noise for columns 4 * quad to 4 * quad + 3 of a row.
BONEAGE_HD constexpr std::array<uint32_t, 4> noise_words(const AugmentSample& sample, int64_t quad, int64_t row) {
    return philox4x32(
        {static_cast<uint32_t>(quad), static_cast<uint32_t>(row + 1), sample.counter_low, sample.counter_high},
        {sample.key_low, sample.key_high});
}

BONEAGE_HD inline float nearly_normal(uint32_t word) {
    constexpr float kDeviation = 147.800541F;  // sqrt(21845), that of four bytes' sum
    const uint32_t pairs = (word & 0x00ff00ffU) + ((word >> 8) & 0x00ff00ffU);
    const auto sum = static_cast<int32_t>((pairs & 0xffffU) + (pairs >> 16));
    return static_cast<float>(sum - 510) * (1.0F / kDeviation);
}

BONEAGE_HD inline float value_of(const AugmentSample& sample, float level, float z) {
    return clamp(level / 255.0F * sample.gain + sample.offset + sample.deviation * z, 0.0F, 1.0F);
}

BONEAGE_HD inline bool erased_row(const AugmentSample& sample, int64_t y) {
    return y >= sample.erase_top && y < sample.erase_bottom;
}

// Where a sample's picture and mask lie: a data set of one size without masks, or images of their own sizes with them.
template <class Space>
struct DataSet {
    static constexpr bool kMasks = false;
    const uint8_t* pixels;
    int64_t height, width;
    [[nodiscard]] BONEAGE_HD Image<const uint8_t, Space> picture(int64_t i) const {
        return {pixels + i * height * width, height, width};
    }
    [[nodiscard]] BONEAGE_HD Image<const uint8_t, Space> mask(int64_t /*i*/) const { return {}; }
};

template <class Space>
struct MaskedImages {
    static constexpr bool kMasks = true;
    const Image<const uint8_t, Space>* pictures;
    const Image<const uint8_t, Space>* masks;
    [[nodiscard]] BONEAGE_HD Image<const uint8_t, Space> picture(int64_t i) const { return pictures[i]; }
    [[nodiscard]] BONEAGE_HD Image<const uint8_t, Space> mask(int64_t i) const { return masks[i]; }
};

inline bool allowed(const AugmentParams& p) {
    const auto within = [](float value, float most) { return value >= 0 && value <= most; };
    return within(p.rotation_degrees, 180) && within(p.shift, 1) && within(p.zoom, 10) && within(p.shear, 10) &&
           within(p.flip, 1) && within(p.brightness, 1) && within(p.contrast, 10) && within(p.noise, 1) &&
           within(p.erase, 1) && within(p.erase_largest_area, 1) &&
           within(p.erase_smallest_area, p.erase_largest_area) && within(p.erase_stretch, 10) &&
           within(p.erase_level, 1) && within(p.background, 1);
}

template <class Space>
void check_augment(const Tensor<const int32_t, Space>& indices, const Tensor<const AugmentDraws, Space>& draws,
                   const Tensor<float, Space>& dst, const AugmentParams& params, const NormaliseParams& normalise,
                   Bytes<Space> scratch) {
    constexpr int64_t kSides = int64_t{1} << 22;  // positions are float32
    expects(dst.shape[0] == indices.size(), "dst must hold as many samples as there are indices");
    expects(dst.shape[1] >= 1 && dst.shape[2] >= 1 && dst.shape[1] < kSides && dst.shape[2] < kSides,
            "dst must have pixels, and sides below 2^22");
    expects(draws.size() == 1, "draws must be [1]");
    expects(allowed(normalise, dst.shape[3]), "1 to 3 channels, deviations above 0");
    expects(allowed(params), "a range of augmentation is not allowed");
    expects(scratch.size >= augment_scratch_bytes(indices.size()), "scratch is too small");
}

template <class Space>
void check_data_set(const Tensor<const uint8_t, Space>& pictures, const Tensor<float, Space>& dst) {
    expects(pictures.shape[3] == 1 && pictures.shape[1] == dst.shape[1] && pictures.shape[2] == dst.shape[2],
            "pictures must be [N, h, w, 1] with dst's height and width");
    expects(pictures.shape[1] * pictures.shape[2] < int64_t{1} << 31, "a picture has 2^31 pixels or more");
}

template <class Space>
void check_patches(const Batch<const uint8_t, Space>& pictures, const Batch<const uint8_t, Space>& masks,
                   const Tensor<float, Space>& dst, const Tensor<float, Space>& targets) {
    expects(pictures.count == masks.count, "there must be as many masks as pictures");
    expects(dst.shape[1] == dst.shape[2], "dst must be [n, p, p, c]");
    expects(targets.shape == std::array{dst.shape[0], dst.shape[1], dst.shape[2], int64_t{1}},
            "targets must be [n, p, p, 1]");
}

}  // namespace boneage

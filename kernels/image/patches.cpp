#include "kernels/image/patches.h"

#include "kernels/base/error.h"
#include "kernels/image/normalise_rows.h"

#include <cmath>

namespace boneage {
namespace {

// Destination columns blended at a time; their sums of weights live on the stack.
constexpr int64_t kTile = 512;

// The positions [begin, end) of a patch starting at `origin` that lie within [low, high).
struct Overlap {
    Overlap(int64_t origin, int64_t patch, int64_t low, int64_t high)
        : begin(std::max(origin, low)), end(std::min(origin + patch, high)) {}
    int64_t begin, end;
};

}  // namespace

std::vector<int64_t> patch_origins(int64_t size, int64_t patch, double step_fraction) {
    expects(size >= 1 && patch >= 1, "sizes must be at least 1");
    expects(step_fraction > 0.0 && step_fraction <= 1.0, "step_fraction must be above 0 and at most 1");
    if (size <= patch) {
        return {-((patch - size) / 2)};
    }
    const double room = static_cast<double>(size - patch);
    const int64_t steps = static_cast<int64_t>(std::ceil(room / (static_cast<double>(patch) * step_fraction)));
    const double step = room / static_cast<double>(steps);
    std::vector<int64_t> origins;
    for (int64_t i = 0; i <= steps; ++i) {
        origins.push_back(static_cast<int64_t>(std::nearbyint(step * static_cast<double>(i))));
    }
    return origins;
}

void append_patches(std::vector<PatchPlace>& places, int64_t image, int64_t height, int64_t width, int64_t patch,
                    double step_fraction) {
    const std::vector<int64_t> columns = patch_origins(width, patch, step_fraction);
    for (const int64_t y : patch_origins(height, patch, step_fraction)) {
        for (const int64_t x : columns) {
            places.push_back({image, y, x});
        }
    }
}

template <class P, class T>
void gather_patches(Workers& workers, Batch<const P, Host> src, Tensor<const PatchPlace, Host> places,
                    Tensor<T, Host> dst, const NormaliseParams& params) {
    const int64_t patch = dst.shape[1];
    const int64_t channels = dst.shape[3];
    expects(dst.shape[0] == places.size() && dst.shape[2] == patch, "dst must be [places, p, p, c]");
    expects(allowed(params, channels), "1 to 3 channels, deviations above 0");
    for (int64_t k = 0; k < places.size(); ++k) {
        expects(places.data[k].image >= 0 && places.data[k].image < src.count, "a patch of an image outside the batch");
    }
    workers.parallel_for(places.size() * patch, 16, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const PatchPlace& place = places.data[r / patch];
            const Image<const P, Host>& image = src.images[place.image];
            const int64_t y = place.y + r % patch;
            const Overlap x(place.x, patch, 0, image.width);
            const bool inside = y >= 0 && y < image.height && x.begin < x.end;
            normalise_row<P, T>(inside ? image.row(y) + x.begin : nullptr, inside ? x.end - x.begin : 0,
                                inside ? x.begin - place.x : 0, dst.data + r * patch * channels, patch, channels,
                                params);
        }
    });
}

template void gather_patches(Workers&, Batch<const uint8_t, Host>, Tensor<const PatchPlace, Host>, Tensor<float, Host>,
                             const NormaliseParams&);
template void gather_patches(Workers&, Batch<const uint8_t, Host>, Tensor<const PatchPlace, Host>,
                             Tensor<bfloat16, Host>, const NormaliseParams&);
template void gather_patches(Workers&, Batch<const uint16_t, Host>, Tensor<const PatchPlace, Host>, Tensor<float, Host>,
                             const NormaliseParams&);
template void gather_patches(Workers&, Batch<const uint16_t, Host>, Tensor<const PatchPlace, Host>,
                             Tensor<bfloat16, Host>, const NormaliseParams&);

std::vector<float> gaussian_window(int64_t patch) {
    expects(patch >= 1, "patch must be at least 1");
    const double sigma = static_cast<double>(patch) / 8.0;
    const int64_t centre = patch / 2;
    std::vector<double> bell;
    for (int64_t i = 0; i < patch; ++i) {
        const double z = static_cast<double>(i - centre) / sigma;
        bell.push_back(std::exp(-0.5 * z * z));
    }
    std::vector<float> window;
    for (const double down : bell) {
        for (const double across : bell) {
            window.push_back(static_cast<float>(down * across));
        }
    }
    return window;
}

void blend_patches(Workers& workers, Tensor<const float, Host> values, Tensor<const PatchPlace, Host> places,
                   Tensor<const int64_t, Host> first, Tensor<const float, Host> window, Batch<float, Host> dst) {
    const int64_t patch = values.shape[1];
    expects(values.shape[0] == places.size() && values.shape[2] == patch && values.shape[3] == 1,
            "values must be [places, p, p]");
    expects(window.size() == patch * patch, "window must be [p, p]");
    expects(first.size() == dst.count + 1, "first must have one entry more than there are images");
    for (int64_t i = 0; i < dst.count; ++i) {
        const Image<float, Host>& image = dst.images[i];
        expects(0 <= first.data[i] && first.data[i] <= first.data[i + 1] && first.data[i + 1] <= places.size(),
                "first must rise within the table");
        for (int64_t k = first.data[i]; k < first.data[i + 1]; ++k) {
            expects(places.data[k].image == i, "places must be sorted by image, as first says");
        }
        workers.parallel_for(image.height, 16, [&](int64_t begin, int64_t end) {
            float weights[kTile];
            for (int64_t y = begin; y < end; ++y) {
                for (int64_t left = 0; left < image.width; left += kTile) {
                    const int64_t right = std::min(left + kTile, image.width);
                    float* sums = image.row(y);
                    std::fill(sums + left, sums + right, 0.0F);
                    std::fill(weights, weights + (right - left), 0.0F);
                    for (int64_t k = first.data[i]; k < first.data[i + 1]; ++k) {
                        const PatchPlace& place = places.data[k];
                        const Overlap x(place.x, patch, left, right);
                        const int64_t row = y - place.y;
                        if (row < 0 || row >= patch || x.begin >= x.end) {
                            continue;
                        }
                        const float* v = values.at(k) + row * patch + (x.begin - place.x);
                        const float* w = window.data + row * patch + (x.begin - place.x);
                        float* sum = sums + x.begin;
                        float* weight = weights + (x.begin - left);
                        for (int64_t j = 0; j < x.end - x.begin; ++j) {
                            sum[j] += w[j] * v[j];
                            weight[j] += w[j];
                        }
                    }
                    for (int64_t j = left; j < right; ++j) {
                        const float weight = weights[j - left];
                        sums[j] = weight > 0.0F ? sums[j] / weight : 0.0F;
                    }
                }
            }
        });
    }
}

}  // namespace boneage

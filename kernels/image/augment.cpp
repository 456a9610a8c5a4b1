#include "kernels/image/augment.h"

#include "kernels/image/augment_math.h"

#include <algorithm>

namespace boneage {
namespace {

// Columns worked on at a time: what they need between two passes stays in the first-level cache.
constexpr int64_t kTile = 256;

struct Columns {
    int64_t begin, end;
};

// Narrows `columns` to about those where 0 <= start + step * u < bound, u counted from `middle`.
Columns narrowed(Columns columns, float step, float start, float middle, int64_t bound) {
    if (step == 0.0F) {
        return columns;  // all or none: the caller's exact test decides
    }
    const double first = -static_cast<double>(start) / static_cast<double>(step) + static_cast<double>(middle);
    const double last = first + static_cast<double>(bound) / static_cast<double>(step);
    const double low = static_cast<double>(columns.begin);
    const double high = static_cast<double>(columns.end);
    return {static_cast<int64_t>(clamp(std::ceil(std::min(first, last)), low, high)),
            static_cast<int64_t>(clamp(std::floor(std::max(first, last)) + 1, low, high))};
}

// The columns whose four pixels all lie in the picture. Positions rise or fall along a row, rounding included: where
// both ends pass the exact test, everything between does.
Columns inner_columns(const SampleRow& row, const Image<const uint8_t, Host>& picture, Columns columns) {
    const auto right = static_cast<float>(picture.width - 1);
    const auto bottom = static_cast<float>(picture.height - 1);
    const auto inner = [&](int64_t column) {
        const float x = row.x(column);
        const float y = row.y(column);
        return x >= 0 && x < right && y >= 0 && y < bottom;
    };
    columns = narrowed(columns, row.xx, row.start_x, row.middle, picture.width - 1);
    columns = narrowed(columns, row.yx, row.start_y, row.middle, picture.height - 1);
    while (columns.begin < columns.end && !inner(columns.begin)) {
        ++columns.begin;
    }
    while (columns.begin < columns.end && !inner(columns.end - 1)) {
        --columns.end;
    }
    return columns;
}

uint32_t pair_at(const uint8_t* p) {
    return static_cast<uint16_t>(p[0] | p[1] << 8);
}

// The inner columns' levels. Loads are the one thing that does not vectorise, so they have a pass of their own between
// where to load from and what to make of it.
void inner_levels(const SampleRow& row, const Image<const uint8_t, Host>& picture, Columns columns, float* levels) {
    alignas(64) int32_t offset[kTile];
    alignas(64) uint32_t pixels[kTile];
    alignas(64) float fx[kTile];
    alignas(64) float fy[kTile];
    const int64_t count = columns.end - columns.begin;
    const auto stride = static_cast<int32_t>(picture.stride);
#pragma GCC ivdep
    for (int64_t j = 0; j < count; ++j) {
        const float x = row.x(columns.begin + j);
        const float y = row.y(columns.begin + j);
        const auto left = static_cast<int32_t>(x);  // not below 0: this is the floor
        const auto top = static_cast<int32_t>(y);
        offset[j] = top * stride + left;
        fx[j] = x - static_cast<float>(left);
        fy[j] = y - static_cast<float>(top);
    }
    for (int64_t j = 0; j < count; ++j) {
        const uint8_t* corner = picture.data + offset[j];
        pixels[j] = pair_at(corner) | pair_at(corner + stride) << 16;
    }
#pragma GCC ivdep
    for (int64_t j = 0; j < count; ++j) {
        const uint32_t four = pixels[j];
        levels[j] = between(static_cast<float>(four & 255U), static_cast<float>(four >> 8 & 255U),
                            static_cast<float>(four >> 16 & 255U), static_cast<float>(four >> 24), fx[j], fy[j]);
    }
}

// Whether every position of the row is a pixel's own or outside: then levels are copied. Where the start is a multiple
// of a half, as columns are from the middle, no sum is rounded: one whole position means that all are.
bool on_pixels(const SampleRow& row) {
    const auto whole = [](float value) { return value == std::nearbyint(value); };
    return std::abs(row.xx) == 1.0F && row.yx == 0.0F && whole(2.0F * row.start_x) && whole(row.x(0)) &&
           whole(row.y(0));
}

void copied_levels(const SampleRow& row, const Image<const uint8_t, Host>& picture, Columns columns, float outside,
                   float* levels) {
    const int64_t step = row.xx > 0 ? 1 : -1;
    const auto y = static_cast<int64_t>(row.y(0));
    const auto first = static_cast<int64_t>(row.x(0));  // column c shows first + step * c
    const bool inside = y >= 0 && y < picture.height;
    const int64_t low = step > 0 ? -first : first - (picture.width - 1);
    const int64_t begin = inside ? clamp(low, columns.begin, columns.end) : columns.end;
    const int64_t end = inside ? clamp(low + picture.width, columns.begin, columns.end) : columns.end;
    float* out = levels - columns.begin;
    std::fill(out + columns.begin, out + begin, outside);
    std::fill(out + end, out + columns.end, outside);
    if (begin >= end) {
        return;
    }
    const uint8_t* from = picture.row(y) + first + step * begin;
    if (step > 0) {
        for (int64_t j = 0; j < end - begin; ++j) {
            out[begin + j] = static_cast<float>(from[j]);
        }
    } else {
        for (int64_t j = 0; j < end - begin; ++j) {
            out[begin + j] = static_cast<float>(from[-j]);
        }
    }
}

void row_levels(const SampleRow& row, const Image<const uint8_t, Host>& picture, Columns columns, float outside,
                float* levels) {
    if (on_pixels(row)) {
        copied_levels(row, picture, columns, outside, levels);
        return;
    }
    const Columns inner = inner_columns(row, picture, columns);
    for (int64_t column = columns.begin; column < columns.end; ++column) {
        if (column == inner.begin) {
            column = inner.end;
            if (column == columns.end) {
                break;
            }
        }
        levels[column - columns.begin] = level_at(picture, row.x(column), row.y(column), outside);
    }
    inner_levels(row, picture, inner, levels + (inner.begin - columns.begin));
}

// z of the columns from `begin`, a multiple of 4; a tile's worth, also where the row ends before.
void row_noise(const AugmentSample& sample, int64_t y, int64_t begin, int64_t count, float* z) {
    const int64_t quads = ceil_div(count, 4);
#pragma GCC ivdep
    for (int64_t q = 0; q < quads; ++q) {
        const std::array<uint32_t, 4> words = noise_words(sample, begin / 4 + q, y);
        z[4 * q] = nearly_normal(words[0]);
        z[4 * q + 1] = nearly_normal(words[1]);
        z[4 * q + 2] = nearly_normal(words[2]);
        z[4 * q + 3] = nearly_normal(words[3]);
    }
}

// Levels become values.
void row_values(const AugmentSample& sample, const AugmentParams& params, int64_t y, Columns columns, float* values) {
    const int64_t count = columns.end - columns.begin;
    if (sample.deviation == 0.0F) {
        for (int64_t j = 0; j < count; ++j) {
            values[j] = value_of(sample, values[j], 0.0F);
        }
    } else {
        alignas(64) float z[kTile];
        row_noise(sample, y, columns.begin, count, z);
        for (int64_t j = 0; j < count; ++j) {
            values[j] = value_of(sample, values[j], z[j]);
        }
    }
    if (erased_row(sample, y)) {
        const int64_t begin = clamp<int64_t>(sample.erase_left, columns.begin, columns.end);
        const int64_t end = clamp<int64_t>(sample.erase_right, columns.begin, columns.end);
        std::fill(values + (begin - columns.begin), values + (end - columns.begin), params.erase_level);
    }
}

void store_values(const float* values, int64_t count, int64_t channels, const NormaliseParams& params, float* dst) {
    for (int64_t c = 0; c < channels; ++c) {
        const float mean = params.mean[static_cast<size_t>(c)];
        const float deviation = params.deviation[static_cast<size_t>(c)];
        if (channels == 1) {
            for (int64_t j = 0; j < count; ++j) {
                dst[j] = (values[j] - mean) / deviation;
            }
        } else {
            for (int64_t j = 0; j < count; ++j) {
                dst[j * channels + c] = (values[j] - mean) / deviation;
            }
        }
    }
}

template <class Source>
void augment_samples(Workers& workers, const Source& source, Tensor<const int32_t, Host> indices,
                     Tensor<const AugmentDraws, Host> draws, Tensor<float, Host> dst, float* targets,
                     const AugmentParams& params, const NormaliseParams& normalise, Bytes<Host> scratch) {
    const AugmentSize size{dst.shape[1], dst.shape[2]};
    const int64_t channels = dst.shape[3];
    auto* samples = ScratchCursor<Host>(scratch).take<AugmentSample>(indices.size());
    for (int64_t i = 0; i < indices.size(); ++i) {
        const Image<const uint8_t, Host> picture = source.picture(indices.data[i]);
        samples[i] = draw_sample(*draws.data, i, params, normalise.mean[0], {picture.height, picture.width}, size);
    }
    workers.parallel_for(indices.size() * size.height, 16, [&](int64_t begin, int64_t end) {
        alignas(64) float values[kTile];
        for (int64_t r = begin; r < end; ++r) {
            const int64_t i = r / size.height;
            const int64_t y = r % size.height;
            const Image<const uint8_t, Host> picture = source.picture(indices.data[i]);
            const SampleRow row(samples[i], size, y);
            for (int64_t left = 0; left < size.width; left += kTile) {
                const Columns columns{left, std::min(left + kTile, size.width)};
                const int64_t count = columns.end - columns.begin;
                row_levels(row, picture, columns, 255.0F * params.background, values);
                row_values(samples[i], params, y, columns, values);
                store_values(values, count, channels, normalise, dst.data + (r * size.width + left) * channels);
                if constexpr (Source::kMasks) {
                    float* target = targets + r * size.width + left;
                    row_levels(row, source.mask(indices.data[i]), columns, 0.0F, target);
                    for (int64_t j = 0; j < count; ++j) {
                        target[j] /= 255.0F;
                    }
                }
            }
        }
    });
}

void check_indices(const Tensor<const int32_t, Host>& indices, int64_t count) {
    expects(std::all_of(indices.data, indices.data + indices.size(), [&](int32_t i) { return i >= 0 && i < count; }),
            "an index is that of no picture");
}

}  // namespace

int64_t augment_scratch_bytes(int64_t samples) {
    return scratch_part<AugmentSample>(samples);
}

void augment(Workers& workers, Tensor<const uint8_t, Host> pictures, Tensor<const int32_t, Host> indices,
             Tensor<const AugmentDraws, Host> draws, Tensor<float, Host> dst, const AugmentParams& params,
             const NormaliseParams& normalise, Bytes<Host> scratch) {
    check_augment(indices, draws, dst, params, normalise, scratch);
    check_data_set(pictures, dst);
    check_indices(indices, pictures.shape[0]);
    augment_samples(workers, DataSet<Host>{pictures.data, pictures.shape[1], pictures.shape[2]}, indices, draws, dst,
                    nullptr, params, normalise, scratch);
}

void augment_patches(Workers& workers, Batch<const uint8_t, Host> pictures, Batch<const uint8_t, Host> masks,
                     Tensor<const int32_t, Host> indices, Tensor<const AugmentDraws, Host> draws,
                     Tensor<float, Host> dst, Tensor<float, Host> targets, const AugmentParams& params,
                     const NormaliseParams& normalise, Bytes<Host> scratch) {
    check_augment(indices, draws, dst, params, normalise, scratch);
    check_patches(pictures, masks, dst, targets);
    check_indices(indices, pictures.count);
    for (int64_t i = 0; i < indices.size(); ++i) {
        const Image<const uint8_t, Host>& picture = pictures.images[indices.data[i]];
        const Image<const uint8_t, Host>& mask = masks.images[indices.data[i]];
        expects(same_size(picture, mask), "a mask has another size than its picture");
        expects(picture.height * std::max(picture.stride, mask.stride) < int64_t{1} << 31,
                "a picture has 2^31 pixels or more");
    }
    augment_samples(workers, MaskedImages<Host>{pictures.images, masks.images}, indices, draws, dst, targets.data,
                    params, normalise, scratch);
}

}  // namespace boneage

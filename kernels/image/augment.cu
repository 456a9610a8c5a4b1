#include "kernels/image/augment.h"
#include "kernels/image/augment_math.h"
#include "kernels/image/pixel_vectors.cuh"

namespace boneage {
namespace {

// A thread makes four neighbouring pixels: the words of one block of noise, and 16 bytes to store for each channel.
constexpr int kPixels = 4;
constexpr int kWarps = 8;
constexpr int kDrawThreads = 64;

// A sample's draws take some thousand float64 instructions: once here, not once a pixel.
template <class Source>
__global__ void __launch_bounds__(kDrawThreads)
    draw_samples_kernel(Source source, const int32_t* indices, const AugmentDraws* draws, int64_t count,
                        AugmentParams params, float mean_level, AugmentSize size, AugmentSample* samples) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * kDrawThreads + threadIdx.x;
    if (i < count) {
        const Image<const uint8_t, Device> picture = source.picture(indices[i]);
        samples[i] = draw_sample(*draws, i, params, mean_level, {picture.height, picture.width}, size);
    }
}

// A warp takes 128 columns of a row, blockIdx.z is the sample. Neighbouring pixels come from neighbouring places in any
// direction, so the four loads of each mostly hit L1.
template <class Source, int channels>
__global__ void __launch_bounds__(32 * kWarps)
    augment_kernel(Source source, const int32_t* indices, const AugmentSample* samples, float* dst, float* targets,
                   AugmentParams params, NormaliseParams normalise, AugmentSize size) {
    const int64_t column = (static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x) * kPixels;
    const int64_t y = static_cast<int64_t>(blockIdx.y) * kWarps + threadIdx.y;
    if (column >= size.width || y >= size.height) {
        return;
    }
    const int64_t i = blockIdx.z;
    const AugmentSample sample = samples[i];
    const SampleRow row(sample, size, y);
    const Image<const uint8_t, Device> picture = source.picture(indices[i]);
    std::array<uint32_t, 4> words{};
    if (sample.deviation > 0.0F) {
        words = noise_words(sample, column / kPixels, y);
    }
    const bool erased = erased_row(sample, y);
    float values[kPixels];
#pragma unroll
    for (int k = 0; k < kPixels; ++k) {
        const float level = level_at(picture, row.x(column + k), row.y(column + k), 255.0F * params.background);
        const bool hidden = erased && column + k >= sample.erase_left && column + k < sample.erase_right;
        const float z = sample.deviation > 0.0F ? nearly_normal(words[k]) : 0.0F;
        values[k] = hidden ? params.erase_level : value_of(sample, level, z);
    }
    const int64_t row_elements = size.width * channels;
    const Image<float, Device> rows(dst + i * size.height * row_elements, size.height, row_elements);
    const bool vectors = vector_rows<kPixels>(rows);
#pragma unroll
    for (int part = 0; part < channels; ++part) {
        PixelVector<float, kPixels> out;
#pragma unroll
        for (int k = 0; k < kPixels; ++k) {
            const int element = part * kPixels + k;
            const auto c = static_cast<size_t>(element % channels);
            out.set(k, (values[element / channels] - normalise.mean[c]) / normalise.deviation[c]);
        }
        store_vector(rows.row(y), column * channels + part * kPixels, row_elements, vectors, out);
    }
    if constexpr (Source::kMasks) {
        const Image<const uint8_t, Device> mask = source.mask(indices[i]);
        const Image<float, Device> target_rows(targets + i * size.height * size.width, size.height, size.width);
        PixelVector<float, kPixels> out;
#pragma unroll
        for (int k = 0; k < kPixels; ++k) {
            out.set(k, level_at(mask, row.x(column + k), row.y(column + k), 0.0F) / 255.0F);
        }
        store_vector(target_rows.row(y), column, size.width, vector_rows<kPixels>(target_rows), out);
    }
}

template <class Source>
void augment_samples(Stream& stream, const Source& source, Tensor<const int32_t, Device> indices,
                     Tensor<const AugmentDraws, Device> draws, Tensor<float, Device> dst, float* targets,
                     const AugmentParams& params, const NormaliseParams& normalise, Bytes<Device> scratch) {
    const int64_t count = indices.size();
    const AugmentSize size{dst.shape[1], dst.shape[2]};
    auto* samples = ScratchCursor<Device>(scratch).take<AugmentSample>(count);
    Launch{dim3(blocks_for(count, kDrawThreads)), dim3(kDrawThreads), stream}(
        draw_samples_kernel<Source>, source, indices.data, draws.data, count, params, normalise.mean[0], size, samples);
    const auto kernel = dst.shape[3] == 1   ? augment_kernel<Source, 1>
                        : dst.shape[3] == 2 ? augment_kernel<Source, 2>
                                            : augment_kernel<Source, 3>;
    Launch{dim3(blocks_for(size.width, 32 * kPixels), blocks_for(size.height, kWarps), static_cast<unsigned>(count)),
           dim3(32, kWarps), stream}(kernel, source, indices.data, samples, dst.data, targets, params, normalise, size);
}

}  // namespace

void augment(Stream& stream, Tensor<const uint8_t, Device> pictures, Tensor<const int32_t, Device> indices,
             Tensor<const AugmentDraws, Device> draws, Tensor<float, Device> dst, const AugmentParams& params,
             const NormaliseParams& normalise, Bytes<Device> scratch) {
    check_augment(indices, draws, dst, params, normalise, scratch);
    check_data_set(pictures, dst);
    augment_samples(stream, DataSet<Device>{pictures.data, pictures.shape[1], pictures.shape[2]}, indices, draws, dst,
                    nullptr, params, normalise, scratch);
}

void augment_patches(Stream& stream, Batch<const uint8_t, Device> pictures, Batch<const uint8_t, Device> masks,
                     Tensor<const int32_t, Device> indices, Tensor<const AugmentDraws, Device> draws,
                     Tensor<float, Device> dst, Tensor<float, Device> targets, const AugmentParams& params,
                     const NormaliseParams& normalise, Bytes<Device> scratch) {
    check_augment(indices, draws, dst, params, normalise, scratch);
    check_patches(pictures, masks, dst, targets);
    augment_samples(stream, MaskedImages<Device>{pictures.images, masks.images}, indices, draws, dst, targets.data,
                    params, normalise, scratch);
}

}  // namespace boneage

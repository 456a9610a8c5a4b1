// One slice of a network input from one image, for the device twins of normalise.h and patches.h.
#pragma once

#include "kernels/image/normalise_math.h"
#include "kernels/image/pixel_vectors.cuh"

#include <type_traits>

namespace boneage {
namespace {

// What lies in memory for a T: a float, or a bfloat16's bits.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bfloat16>, uint16_t, float>;
template <class T>
constexpr int kSliceVector = kVectorPixels<Stored<T>>;

// The value of a pixel in channel c. For 8 bits every value there is is computed once a block and then looked up: two
// divisions for each element would take longer than the memory needs.
template <class P, class T, int channels>
class PixelValues {
public:
    // Called by all threads of a block of kMapWarps warps before any of them looks up.
    __device__ explicit PixelValues(const NormaliseParams& params) : params_(params) {
        static_assert(32 * kMapWarps == kValues, "a thread for each value");
        const unsigned value = threadIdx.y * 32 + threadIdx.x;
        Stored<T>* shared = table();
#pragma unroll
        for (int c = 0; c < channels; ++c) {
            shared[c * kValues + value] = compute(static_cast<P>(value), c);
        }
        __syncthreads();
    }
    __device__ Stored<T> operator()(P pixel, int c) const {
        return sizeof(P) == 1 ? table()[c * kValues + pixel] : compute(pixel, c);
    }

private:
    static constexpr int kValues = 256;

    __device__ static Stored<T>* table() {
        __shared__ Stored<T> values[channels * kValues];
        return values;
    }
    __device__ Stored<T> compute(P pixel, int c) const {
        // Selects, not an index: indexing parameters at run time would copy them to memory first.
        float mean = params_.mean[0];
        float deviation = params_.deviation[0];
#pragma unroll
        for (size_t k = 1; k < channels; ++k) {
            mean = static_cast<size_t>(c) == k ? params_.mean[k] : mean;
            deviation = static_cast<size_t>(c) == k ? params_.deviation[k] : deviation;
        }
        return std::bit_cast<Stored<T>>(stored<T>(normalised<P>(pixel, mean, deviation)));
    }

    const NormaliseParams& params_;
};

// Fills slice[height, width, channels]: position (y, x) shows pixel (y - top, x - left) of `src`, or black. A thread
// stores 16 bytes in each of its rows whatever the number of channels; the pixels behind them, neighbours of each other
// and of the other lanes', come out of L1.
template <int channels, class P, class T>
__device__ void fill_slice(const Image<const P, Device>& src, int64_t top, int64_t left, T* slice, int64_t height,
                           int64_t width, const PixelValues<P, T, channels>& values) {
    constexpr int kElements = kSliceVector<T>;
    const int64_t row_elements = width * channels;
    const int64_t first = map_column<kElements>();
    if (first >= row_elements) {
        return;
    }
    const int c = static_cast<int>(first % channels);
    const int column = static_cast<int>(first / channels - left);
    const int last_column = static_cast<int>(src.width) - 1;
    // All loads first, so that they are under way together: from the nearest column there is, without a branch.
    P pixels[kMapRows][kElements] = {};
#pragma unroll
    for (int i = 0; i < kMapRows; ++i) {
        const int64_t y = map_row(i) - top;
        if (y >= 0 && y < src.height && last_column >= 0) {
            const P* row = src.row(y);
#pragma unroll
            for (int k = 0; k < kElements; ++k) {
                const int wanted = column + (c + k) / channels;
                const int nearest = clamp(wanted, 0, last_column);
                const P pixel = __ldg(row + nearest);
                pixels[i][k] = wanted == nearest ? pixel : P(0);
            }
        }
    }
    const Image<Stored<T>, Device> rows(reinterpret_cast<Stored<T>*>(slice), height, row_elements);
    const bool vectors = vector_rows<kElements>(rows);
#pragma unroll
    for (int i = 0; i < kMapRows; ++i) {
        if (map_row(i) < height) {
            PixelVector<Stored<T>, kElements> out;
#pragma unroll
            for (int k = 0; k < kElements; ++k) {
                out.set(k, values(pixels[i][k], (c + k) % channels));
            }
            store_vector(rows.row(map_row(i)), first, row_elements, vectors, out);
        }
    }
}

template <class T>
Launch slice_launch(const Stream& stream, int64_t slices, int64_t height, int64_t width, int64_t channels) {
    const Batch<T, Device> rows{nullptr, slices, height, width * channels};
    return map_launch(stream, rows, kSliceVector<T>);
}

}  // namespace
}  // namespace boneage

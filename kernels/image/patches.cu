#include "kernels/image/normalise_rows.h"
#include "kernels/image/normalise_slice.cuh"
#include "kernels/image/patches.h"

namespace boneage {
namespace {

template <class P, class T, int channels>
__global__ void __launch_bounds__(32 * kMapWarps)
    gather_kernel(const Image<const P, Device>* sources, const PatchPlace* places, T* dst, int64_t patch,
                  NormaliseParams params) {
    const PixelValues<P, T, channels> values(params);
    const PatchPlace place = places[blockIdx.z];
    const Image<const P, Device> src = sources[place.image];
    fill_slice(src, -place.y, -place.x, dst + blockIdx.z * patch * patch * channels, patch, patch, values);
}

// A warp blends kBlendRows rows of 32 * kBlendColumns pixels. Patches lie anywhere, so 16-byte accesses would rarely be
// aligned; lanes side by side read 4 bytes each, and a thread's pixels lie 32 columns apart.
constexpr int kBlendWarps = 8;
constexpr int kBlendRows = 4;
constexpr int kBlendColumns = 4;

struct BlendSums {
    float values[kBlendRows][kBlendColumns] = {};
    float weights[kBlendRows][kBlendColumns] = {};
};

// Adds one patch, whose corner lies (top, left) of the warp's first pixel.
__device__ void add_patch(const float* __restrict__ values, const float* __restrict__ window, int patch, int top,
                          int left, BlendSums& sums) {
#pragma unroll
    for (int r = 0; r < kBlendRows; ++r) {
        const int row = r - top;
        if (row < 0 || row >= patch) {
            continue;
        }
#pragma unroll
        for (int c = 0; c < kBlendColumns; ++c) {
            const int column = c * 32 + static_cast<int>(threadIdx.x) - left;
            if (column >= 0 && column < patch) {
                const int64_t at = static_cast<int64_t>(row) * patch + column;
                const float weight = __ldg(window + at);
                sums.values[r][c] += weight * __ldg(values + at);
                sums.weights[r][c] += weight;
            }
        }
    }
}

// Four blocks at a time leave 64 registers a thread: enough for the sums of its pixels.
__global__ void __launch_bounds__(32 * kBlendWarps, 4)
    blend_kernel(const float* values, const PatchPlace* places, const int64_t* first, const float* window,
                 const Image<float, Device>* targets, int patch) {
    const Image<float, Device> dst = targets[blockIdx.z];
    const int64_t left = static_cast<int64_t>(blockIdx.x) * (32 * kBlendColumns);
    const int64_t top = (static_cast<int64_t>(blockIdx.y) * kBlendWarps + threadIdx.y) * kBlendRows;
    // Whole warps leave here, so the votes below always count 32 lanes.
    if (left >= dst.width || top >= dst.height) {
        return;
    }
    BlendSums sums;
    // Each lane tests a patch of the table against the warp's pixels; the few that reach them are added in table order.
    const int64_t end = first[blockIdx.z + 1];
    for (int64_t k = first[blockIdx.z]; k < end; k += 32) {
        int64_t y = 0;
        int64_t x = 0;
        bool reaches = false;
        if (k + threadIdx.x < end) {
            y = places[k + threadIdx.x].y - top;
            x = places[k + threadIdx.x].x - left;
            reaches = y < kBlendRows && y + patch > 0 && x < 32 * kBlendColumns && x + patch > 0;
        }
        for (unsigned hits = __ballot_sync(kAllLanes, reaches); hits != 0; hits &= hits - 1) {
            const int lane = __ffs(static_cast<int>(hits)) - 1;
            add_patch(values + (k + lane) * patch * patch, window, patch,
                      __shfl_sync(kAllLanes, static_cast<int>(y), lane),
                      __shfl_sync(kAllLanes, static_cast<int>(x), lane), sums);
        }
    }
#pragma unroll
    for (int r = 0; r < kBlendRows; ++r) {
#pragma unroll
        for (int c = 0; c < kBlendColumns; ++c) {
            const int64_t column = left + c * 32 + threadIdx.x;
            if (top + r < dst.height && column < dst.width) {
                const float weight = sums.weights[r][c];
                dst.at(top + r, column) = weight > 0.0F ? sums.values[r][c] / weight : 0.0F;
            }
        }
    }
}

}  // namespace

template <class P, class T>
void gather_patches(Stream& stream, Batch<const P, Device> src, Tensor<const PatchPlace, Device> places,
                    Tensor<T, Device> dst, const NormaliseParams& params) {
    const int64_t patch = dst.shape[1];
    const int64_t channels = dst.shape[3];
    expects(dst.shape[0] == places.size() && dst.shape[2] == patch, "dst must be [places, p, p, c]");
    expects(allowed(params, channels), "1 to 3 channels, deviations above 0");
    const auto kernel = channels == 1   ? gather_kernel<P, T, 1>
                        : channels == 2 ? gather_kernel<P, T, 2>
                                        : gather_kernel<P, T, 3>;
    slice_launch<T>(stream, places.size(), patch, patch, channels)(kernel, src.images, places.data, dst.data, patch,
                                                                   params);
}

template void gather_patches(Stream&, Batch<const uint8_t, Device>, Tensor<const PatchPlace, Device>,
                             Tensor<float, Device>, const NormaliseParams&);
template void gather_patches(Stream&, Batch<const uint8_t, Device>, Tensor<const PatchPlace, Device>,
                             Tensor<bfloat16, Device>, const NormaliseParams&);
template void gather_patches(Stream&, Batch<const uint16_t, Device>, Tensor<const PatchPlace, Device>,
                             Tensor<float, Device>, const NormaliseParams&);
template void gather_patches(Stream&, Batch<const uint16_t, Device>, Tensor<const PatchPlace, Device>,
                             Tensor<bfloat16, Device>, const NormaliseParams&);

void blend_patches(Stream& stream, Tensor<const float, Device> values, Tensor<const PatchPlace, Device> places,
                   Tensor<const int64_t, Device> first, Tensor<const float, Device> window, Batch<float, Device> dst) {
    const int64_t patch = values.shape[1];
    expects(values.shape[0] == places.size() && values.shape[2] == patch && values.shape[3] == 1,
            "values must be [places, p, p]");
    expects(window.size() == patch * patch, "window must be [p, p]");
    expects(first.size() == dst.count + 1, "first must have one entry more than there are images");
    const dim3 grid(blocks_for(dst.max_width, 32 * kBlendColumns), blocks_for(dst.max_height, kBlendRows * kBlendWarps),
                    static_cast<unsigned>(dst.count));
    Launch{grid, dim3(32, kBlendWarps), stream}(blend_kernel, values.data, places.data, first.data, window.data,
                                                dst.images, static_cast<int>(patch));
}

}  // namespace boneage

#include "kernels/image/float_bits.cuh"
#include "kernels/image/pixel_vectors.cuh"
#include "kernels/image/sharpen.h"
#include "kernels/image/sharpen_math.h"

namespace boneage {
namespace {

// A thread owns 16 bytes of a row and marches down kRows rows, keeping the three rows of its window in registers: each
// pixel is loaded once per block (and twice at the block's top and bottom, where L2 serves it), a row ahead of its use.
// Its left and right neighbours come from the lanes beside it, so no shared memory and no barrier are needed.
constexpr int kRows = 16;
constexpr int kWarpsPerBlock =
    4;  // four warps march over four bands of rows: 128 threads hide the latency of the loads

// A thread's pixels of one row as loaded, and what no lane beside it holds: see Edges.
template <class P>
struct LoadedRow {
    PixelVector<P, kVectorPixels<P>> own;
    P left{};
    P right{};
};

// One row of a thread's window: its own pixels and the one on either side.
template <class P>
struct RowWindow {
    P left;
    PixelVector<P, kVectorPixels<P>> own;
    P right;
};

// The neighbours that a thread loads itself, by their columns, or -1: the first lane's left one; the last lane's right
// one; and for the last column its mirrored one, which takes the place of the first pixel past it. Other columns
// outside the image are never used for a pixel inside it.
template <class P>
struct Edges {
    static constexpr int kPixels = kVectorPixels<P>;
    static constexpr int kPerWord = PixelVector<P, kPixels>::kPerWord;
    int64_t left = -1;
    int64_t right = -1;
    int mirrored = -1;  // where in the vector the mirrored pixel goes, kPixels: beside it

    __device__ Edges(int64_t x, int64_t width) {
        if (x >= width) {
            return;
        }
        if (threadIdx.x == 0) {
            left = reflect_101(x - 1, width);
        }
        if (width - x <= kPixels) {
            mirrored = static_cast<int>(width - x);
            right = reflect_101(width, width);
        } else if (threadIdx.x == 31) {
            right = x + kPixels;
        }
    }
    // For columns [x, x + kPixels).
    __device__ LoadedRow<P> load(const Image<const P, Device>& image, int64_t y, int64_t x, bool vectors) const {
        const P* row = image.row(reflect_101(y, image.height));
        LoadedRow<P> loaded;
        loaded.own = load_vector<kPixels>(row, x, image.width, vectors);
        if (left >= 0) {
            loaded.left = row[left];
        }
        if (right >= 0) {
            loaded.right = row[right];
        }
        return loaded;
    }
    // Whole warps call it.
    __device__ RowWindow<P> window(const LoadedRow<P>& loaded) const {
        RowWindow<P> window;
        window.own = loaded.own;
        window.left = static_cast<P>(__shfl_up_sync(kAllLanes, static_cast<int>(loaded.own.get(kPixels - 1)), 1));
        window.right = static_cast<P>(__shfl_down_sync(kAllLanes, static_cast<int>(loaded.own.get(0)), 1));
        window.left = left >= 0 ? loaded.left : window.left;
        window.right = right >= 0 ? loaded.right : window.right;
        const uint32_t in_word = static_cast<uint32_t>(loaded.right) << (8 * sizeof(P) * (mirrored & (kPerWord - 1)));
#pragma unroll
        for (int i = 0; i < window.own.kWords; ++i) {
            // A comparison, not an index: the window has to stay in registers.
            window.own.word[i] |= mirrored >= 0 && mirrored / kPerWord == i ? in_word : 0U;
        }
        return window;
    }
};

template <class P>
__device__ P at(const RowWindow<P>& row, int i) {
    return i < 0 ? row.left : (i < kVectorPixels<P> ? row.own.get(i) : row.right);
}

template <SharpenKernel kernel, class P>
__device__ PixelVector<P, kVectorPixels<P>> sharpened(const RowWindow<P>& above, const RowWindow<P>& here,
                                                      const RowWindow<P>& below, float amount) {
    PixelVector<P, kVectorPixels<P>> out;
#pragma unroll
    for (int i = 0; i < kVectorPixels<P>; ++i) {
        out.set(i, sharpen_pixel<P>({at(above, i - 1), at(above, i), at(above, i + 1), at(here, i - 1), at(here, i),
                                     at(here, i + 1), at(below, i - 1), at(below, i), at(below, i + 1)},
                                    {kernel, amount}));
    }
    return out;
}

// A row window of bytes as halves of words, of which one instruction adds two: of four pixels the even ones and the odd
// ones, so that the neighbours of one kind are of the other. Sums of nine pixels fit into a half.
struct RowHalves {
    static constexpr int kWords = 4;
    uint32_t even[kWords], odd[kWords];
    uint32_t left;   // in the upper half: where the last odd pixel of the word before would be
    uint32_t right;  // in the lower half

    RowHalves() = default;
    __device__ explicit RowHalves(const RowWindow<uint8_t>& row)
        : left(static_cast<uint32_t>(row.left) << 16), right(row.right) {
#pragma unroll
        for (int i = 0; i < kWords; ++i) {
            even[i] = row.own.word[i] & 0x00ff00ffU;
            odd[i] = row.own.word[i] >> 8 & 0x00ff00ffU;
        }
    }
    // The upper half of the first and the lower half of the second.
    [[nodiscard]] __device__ static uint32_t between(uint32_t first, uint32_t second) {
        return __byte_perm(first, second, 0x5432U);
    }
    [[nodiscard]] __device__ uint32_t left_of_even(int i) const {
        return between(i > 0 ? odd[i - 1] : left, odd[i]);
    }
    [[nodiscard]] __device__ uint32_t right_of_odd(int i) const {
        return between(even[i], i + 1 < kWords ? even[i + 1] : right);
    }
};

__device__ RowHalves sum_of(const RowHalves& a, const RowHalves& b) {
    RowHalves sum;
#pragma unroll
    for (int i = 0; i < RowHalves::kWords; ++i) {
        sum.even[i] = a.even[i] + b.even[i];
        sum.odd[i] = a.odd[i] + b.odd[i];
    }
    sum.left = a.left + b.left;
    sum.right = a.right + b.right;
    return sum;
}

constexpr uint32_t both(uint32_t half) {
    return half << 16 | half;
}

// sharpen_pixel() of `unsharp` for one half, of which the lowest 16 bits count. Clamped before it is rounded, which
// gives the same.
template <int half>
__device__ __forceinline__ uint32_t unsharp_half(uint32_t c, uint32_t laplacian, uint32_t bias, float amount) {
    const float sharp = half_as_float<half>(c) - amount * half_as_float<half>(laplacian, bias);
    return rounded_bits(fminf(fmaxf(sharp, 0.0F), 255.0F));
}

// sharpen_pixel() for two pixels: `cross` and `corners` are the sums of their neighbours.
template <SharpenKernel kernel>
__device__ __forceinline__ uint32_t sharpen_halves(uint32_t c, uint32_t cross, uint32_t corners, float amount) {
    // Keeps every half from becoming negative, which would borrow from the other.
    constexpr uint32_t kBias = 2048;
    if constexpr (kernel == SharpenKernel::unsharp) {
        const uint32_t biased = 2 * corners + both(kBias) - 8 * c;
        return __byte_perm(unsharp_half<0>(c, biased, kBias, amount), unsharp_half<1>(c, biased, kBias, amount),
                           0x5410U);
    }
    const uint32_t biased =
        kernel == SharpenKernel::laplacian4 ? 5 * c + both(kBias) - cross : 9 * c + both(kBias) - cross - corners;
    return __vminu2(__vmaxu2(biased, both(kBias)), both(kBias + 255)) - both(kBias);
}

template <SharpenKernel kernel>
__device__ PixelVector<uint8_t, 16> sharpened(const RowHalves& above, const RowHalves& here, const RowHalves& below,
                                              float amount) {
    const RowHalves sides = sum_of(above, below);
    PixelVector<uint8_t, 16> out;
#pragma unroll
    for (int i = 0; i < RowHalves::kWords; ++i) {
        const uint32_t even = sharpen_halves<kernel>(here.even[i], sides.even[i] + here.left_of_even(i) + here.odd[i],
                                                     sides.left_of_even(i) + sides.odd[i], amount);
        const uint32_t odd = sharpen_halves<kernel>(here.odd[i], sides.odd[i] + here.even[i] + here.right_of_odd(i),
                                                    sides.even[i] + sides.right_of_odd(i), amount);
        out.word[i] = even | odd << 8;
    }
    return out;
}

// What a thread keeps of a row.
template <class P>
using KeptRow = std::conditional_t<sizeof(P) == 1, RowHalves, RowWindow<P>>;

// `masks` is null, and `background` unused, unless kMasked.
template <class P, SharpenKernel kernel, bool kMasked>
__global__ void __launch_bounds__(32 * kWarpsPerBlock)
    sharpen_kernel(const Image<const P, Device>* sources, const Image<const uint8_t, Device>* masks,
                   const Image<P, Device>* targets, float amount, P background) {
    constexpr int kPixels = kVectorPixels<P>;
    const Image<const P, Device> src = sources[blockIdx.z];
    const Image<P, Device> dst = targets[blockIdx.z];
    const int64_t x = (static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x) * kPixels;
    const int64_t begin = (static_cast<int64_t>(blockIdx.y) * kWarpsPerBlock + threadIdx.y) * kRows;
    const int64_t end = begin + kRows < src.height ? begin + kRows : src.height;
    // Whole warps leave here, so the shuffles below always find all 32 lanes.
    if (begin >= end || static_cast<int64_t>(blockIdx.x) * 32 * kPixels >= src.width) {
        return;
    }
    const bool vectors = vector_rows<kPixels>(src) && vector_rows<kPixels>(dst);
    Image<const uint8_t, Device> mask;
    bool mask_vectors = false;
    if constexpr (kMasked) {
        mask = masks[blockIdx.z];
        mask_vectors = vector_rows<kPixels>(mask);
    }
    const Edges<P> edges(x, src.width);
    const LoadedRow<P> first = edges.load(src, begin - 1, x, vectors);
    const LoadedRow<P> second = edges.load(src, begin, x, vectors);
    LoadedRow<P> next = edges.load(src, begin + 1, x, vectors);
    KeptRow<P> above(edges.window(first));
    KeptRow<P> here(edges.window(second));
    for (int64_t y = begin; y < end; ++y) {
        const KeptRow<P> below(edges.window(next));
        if (y + 1 < end) {
            next = edges.load(src, y + 2, x, vectors);
        }
        PixelVector<uint8_t, kPixels> kept;
        if constexpr (kMasked) {
            kept = load_vector<kPixels>(mask.row(y), x, mask.width, mask_vectors);
        }
        PixelVector<P, kPixels> out = sharpened<kernel>(above, here, below, amount);
        if constexpr (kMasked) {
            PixelVector<P, kPixels> masked;
#pragma unroll
            for (int i = 0; i < kPixels; ++i) {
                masked.set(i, kept.get(i) != 0 ? out.get(i) : background);
            }
            out = masked;
        }
        store_vector(dst.row(y), x, dst.width, vectors, out);
        above = here;
        here = below;
    }
}

template <class P, bool kMasked>
void launch(Stream& stream, Batch<const P, Device> src, const Image<const uint8_t, Device>* masks, Batch<P, Device> dst,
            const SharpenParams& params, P background) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    const auto kernel =
        params.kernel == SharpenKernel::laplacian4   ? sharpen_kernel<P, SharpenKernel::laplacian4, kMasked>
        : params.kernel == SharpenKernel::laplacian8 ? sharpen_kernel<P, SharpenKernel::laplacian8, kMasked>
                                                     : sharpen_kernel<P, SharpenKernel::unsharp, kMasked>;
    const dim3 grid(blocks_for(src.max_width, 32 * kVectorPixels<P>),
                    blocks_for(src.max_height, kRows * kWarpsPerBlock), static_cast<unsigned>(src.count));
    Launch{grid, dim3(32, kWarpsPerBlock), stream}(kernel, src.images, masks, dst.images, params.amount, background);
}

}  // namespace

template <class P>
void sharpen(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, const SharpenParams& params) {
    launch<P, false>(stream, src, nullptr, dst, params, P{0});
}

template <class P>
void sharpen_masked(Stream& stream, Batch<const P, Device> src, Batch<const uint8_t, Device> mask, Batch<P, Device> dst,
                    const SharpenParams& params, std::type_identity_t<P> background) {
    expects(src.count == mask.count, "src and mask must hold as many images");
    launch<P, true>(stream, src, mask.images, dst, params, background);
}

template void sharpen(Stream&, Batch<const uint8_t, Device>, Batch<uint8_t, Device>, const SharpenParams&);
template void sharpen(Stream&, Batch<const uint16_t, Device>, Batch<uint16_t, Device>, const SharpenParams&);
template void sharpen_masked(Stream&, Batch<const uint8_t, Device>, Batch<const uint8_t, Device>,
                             Batch<uint8_t, Device>, const SharpenParams&, uint8_t);
template void sharpen_masked(Stream&, Batch<const uint16_t, Device>, Batch<const uint8_t, Device>,
                             Batch<uint16_t, Device>, const SharpenParams&, uint16_t);

}  // namespace boneage

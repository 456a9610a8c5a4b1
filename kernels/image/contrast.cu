#include "kernels/base/buffer.h"
#include "kernels/image/contrast.h"
#include "kernels/image/contrast_math.h"
#include "kernels/image/pixel_vectors.cuh"

namespace boneage {
namespace {

// Percentiles are found by digits of 8 bits, like a radix sort that only follows the ranks it is asked for. Bytes have
// one digit. Of 16 bits the upper digits are counted first; then, in a second pass over the image, the lower digits of
// the pixels that share an upper digit with one of the ranks. Two passes with counters in shared memory take less time
// than one that counts 65,536 values in global memory, above all where most pixels have one value, as radiographs do.
constexpr int kDigits = 256;
constexpr int kRanks = 4;  // on both sides of both percentiles
constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kRowsPerBlock = 64;
static_assert(kThreads == kDigits, "a thread for each digit");

// 32 KiB of counters: kCopies<tables> of each, so that lanes seldom meet in one (with 32, never: bank is lane).
constexpr int kCounters = 8192;
template <int tables>
constexpr int kCopies = kCounters / (tables * kDigits);

// Global counts of one image: the upper (or only) digits, then for 16 bits a table of lower digits for each rank.
template <class P>
constexpr int64_t kImageCounts = sizeof(P) == 1 ? kDigits : (1 + kRanks) * kDigits;

template <int tables>
__device__ __forceinline__ int counter(int table, uint32_t digit) {
    constexpr int kLaneCopies = kCopies<tables>;
    return (table * kDigits + static_cast<int>(digit)) * kLaneCopies + static_cast<int>(threadIdx.x) % kLaneCopies;
}

// Calls visit(pixel) for the pixels of this warp's rows.
template <class P, class Visit>
__device__ void visit_rows(const Image<const P, Device>& src, const Visit& visit) {
    constexpr int kPixels = kVectorPixels<P>;
    const bool vectors = vector_rows<kPixels>(src);
    const int64_t top = static_cast<int64_t>(blockIdx.x) * kRowsPerBlock;
    const int64_t bottom = top + kRowsPerBlock < src.height ? top + kRowsPerBlock : src.height;
    for (int64_t y = top + threadIdx.y; y < bottom; y += kWarps) {
        const P* row = src.row(y);
        for (int64_t x = threadIdx.x * kPixels; x < src.width; x += 32 * kPixels) {
            const PixelVector<P, kPixels> pixels = load_vector<kPixels>(row, x, src.width, vectors);
            // Nearly all are whole, and go without a question and a branch for every pixel.
            if (x + kPixels <= src.width) {
#pragma unroll
                for (int k = 0; k < kPixels; ++k) {
                    visit(pixels.get(k));
                }
            } else {
                const int inside = static_cast<int>(src.width - x);
#pragma unroll
                for (int k = 0; k < kPixels; ++k) {
                    if (k < inside) {
                        visit(pixels.get(k));
                    }
                }
            }
        }
    }
}

__device__ void clear_counters(uint32_t* counters) {
    for (int i = static_cast<int>(threadIdx.y * 32 + threadIdx.x); i < kCounters; i += kThreads) {
        counters[i] = 0;
    }
}

// Adds the block's counters to the image's counts; a thread for each digit. Neighbouring threads start at different
// copies, because the same copy of neighbouring digits lies in one bank.
template <int tables>
__device__ void add_counters(const uint32_t* counters, uint32_t* counts) {
    const int digit = static_cast<int>(threadIdx.y * 32 + threadIdx.x);
#pragma unroll
    for (int table = 0; table < tables; ++table) {
        const uint32_t* copies = counters + (table * kDigits + digit) * kCopies<tables>;
        uint32_t sum = 0;
        for (int i = 0; i < kCopies<tables>; ++i) {
            sum += copies[(i + digit) % kCopies<tables>];
        }
        if (sum != 0) {
            atomicAdd(counts + table * kDigits + digit, sum);
        }
    }
}

// A rank among sorted pixels by the digit it falls on and its rank among the pixels with that digit.
struct RankedDigit {
    uint32_t digit;
    int64_t rank;
};

// By all threads of a block; every thread gets the answer. A rank that no pixel has (of an empty image) gives digit 0.
__device__ RankedDigit find_digit(const uint32_t* counts, int64_t rank) {
    __shared__ int64_t warp_totals[kWarps];
    __shared__ RankedDigit found;
    const unsigned lane = threadIdx.x;
    const unsigned digit = threadIdx.y * 32 + lane;
    const int64_t count = counts[digit];
    int64_t up_to = count;  // pixels with this digit or a lower one, of this warp's digits
    for (unsigned d = 1; d < 32; d *= 2) {
        const int64_t lower = __shfl_up_sync(kAllLanes, up_to, d);
        up_to += lane >= d ? lower : 0;
    }
    if (lane == 31) {
        warp_totals[threadIdx.y] = up_to;
    }
    if (digit == 0) {
        found = {0, 0};
    }
    __syncthreads();
    for (unsigned w = 0; w < threadIdx.y; ++w) {
        up_to += warp_totals[w];
    }
    const int64_t below = up_to - count;
    if (below <= rank && rank < up_to) {
        found = {digit, rank - below};
    }
    __syncthreads();
    const RankedDigit answer = found;
    __syncthreads();  // `found` may be reused by the next call
    return answer;
}

// The ranks whose pixels the two percentiles lie between.
__device__ void percentile_ranks(int64_t pixels, int64_t (&ranks)[kRanks]) {
    const int64_t first = percentile_position(pixels, 0.01).below;
    const int64_t last = percentile_position(pixels, 0.99).below;
    ranks[0] = first;
    ranks[1] = first + 1 < pixels ? first + 1 : pixels - 1;
    ranks[2] = last;
    ranks[3] = last + 1 < pixels ? last + 1 : pixels - 1;
}

// The table that counts the lower digits below upper digit digits[i]: ranks with one upper digit share one table.
__device__ int table_of(const uint32_t (&digits)[kRanks], int i) {
    for (int k = 0; k < i; ++k) {
        if (digits[k] == digits[i]) {
            return k;
        }
    }
    return i;
}

// Counts the upper digits of 16 bits, or bytes.
template <class P>
__global__ void __launch_bounds__(kThreads) count_kernel(const Image<const P, Device>* sources, uint32_t* counts) {
    __shared__ uint32_t counters[kCounters];
    const Image<const P, Device> src = sources[blockIdx.y];
    if (static_cast<int64_t>(blockIdx.x) * kRowsPerBlock >= src.height) {
        return;
    }
    clear_counters(counters);
    __syncthreads();
    constexpr int kShift = 8 * (static_cast<int>(sizeof(P)) - 1);
    visit_rows(src, [&](P pixel) { atomicAdd(&counters[counter<1>(0, pixel >> kShift)], 1U); });
    __syncthreads();
    add_counters<1>(counters, counts + blockIdx.y * kImageCounts<P>);
}

// Counts the lower digits of the pixels whose upper digit is that of a rank.
__global__ void __launch_bounds__(kThreads)
    count_lower_kernel(const Image<const uint16_t, Device>* sources, uint32_t* counts) {
    __shared__ uint32_t counters[kCounters];
    const Image<const uint16_t, Device> src = sources[blockIdx.y];
    if (static_cast<int64_t>(blockIdx.x) * kRowsPerBlock >= src.height) {
        return;
    }
    clear_counters(counters);
    uint32_t* image_counts = counts + blockIdx.y * kImageCounts<uint16_t>;
    int64_t ranks[kRanks];
    percentile_ranks(src.pixels(), ranks);
    uint32_t upper[kRanks];
#pragma unroll
    for (int i = 0; i < kRanks; ++i) {
        upper[i] = find_digit(image_counts, ranks[i]).digit;  // its barriers also end the clearing
    }
    visit_rows(src, [&](uint16_t pixel) {
        const uint32_t digit = pixel >> 8;
        // The first table of equal ones, as table_of() says: later matches are overwritten by earlier ones.
        int table = kRanks;
#pragma unroll
        for (int i = kRanks - 1; i >= 0; --i) {
            table = digit == upper[i] ? i : table;
        }
        if (table < kRanks) {
            atomicAdd(&counters[counter<kRanks>(table, pixel & 0xffU)], 1U);
        }
    });
    __syncthreads();
    add_counters<kRanks>(counters, image_counts + kDigits);
}

// One block an image: from counts to percentiles.
template <class P>
__global__ void __launch_bounds__(kThreads, 1)
    measure_kernel(const Image<const P, Device>* sources, const uint32_t* counts, ContrastStats* stats,
                   double threshold) {
    const int64_t pixels = sources[blockIdx.x].pixels();
    const uint32_t* image_counts = counts + blockIdx.x * kImageCounts<P>;
    int64_t ranks[kRanks];
    percentile_ranks(pixels, ranks);
    uint32_t upper[kRanks];
    double values[kRanks];
#pragma unroll
    for (int i = 0; i < kRanks; ++i) {
        const RankedDigit found = find_digit(image_counts, ranks[i]);
        upper[i] = found.digit;
        uint32_t value = found.digit;
        if constexpr (sizeof(P) == 2) {
            const uint32_t* lower = image_counts + (1 + table_of(upper, i)) * kDigits;
            value = value << 8 | find_digit(lower, found.rank).digit;
        }
        values[i] = static_cast<double>(value);
    }
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        const double p1 = percentile_between(values[0], values[1], percentile_position(pixels, 0.01).t);
        const double p99 = percentile_between(values[2], values[3], percentile_position(pixels, 0.99).t);
        stats[blockIdx.x] = contrast_stats<P>(p1, p99, threshold);
    }
}

}  // namespace

template <class P>
void contrast(Stream& stream, Batch<const P, Device> src, Tensor<ContrastStats, Device> stats,
              const ContrastParams& params, Bytes<Device> scratch) {
    expects(stats.size() == src.count, "there must be one result for each image");
    const int64_t needed = scratch_part<uint32_t>(src.count * kImageCounts<P>);
    expects(scratch.size >= needed && scratch.size >= contrast_scratch_bytes<P>(src.count), "scratch is too small");
    if (src.count == 0) {
        return;
    }
    uint32_t* counts = ScratchCursor<Device>(scratch).take<uint32_t>(src.count * kImageCounts<P>);
    clear_device(stream, counts, needed);
    const dim3 block(32, kWarps);
    const dim3 bands(blocks_for(src.max_height, kRowsPerBlock), static_cast<unsigned>(src.count));
    Launch{bands, block, stream}(count_kernel<P>, src.images, counts);
    if constexpr (sizeof(P) == 2) {
        Launch{bands, block, stream}(count_lower_kernel, src.images, counts);
    }
    Launch{dim3(static_cast<unsigned>(src.count)), block, stream}(measure_kernel<P>, src.images, counts, stats.data,
                                                                  params.threshold);
}

template void contrast(Stream&, Batch<const uint8_t, Device>, Tensor<ContrastStats, Device>, const ContrastParams&,
                       Bytes<Device>);
template void contrast(Stream&, Batch<const uint16_t, Device>, Tensor<ContrastStats, Device>, const ContrastParams&,
                       Bytes<Device>);

}  // namespace boneage

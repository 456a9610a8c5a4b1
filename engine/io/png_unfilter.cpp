#include "engine/io/png_unfilter.h"

#include <algorithm>
#include <array>

// The filters Sub, Average and Paeth need the pixel on the left, so a row cannot be vectorised along itself: each byte
// waits a dozen cycles for the one before it. But the byte on the right and the byte below wait only for this one, so
// rows can run at the same time when each lags one pixel behind the row above it:
//
//      row  0   a b c d E .        one step computes the capital letters,
//      row  1   a b c D . .        E needs d (its own row, the step before) and what stands
//      row  2   a b C . . .        above it (the row above, the step before)
//
// A vector holds one byte of each of sixteen rows, on that diagonal. "Left" is the result of the previous step, "above"
// is the same vector moved by one row, "above left" is the "above" of the step before. Rows may have different filters:
// each lane keeps the prediction of its own. The first lane carries the last finished row, so fifteen new rows are done
// in one sweep. Bytes get onto the diagonal, and off it, by transposing blocks of 16x16.
namespace boneage::io {
namespace {

constexpr int kLanes = 16;
using V = uint8_t __attribute__((vector_size(kLanes)));
using Block = std::array<V, kLanes>;

struct Filters {
    V sub, up, average, paeth;  // 255 in the lanes whose row has this filter
};

inline V load(const uint8_t* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
}
inline void store(uint8_t* to, V v) {
    std::memcpy(to, &v, sizeof v);
}
inline V select(V mask, V yes, V no) {
    return (mask & yes) | (~mask & no);
}
inline V min(V a, V b) {
    return a < b ? a : b;
}
inline V max(V a, V b) {
    return a > b ? a : b;
}
// Every lane takes the value of the lane before it; the first takes 0.
inline V from_row_above(V v) {
    return __builtin_shufflevector(V{}, v, 0, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}

// Four rounds of interleaving the halves exchange rows and columns.
inline void transpose(Block& m) {
    for (int round = 0; round < 4; ++round) {
        Block next;
#pragma GCC unroll 8
        for (size_t i = 0; i < 8; ++i) {
            next[2 * i] =
                __builtin_shufflevector(m[i], m[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] =
                __builtin_shufflevector(m[i], m[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        m = next;
    }
}

// What the row's filter adds, from the bytes on the left (a), above (b) and above left (c).
inline V predict(V a, V b, V c, const Filters& filters) {
    // Paeth takes whichever of a, b, c is nearest to a + b - c; their distances are |b-c|, |a-c| and |(b-c) + (a-c)|.
    // If c lies between a and b the third is the difference of the first two, else their sum, and c is not the nearest.
    const V low = min(a, b);
    const V high = max(a, b);
    const V to_a = max(b, c) - min(b, c);
    const V to_b = max(a, c) - min(a, c);
    const V nearer = min(to_a, to_b);
    const V to_c = max(to_a, to_b) - nearer;
    const V between = min(max(c, low), high) == c;
    const V take_c = between & (to_c < nearer);
    const V paeth = select(take_c, c, select(to_a <= to_b, a, b));
    const V average = (a & b) + (((a ^ b) >> 1) & 0x7f);
    return ((a & filters.sub) | (b & filters.up) | (average & filters.average)) | (paeth & filters.paeth);
}

// Sixteen steps. `results` holds the previous sixteen in its first half and gets the new ones in its second. Before a
// lane has reached its row's first byte its result must be 0, which is what PNG wants on the left of a row.
template <int pixel_bytes, bool at_start>
inline void sweep(const Block& filtered, std::array<V, 2 * kLanes>& results, const Filters& filters, int64_t step) {
    constexpr size_t kLag = pixel_bytes;
#pragma GCC unroll 16
    for (size_t s = 0; s < kLanes; ++s) {
        const V a = results[kLanes + s - kLag];
        const V b = from_row_above(a);
        const V c = from_row_above(results[kLanes + s - 2 * kLag]);
        V result = filtered[s] + predict(a, b, c, filters);
        if constexpr (at_start) {
            constexpr V kLane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
            const auto reached = static_cast<uint8_t>((step + static_cast<int64_t>(s)) / pixel_bytes);
            result &= kLane <= (V{} + reached);
        }
        results[kLanes + s] = result;
    }
}

// sources[r] is where row r's filtered bytes begin, targets[r] where its results go; each may be touched kMargin bytes
// before and after. sources[0] is a finished row.
template <int pixel_bytes>
void unfilter_band(const std::array<const uint8_t*, kLanes>& sources, const std::array<uint8_t*, kLanes>& targets,
                   int64_t row_bytes, const Filters& filters) {
    constexpr int64_t kLag = pixel_bytes;
    constexpr int64_t kStartSteps = (kLanes - 1) * kLag;
    std::array<V, 2 * kLanes> results{};
    const auto block = [&]<bool at_start>(int64_t step) {
        Block m;
        for (size_t r = 0; r < kLanes; ++r) {
            m[r] = load(sources[r] + step - static_cast<int64_t>(r) * kLag);
        }
        transpose(m);
        sweep<pixel_bytes, at_start>(m, results, filters, step);
        for (size_t s = 0; s < kLanes; ++s) {
            results[s] = results[kLanes + s];
            m[s] = results[s];
        }
        transpose(m);
        for (size_t r = 1; r < kLanes; ++r) {
            store(targets[r] + step - static_cast<int64_t>(r) * kLag, m[r]);
        }
    };
    const int64_t steps = row_bytes + kStartSteps;
    int64_t step = 0;
    for (; step < kStartSteps && step < steps; step += kLanes) {
        block.template operator()<true>(step);
    }
    for (; step < steps; step += kLanes) {
        block.template operator()<false>(step);
    }
}

void unfilter_band(const std::array<const uint8_t*, kLanes>& sources, const std::array<uint8_t*, kLanes>& targets,
                   int64_t row_bytes, const Filters& filters, int pixel_bytes) {
    switch (pixel_bytes) {
        case 1:
            return unfilter_band<1>(sources, targets, row_bytes, filters);
        case 2:
            return unfilter_band<2>(sources, targets, row_bytes, filters);
        case 3:
            return unfilter_band<3>(sources, targets, row_bytes, filters);
        case 4:
            return unfilter_band<4>(sources, targets, row_bytes, filters);
        case 6:
            return unfilter_band<6>(sources, targets, row_bytes, filters);
        default:
            return unfilter_band<8>(sources, targets, row_bytes, filters);
    }
}

Filters filters_of(const uint8_t* filtered, int64_t pitch, int64_t rows) {
    Filters filters{};
    for (int64_t r = 0; r < rows; ++r) {
        const auto lane = static_cast<size_t>(r + 1);
        switch (filtered[r * pitch]) {
            case 1:
                filters.sub[lane] = 255;
                break;
            case 2:
                filters.up[lane] = 255;
                break;
            case 3:
                filters.average[lane] = 255;
                break;
            case 4:
                filters.paeth[lane] = 255;
                break;
            default:
                break;
        }
    }
    return filters;
}

}  // namespace

bool PngUnfilter::run(const uint8_t* filtered, int64_t rows, int64_t row_bytes, int pixel_bytes,
                      const std::function<void(int64_t, const uint8_t*)>& sink) {
    const int64_t pitch = row_bytes + 1;
    for (int64_t y = 0; y < rows; ++y) {
        if (filtered[y * pitch] > 4) {
            return false;
        }
    }
    const int64_t stride = round_up(row_bytes, kLanes) + 2 * kMargin;
    band_.reserve(kLanes * stride);
    std::array<uint8_t*, kLanes> targets;
    for (size_t r = 0; r < kLanes; ++r) {
        targets[r] = band_.data() + static_cast<int64_t>(r) * stride + kMargin;
    }
    std::memset(targets[0], 0, static_cast<size_t>(row_bytes));
    constexpr int64_t kNewRows = kLanes - 1;
    for (int64_t begin = 0; begin < rows; begin += kNewRows) {
        const int64_t count = std::min(kNewRows, rows - begin);
        const uint8_t* first = filtered + begin * pitch;
        std::array<const uint8_t*, kLanes> sources;
        sources[0] = targets[0];
        for (int64_t r = 0; r < kNewRows; ++r) {
            // Lanes without a row repeat the last one; nobody looks at what they make of it.
            sources[static_cast<size_t>(r + 1)] = first + std::min(r, count - 1) * pitch + 1;
        }
        unfilter_band(sources, targets, row_bytes, filters_of(first, pitch, count), pixel_bytes);
        for (int64_t r = 0; r < count; ++r) {
            sink(begin + r, targets[static_cast<size_t>(r + 1)]);
        }
        std::memcpy(targets[0], targets[kLanes - 1], static_cast<size_t>(row_bytes));
    }
    return true;
}

}  // namespace boneage::io

#include "kernels/image/contrast.h"

#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/image/contrast_math.h"

#include <algorithm>

namespace boneage {
namespace {

template <class P>
constexpr int64_t kBins = int64_t{std::numeric_limits<P>::max()} + 1;

// Each part of the rows is counted into a table of its own; the tables are added in the end. Four interleaved tables
// for 8 bits, because increments of one counter wait for each other. 16-bit pixels use one, shared by one thread.
template <class P>
constexpr int64_t kTables = sizeof(P) == 1 ? 4 : 1;
template <class P>
constexpr int64_t kParts = sizeof(P) == 1 ? 8 : 2;

template <class P>
void count_rows(const Image<const P, Host>& src, int64_t begin, int64_t end, uint32_t* tables) {
    for (int64_t y = begin; y < end; ++y) {
        const P* row = src.row(y);
        int64_t x = 0;
        if constexpr (kTables<P> == 4) {
            for (; x + 4 <= src.width; x += 4) {
                ++tables[row[x]];
                ++tables[kBins<P> + row[x + 1]];
                ++tables[2 * kBins<P> + row[x + 2]];
                ++tables[3 * kBins<P> + row[x + 3]];
            }
        }
        for (; x < src.width; ++x) {
            ++tables[row[x]];
        }
    }
}

// The value of the pixel at `rank` among the sorted pixels.
double value_at_rank(const uint32_t* histogram, int64_t rank) {
    int64_t value = 0;
    int64_t seen = histogram[0];
    while (seen <= rank) {
        seen += histogram[++value];
    }
    return static_cast<double>(value);
}

double percentile(const uint32_t* histogram, int64_t n, double q) {
    const PercentilePosition at = percentile_position(n, q);
    const double a = value_at_rank(histogram, at.below);
    const double b = value_at_rank(histogram, std::min(at.below + 1, n - 1));
    return percentile_between(a, b, at.t);
}

template <class P>
ContrastStats measure(Workers& workers, const Image<const P, Host>& src, const ContrastParams& params,
                      uint32_t* tables) {
    constexpr int64_t kTableSet = kTables<P> * kBins<P>;
    std::fill(tables, tables + kParts<P> * kTableSet, 0);
    workers.parallel_for(kParts<P>, 1, [&](int64_t begin, int64_t end) {
        for (int64_t part = begin; part < end; ++part) {
            count_rows(src, src.height * part / kParts<P>, src.height * (part + 1) / kParts<P>,
                       tables + part * kTableSet);
        }
    });
    for (int64_t table = 1; table < kParts<P> * kTables<P>; ++table) {
        for (int64_t bin = 0; bin < kBins<P>; ++bin) {
            tables[bin] += tables[table * kBins<P> + bin];
        }
    }
    const int64_t n = src.pixels();
    return contrast_stats<P>(percentile(tables, n, 0.01), percentile(tables, n, 0.99), params.threshold);
}

}  // namespace

// The device twin's counts, at most 5 KiB an image, fit into this too; it checks.
template <class P>
int64_t contrast_scratch_bytes(int64_t count) {
    return count * scratch_part<uint32_t>(kParts<P> * kTables<P> * kBins<P>);
}

template <class P>
void contrast(Workers& workers, Batch<const P, Host> src, Tensor<ContrastStats, Host> stats,
              const ContrastParams& params, Bytes<Host> scratch) {
    expects(stats.size() == src.count, "there must be one result for each image");
    expects(src.count == 0 || scratch.size >= contrast_scratch_bytes<P>(1), "scratch is too small");
    for (int64_t i = 0; i < src.count; ++i) {
        expects(!src.images[i].empty(), "an image without pixels has no contrast");
        stats.data[i] = measure(workers, src.images[i], params, reinterpret_cast<uint32_t*>(scratch.data));
    }
}

template int64_t contrast_scratch_bytes<uint8_t>(int64_t);
template int64_t contrast_scratch_bytes<uint16_t>(int64_t);
template void contrast(Workers&, Batch<const uint8_t, Host>, Tensor<ContrastStats, Host>, const ContrastParams&,
                       Bytes<Host>);
template void contrast(Workers&, Batch<const uint16_t, Host>, Tensor<ContrastStats, Host>, const ContrastParams&,
                       Bytes<Host>);

}  // namespace boneage

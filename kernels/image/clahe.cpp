#include "kernels/image/clahe.h"

#include "kernels/base/buffer.h"
#include "kernels/base/error.h"
#include "kernels/image/clahe_math.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace boneage {
namespace {

int64_t cells(const ClaheParams& params) {
    return (params.tiles_x + 1) * (params.tiles_y + 1);
}

// Four 8-bit tables of a cell side by side, so that one load gives all four values of a pixel.
using Packed = uint32_t;

template <class P>
struct Scratch {
    int32_t* histograms;  // [tiles][bins]
    P* luts;              // [tiles][bins]
    Packed* packed;       // [cells][256], u8 only
};

// Counts one tile's pixels. Four tables for neighbouring pixels, because increments of one counter must wait for each
// other, and neighbours in a radiograph are often equal; 16-bit tables are too large to keep four.
template <class P>
void count_tile(const Image<const P, Host>& src, const ClaheGrid& grid, int64_t tile_y, int64_t tile_x,
                int32_t* histogram) {
    constexpr int kTables = sizeof(P) == 1 ? 4 : 1;
    std::array<std::array<int32_t, sizeof(P) == 1 ? 256 : 1>, 4> tables{};
    std::fill(histogram, histogram + kClaheBins<P>, 0);
    const auto count = [&](P value, int table) {
        if constexpr (kTables == 4) {
            ++tables[static_cast<size_t>(table)][value];
        } else {
            ++histogram[value];
        }
    };
    const int64_t begin = tile_x * grid.tile_width;
    const int64_t end = begin + grid.tile_width;
    const int64_t inside = std::clamp(src.width, begin, end);
    for (int64_t y = tile_y * grid.tile_height; y < (tile_y + 1) * grid.tile_height; ++y) {
        const P* row = src.row(reflect_101(y, src.height));
        int64_t x = begin;
        for (; x + 4 <= inside; x += 4) {
            count(row[x], 0);
            count(row[x + 1], 1);
            count(row[x + 2], 2);
            count(row[x + 3], 3);
        }
        for (; x < inside; ++x) {
            count(row[x], 0);
        }
        for (; x < end; ++x) {
            count(row[reflect_101(x, src.width)], 1);
        }
    }
    if constexpr (kTables == 4) {
        for (size_t bin = 0; bin < 256; ++bin) {
            histogram[bin] = tables[0][bin] + tables[1][bin] + tables[2][bin] + tables[3][bin];
        }
    }
}

template <class P>
void make_lut(int32_t* histogram, const ClaheGrid& grid, P* lut) {
    constexpr int32_t kBins = kClaheBins<P>;
    if (grid.clip > 0) {
        int32_t cut_off = 0;
        for (int32_t bin = 0; bin < kBins; ++bin) {
            const int32_t excess = std::max(histogram[bin] - grid.clip, 0);
            cut_off += excess;
            histogram[bin] -= excess;
        }
        const int32_t share = cut_off / kBins;
        int32_t residual = cut_off - share * kBins;
        for (int32_t bin = 0; bin < kBins; ++bin) {
            histogram[bin] += share;
        }
        if (residual > 0) {
            const int32_t step = clahe_residual_step(kBins, residual);
            for (int32_t bin = 0; bin < kBins && residual > 0; bin += step, --residual) {
                ++histogram[bin];
            }
        }
    }
    int32_t cumulative = 0;
    for (int32_t bin = 0; bin < kBins; ++bin) {
        cumulative += histogram[bin];
        lut[bin] = clahe_lut_value<P>(cumulative, grid.lut_scale);
    }
}

void pack_cell(const uint8_t* luts, const ClaheParams& params, int64_t cell, Packed* packed) {
    const int64_t cell_x = cell % (params.tiles_x + 1);
    const int64_t cell_y = cell / (params.tiles_x + 1);
    const int64_t x1 = std::max<int64_t>(cell_x - 1, 0);
    const int64_t x2 = std::min(cell_x, params.tiles_x - 1);
    const int64_t y1 = std::max<int64_t>(cell_y - 1, 0);
    const int64_t y2 = std::min(cell_y, params.tiles_y - 1);
    const auto lut = [&](int64_t y, int64_t x) { return luts + (y * params.tiles_x + x) * 256; };
    for (int64_t v = 0; v < 256; ++v) {
        packed[cell * 256 + v] = static_cast<Packed>(lut(y1, x1)[v]) | static_cast<Packed>(lut(y1, x2)[v]) << 8U |
                                 static_cast<Packed>(lut(y2, x1)[v]) << 16U |
                                 static_cast<Packed>(lut(y2, x2)[v]) << 24U;
    }
}

template <class P>
void blend_rows(const Image<const P, Host>& src, const Image<P, Host>& dst, const ClaheParams& params,
                const ClaheGrid& grid, const Scratch<P>& scratch, int64_t begin, int64_t end) {
    int64_t cell_begin = 0;
    for (int64_t cell_x = 0; cell_x <= params.tiles_x; ++cell_x) {
        const int64_t last = clahe_cell_end(cell_x, src.width, grid.inverse_width, grid.tile_width, params.tiles_x);
        for (int64_t y = begin; y < end; ++y) {
            const ClaheBlend vertical = clahe_blend(static_cast<int32_t>(y), grid.inverse_height, params.tiles_y);
            const float ay = vertical.weight;
            const P* in = src.row(y);
            P* out = dst.row(y);
            // Pixels may alias anything: what the inner loops read besides them must lie in registers.
            const float scale = grid.inverse_width;
            const float first_tile = static_cast<float>(static_cast<int32_t>(cell_x) - 1);
            const auto weight = [scale, first_tile](int64_t x) {
                const float t = static_cast<float>(static_cast<int32_t>(x)) * scale - 0.5F;
                return t - first_tile;
            };
            if constexpr (sizeof(P) == 1) {
                const auto cell_y =
                    static_cast<int64_t>(std::floor(static_cast<float>(y) * grid.inverse_height - 0.5F) + 1.0F);
                const Packed* table = scratch.packed + (cell_y * (params.tiles_x + 1) + cell_x) * 256;
#pragma GCC ivdep
                for (int64_t x = cell_begin; x < last; ++x) {
                    const Packed four = table[in[x]];
                    out[x] =
                        static_cast<P>(clahe_mix(static_cast<float>(static_cast<int32_t>(four & 255U)),
                                                 static_cast<float>(static_cast<int32_t>(four >> 8U & 255U)),
                                                 static_cast<float>(static_cast<int32_t>(four >> 16U & 255U)),
                                                 static_cast<float>(static_cast<int32_t>(four >> 24U)), weight(x), ay));
                }
            } else {
                const int64_t x1 = std::max<int64_t>(cell_x - 1, 0);
                const int64_t x2 = std::min(cell_x, params.tiles_x - 1);
                const auto lut = [&](int64_t ty, int64_t tx) {
                    return scratch.luts + (ty * params.tiles_x + tx) * kClaheBins<P>;
                };
                const P* l11 = lut(vertical.first, x1);
                const P* l12 = lut(vertical.first, x2);
                const P* l21 = lut(vertical.second, x1);
                const P* l22 = lut(vertical.second, x2);
#pragma GCC ivdep
                for (int64_t x = cell_begin; x < last; ++x) {
                    const P v = in[x];
                    out[x] = saturate<P>(clahe_mix(l11[v], l12[v], l21[v], l22[v], weight(x), ay));
                }
            }
        }
        cell_begin = last;
    }
}

template <class P>
void clahe_one(Workers& workers, const Image<const P, Host>& src, const Image<P, Host>& dst, const ClaheParams& params,
               const Scratch<P>& scratch) {
    const ClaheGrid grid = clahe_grid<P>(src.height, src.width, params);
    workers.parallel_for(params.tiles_x * params.tiles_y, 1, [&](int64_t begin, int64_t end) {
        for (int64_t tile = begin; tile < end; ++tile) {
            int32_t* histogram = scratch.histograms + tile * kClaheBins<P>;
            count_tile(src, grid, tile / params.tiles_x, tile % params.tiles_x, histogram);
            make_lut(histogram, grid, scratch.luts + tile * kClaheBins<P>);
        }
    });
    if constexpr (sizeof(P) == 1) {
        for (int64_t cell = 0; cell < cells(params); ++cell) {
            pack_cell(scratch.luts, params, cell, scratch.packed);
        }
    }
    workers.parallel_for(src.height, 8,
                         [&](int64_t begin, int64_t end) { blend_rows(src, dst, params, grid, scratch, begin, end); });
}

}  // namespace

template <class P>
int64_t clahe_scratch_bytes(const ClaheParams& params, int64_t count) {
    const int64_t tiles = params.tiles_x * params.tiles_y;
    const int64_t entries = tiles * kClaheBins<P>;
    const int64_t packed = sizeof(P) == 1 ? cells(params) * 256 : 0;
    const int64_t host = scratch_part<int32_t>(entries) + scratch_part<P>(entries) + scratch_part<Packed>(packed);
    const int64_t device = scratch_part<ClahePiece>(count * tiles * kClahePieces<P>) + scratch_part<P>(count * entries);
    return std::max(host, device);
}

template <class P>
void clahe(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, const ClaheParams& params,
           Bytes<Host> scratch) {
    expects(src.count == dst.count, "src and dst must hold as many images");
    expects(params.tiles_x >= 1 && params.tiles_y >= 1, "there must be at least one tile each way");
    expects(src.count == 0 || scratch.size >= clahe_scratch_bytes<P>(params, 1), "scratch is too small");
    const int64_t entries = params.tiles_x * params.tiles_y * kClaheBins<P>;
    ScratchCursor cursor(scratch);
    Scratch<P> parts{};
    parts.histograms = cursor.template take<int32_t>(entries);
    parts.luts = cursor.template take<P>(entries);
    parts.packed = cursor.template take<Packed>(sizeof(P) == 1 ? cells(params) * 256 : 0);
    for (int64_t i = 0; i < src.count; ++i) {
        expects(same_size(src.images[i], dst.images[i]), "src and dst must have the same size");
        if (!src.images[i].empty()) {
            clahe_one(workers, src.images[i], dst.images[i], params, parts);
        }
    }
}

template int64_t clahe_scratch_bytes<uint8_t>(const ClaheParams&, int64_t);
template int64_t clahe_scratch_bytes<uint16_t>(const ClaheParams&, int64_t);
template void clahe(Workers&, Batch<const uint8_t, Host>, Batch<uint8_t, Host>, const ClaheParams&, Bytes<Host>);
template void clahe(Workers&, Batch<const uint16_t, Host>, Batch<uint16_t, Host>, const ClaheParams&, Bytes<Host>);

}  // namespace boneage

// The union-find under the device twins of components.h: which pixels belong together.
#pragma once

#include "kernels/image/components.h"
#include "kernels/image/components_forest.h"
#include "kernels/image/pixel_bits.cuh"

#include <limits>

namespace boneage {
namespace {

// Union-find in a fixed number of launches. The set (foreground, or background when holes are filled) is kept as bits,
// and every run of them within a word is a node, named by its first pixel: y * 32 * words of a row + x. Its parent is a
// node that comes no later in reading order, so a root is the first pixel of what it names.
//   1. A block finds the components of its tile in shared memory; runs then point to their tile's root.
//   2. Words on both sides of a tile's border unite their roots. Only these few nodes of a component move.
//   3. Every run climbs to its root and its pixels become what is asked for.
// Parents only ever decrease, by atomicMin, so threads may climb while others unite, and the roots in the end do not
// depend on who came first.
constexpr int kTileWords = 8;  // of a row
constexpr int kTileColumns = kTileWords * kWordPixels;
constexpr int kTileRows = 32;
constexpr int kTileThreads = kTileWords * kTileRows;  // one for each word, row after row

constexpr int32_t kOutside = -1;  // root of all background that reaches the border of its image: before any pixel

// The largest component so far: its pixels, then the complement of its root, so that of equals the first wins.
using Candidate = unsigned long long;
constexpr uint32_t kRootComplement = 0xffffffffU;

// A number for each node. Of the places for the runs of a word, the first belong to those that begin at bits 0 or 1,
// and most runs do: they lie side by side, and the places of the others are hardly ever touched.
struct PerNode {
    int32_t* values;
    int32_t words;

    [[nodiscard]] __device__ int32_t* of(int32_t node) const {
        const auto n = static_cast<uint32_t>(node);
        return values + (n % kWordPixels / 2 * static_cast<uint32_t>(words) + n / kWordPixels);
    }
};

struct Forest {
    uint32_t* bits;
    int32_t* parents;
    int32_t* sizes;       // pixels of a tile's component at its root, else 0; later of whole components
    Candidate* largest;   // [images]
    int64_t image_words;  // from one image's words to the next's

    [[nodiscard]] __device__ uint32_t* bits_of_image() const { return bits + blockIdx.z * image_words; }
    [[nodiscard]] __device__ PerNode parents_of_image() const { return of_image(parents); }
    [[nodiscard]] __device__ PerNode sizes_of_image() const { return of_image(sizes); }

private:
    [[nodiscard]] __device__ PerNode of_image(int32_t* values) const {
        return {values + blockIdx.z * image_words * kWordRuns, static_cast<int32_t>(image_words)};
    }
};

// The root above `node` while other threads may unite.
__device__ int32_t find(const PerNode& parents, int32_t node) {
    while (node >= 0) {
        const int32_t parent = load_relaxed(parents.of(node));
        if (parent == node) {
            break;
        }
        node = parent;
    }
    return node;
}

// find(), leaving every second node on the way with a shorter one. Only in memory that long ways would lead through.
__device__ int32_t find_and_shorten(const PerNode& parents, int32_t node) {
    while (node >= 0) {
        const int32_t parent = load_relaxed(parents.of(node));
        if (parent == node || parent < 0) {
            return parent;
        }
        const int32_t grandparent = load_relaxed(parents.of(parent));
        if (grandparent != parent) {
            atomicMin(parents.of(node), grandparent);
        }
        node = grandparent;
    }
    return node;
}

template <class Find>
__device__ void unite(const PerNode& parents, int32_t a, int32_t b, const Find& root_of) {
    a = root_of(parents, a);
    b = root_of(parents, b);
    while (a != b) {
        const int32_t later = a > b ? a : b;
        const int32_t earlier = a > b ? b : a;
        const int32_t parent = atomicMin(parents.of(later), earlier);
        if (parent == later) {
            return;  // it still was a root, and hangs below `earlier` now
        }
        // Another thread had found a parent for it, which must meet ours.
        a = root_of(parents, parent);
        b = root_of(parents, earlier);
    }
}

// The root above `node` once nobody unites any more: through the caches, and neighbours climb the same way.
__device__ int32_t settled_root(const PerNode& parents, int32_t node) {
    while (node >= 0) {
        const int32_t parent = *parents.of(node);
        if (parent == node) {
            break;
        }
        node = parent;
    }
    return node;
}

// The word that a thread of a tile's block works on.
struct TileWord {
    int64_t y;
    int64_t column;  // of words
    bool inside;
    int32_t node;   // of its first pixel
    int64_t index;  // among the words of its image

    template <class P>
    __device__ explicit TileWord(const Image<P, Device>& image)
        : y(static_cast<int64_t>(blockIdx.y) * kTileRows + threadIdx.x / kTileWords),
          column(static_cast<int64_t>(blockIdx.x) * kTileWords + threadIdx.x % kTileWords) {
        const int64_t row_words = mask_row_words(image.width);
        inside = y < image.height && column < row_words;
        index = y * row_words + column;
        node = static_cast<int32_t>(index * kWordPixels);
    }
};

template <class P>
__device__ __forceinline__ bool has_tile(const Image<P, Device>& image) {
    return static_cast<int64_t>(blockIdx.y) * kTileRows < image.height &&
           static_cast<int64_t>(blockIdx.x) * kTileColumns < image.width;
}

// Pixels are loaded and stored 16 at a time, two rows of a warp's four in one access; the words that hold them are the
// threads', eight in each row.
struct TileChunk {
    int64_t x, y;
    int lane;   // whose word holds them
    int shift;  // and from which bit on

    __device__ explicit TileChunk(int step) {
        const auto in_warp = static_cast<int>(threadIdx.x) % 32;
        const int row = 2 * step + in_warp / 16;
        x = static_cast<int64_t>(blockIdx.x) * kTileColumns + in_warp % 16 * 16;
        y = static_cast<int64_t>(blockIdx.y) * kTileRows + threadIdx.x / 32 * 4 + row;
        lane = row * kTileWords + in_warp % 16 / 2;
        shift = in_warp % 2 * 16;
    }
};

// The thread's word of the set. Whole warps call it.
template <bool background>
__device__ uint32_t load_word(const Image<const uint8_t, Device>& mask) {
    const bool vectors = vector_rows<16>(mask);
    uint32_t half[2];
#pragma unroll
    for (int step = 0; step < 2; ++step) {
        const TileChunk chunk(step);
        half[step] = 0;
        if (chunk.y < mask.height && chunk.x < mask.width) {
            half[step] = nonzero_bits(load_vector<16>(mask.row(chunk.y), chunk.x, mask.width, vectors));
            if (background) {
                half[step] = ~half[step] & low_bits(16) & low_bits(mask.width - chunk.x);
            }
        }
    }
    const auto lane = static_cast<int>(threadIdx.x) % 32;
    uint32_t word = 0;
#pragma unroll
    for (int step = 0; step < 2; ++step) {
        const uint32_t whole = half[step] | __shfl_down_sync(kAllLanes, half[step], 1) << 16;
        const uint32_t mine = __shfl_sync(kAllLanes, whole, lane % 16 * 2);
        word = lane / 16 == step ? mine : word;
    }
    return word;
}

// A word of the set and those around it, from which every pair of runs that touch is found.
struct WordAndAbove {
    uint32_t own, left, right;
    uint32_t above, above_left, above_right;

    // Calls join(bit, bit above) with where two runs begin that belong together, counted from the first bit of this
    // word and of the one above it: the words beside that one begin at -32 and at 32.
    template <bool background, class Join>
    __device__ void for_contacts(const Join& join) const {
        const uint32_t to_left = own << 1 | left >> 31;
        const uint32_t to_right = own >> 1 | right << 31;
        const uint32_t to_above_left = above << 1 | above_left >> 31;
        const uint32_t to_above_right = above >> 1 | above_right << 31;
        // Where the pixels to the left touch as well, they do the work.
        for_bits(own & above & ~(to_left & to_above_left),
                 [&](int bit) { join(run_begin(own, bit), run_begin(above, bit)); });
        if constexpr (!background) {
            for_bits(own & ~above & to_above_left & ~to_left, [&](int bit) {
                join(bit, bit > 0 ? run_begin(above, bit - 1) : run_begin(above_left, kWordPixels - 1) - kWordPixels);
            });
            for_bits(own & ~above & to_above_right & ~to_right, [&](int bit) { join(run_begin(own, bit), bit + 1); });
        }
    }
};

// What step 1 also finds out about its tile's components.
enum class About { nothing, border, sizes };

// The pixels of a word that lie on the border of its image.
__device__ __forceinline__ uint32_t border_bits(const Image<const uint8_t, Device>& mask, const TileWord& word) {
    const int64_t last = mask.width - 1 - word.column * kWordPixels;
    const bool whole = word.y == 0 || word.y == mask.height - 1;
    return whole ? ~0U : (word.column == 0 ? 1U : 0U) | (last < kWordPixels ? 1U << last : 0U);
}

template <About about>
__global__ void __launch_bounds__(kTileThreads)
    tile_kernel(const Image<const uint8_t, Device>* masks, const Forest forest, ComponentStats* stats) {
    constexpr bool kBackground = about == About::border;
    __shared__ uint32_t words[kTileThreads];
    __shared__ int32_t parent_values[kTileThreads * kWordRuns];
    __shared__ int32_t known_values[about == About::nothing ? 1 : kTileThreads * kWordRuns];
    const PerNode parents{parent_values, kTileThreads};
    const PerNode known{known_values, kTileThreads};  // of a root: its size, or whether it reaches the border
    const Image<const uint8_t, Device> mask = masks[blockIdx.z];
    const auto thread = static_cast<int32_t>(threadIdx.x);
    if constexpr (about == About::sizes) {
        if (blockIdx.x == 0 && blockIdx.y == 0 && thread == 0) {
            forest.largest[blockIdx.z] = 0;
            stats[blockIdx.z] = {};
            if (!mask.empty()) {
                stats[blockIdx.z].top = mask.height;
                stats[blockIdx.z].left = mask.width;
            }
        }
    }
    if (!has_tile(mask)) {
        return;
    }
    const uint32_t own = load_word<kBackground>(mask);
    words[thread] = own;
    const TileWord word(mask);
    if (word.inside) {
        forest.bits_of_image()[word.index] = own;
    }
    if (__syncthreads_or(own != 0 ? 1 : 0) == 0) {
        return;
    }
    const int32_t column = thread % kTileWords;
    const int32_t first_node = thread * kWordPixels;
    const auto beside = [&](int32_t at, int step) {
        const bool in_tile = column + step >= 0 && column + step < kTileWords;
        return in_tile ? words[at + step] : 0U;
    };
    // A run begins in the first word that it fills to the end without a gap.
    for_runs(own, [&](int begin, uint32_t) {
        int32_t first = first_node + begin;
        if (begin == 0) {
            int32_t at = thread;
            while (at % kTileWords > 0 && words[at - 1] >> 31 != 0) {
                --at;
                first = at * kWordPixels + run_begin(words[at], kWordPixels - 1);
                if (first > at * kWordPixels) {
                    break;
                }
            }
        }
        *parents.of(first_node + begin) = first;
        if constexpr (about != About::nothing) {
            *known.of(first_node + begin) = 0;
        }
    });
    __syncthreads();
    if (thread >= kTileWords) {
        const int32_t above = thread - kTileWords;
        const WordAndAbove near{own,          beside(thread, -1), beside(thread, 1),
                                words[above], beside(above, -1),  beside(above, 1)};
        near.for_contacts<kBackground>(
            [&](int bit, int bit_above) { unite(parents, first_node + bit, above * kWordPixels + bit_above, find); });
    }
    __syncthreads();
    if constexpr (about != About::nothing) {
        for_runs(own, [&](int begin, uint32_t run) {
            const int32_t root = find(parents, first_node + begin);
            atomicMin(parents.of(first_node + begin), root);  // found again below
            if (about == About::sizes) {
                atomicAdd(known.of(root), __popc(run));
            } else if ((run & border_bits(mask, word)) != 0) {
                atomicOr(known.of(root), 1);
            }
        });
        __syncthreads();
    }
    const PerNode image_parents = forest.parents_of_image();
    const PerNode image_sizes = forest.sizes_of_image();
    const auto row_nodes = static_cast<int32_t>(mask_row_words(mask.width)) * kWordPixels;
    const int32_t tile_node = word.node - thread / kTileWords * row_nodes - column * kWordPixels;
    for_runs(own, [&](int begin, uint32_t) {
        const int32_t root = find(parents, first_node + begin);
        int32_t parent = tile_node + root / kTileColumns * row_nodes + root % kTileColumns;
        if constexpr (about == About::border) {
            parent = *known.of(root) != 0 ? kOutside : parent;
        }
        *image_parents.of(word.node + begin) = parent;
        if constexpr (about == About::sizes) {
            *image_sizes.of(word.node + begin) = root == first_node + begin ? *known.of(root) : 0;
        }
    });
}

// Unites across the borders between tiles. Threads count first the words of the rows that begin a tile, then the rows
// of the columns that do.
template <bool background>
__global__ void __launch_bounds__(kTileThreads)
    borders_kernel(const Image<const uint8_t, Device>* masks, const Forest forest) {
    const Image<const uint8_t, Device> mask = masks[blockIdx.z];
    if (mask.empty()) {
        return;
    }
    const auto height = static_cast<int32_t>(mask.height);
    const auto row_words = static_cast<int32_t>(mask_row_words(mask.width));
    const int32_t in_rows = (height - 1) / kTileRows * row_words;
    const int32_t in_columns = (row_words - 1) / kTileWords * height;
    auto index = static_cast<int32_t>(blockIdx.x * kTileThreads + threadIdx.x);
    const bool along_row = index < in_rows;
    index -= along_row ? 0 : in_rows;
    if (!along_row && index >= in_columns) {
        return;
    }
    const int32_t y = along_row ? (index / row_words + 1) * kTileRows : index % height;
    const int32_t column = along_row ? index % row_words : (index / height + 1) * kTileWords;
    const uint32_t* const bits = forest.bits_of_image();
    const auto word = [&](int32_t row, int32_t at) {
        return row >= 0 && at >= 0 && at < row_words ? bits[row * row_words + at] : 0U;
    };
    const PerNode parents = forest.parents_of_image();
    const int32_t node = (y * row_words + column) * kWordPixels;
    const int32_t above = node - row_words * kWordPixels;
    const auto join = [&parents](int32_t a, int32_t b) { unite(parents, a, b, find_and_shorten); };
    const uint32_t own_left = word(y, column - 1);
    const uint32_t above_left = word(y - 1, column - 1);
    const WordAndAbove near{word(y, column),     own_left,   along_row ? word(y, column + 1) : 0U,
                            word(y - 1, column), above_left, along_row ? word(y - 1, column + 1) : 0U};
    if (along_row) {
        near.for_contacts<background>([&](int bit, int bit_above) { join(node + bit, above + bit_above); });
        return;
    }
    const auto last_run = [](uint32_t bits_of_word) { return run_begin(bits_of_word, kWordPixels - 1) - kWordPixels; };
    const bool right = (near.own & 1U) != 0;
    const bool left = own_left >> 31 != 0;
    const bool right_above = (near.above & 1U) != 0;
    const bool left_above = above_left >> 31 != 0;
    if (right && left) {
        // The row above may do it only within a tile: at a tile's first row each side would wait for the other.
        if (y % kTileRows == 0 || !(right_above && left_above)) {
            join(node, node + last_run(own_left));
        }
    } else if (!background) {
        if (right && left_above && !right_above) {
            join(node, above + last_run(above_left));
        }
        if (left && right_above && !left_above) {
            join(node + last_run(own_left), above);
        }
    }
}

// How the kernels are launched that have a block for each tile. Statistics are assigned even where no image has a
// pixel.
template <class P>
Launch tile_launch(const Stream& stream, const Batch<P, Device>& batch, unsigned least) {
    const unsigned tiles_x = blocks_for(batch.max_width, kTileColumns);
    const unsigned tiles_y = blocks_for(batch.max_height, kTileRows);
    return {
        dim3(tiles_x > least ? tiles_x : least, tiles_y > least ? tiles_y : least, static_cast<unsigned>(batch.count)),
        dim3(kTileThreads), stream};
}

// Steps 1 and 2.
template <About about>
Forest grow_forest(Stream& stream, const Batch<const uint8_t, Device>& mask, Bytes<Device> scratch,
                   ComponentStats* stats) {
    const int64_t image_words = mask_words(mask.max_height, mask.max_width);
    expects(image_words * kWordPixels < int64_t{1} << 31, "an image has at most 2^31 - 1 pixels");
    expects(mask.count == 0 || scratch.size >= components_scratch_bytes(mask.max_height, mask.max_width, mask.count),
            "scratch is too small");
    ScratchCursor cursor(scratch);
    Forest forest{};
    forest.bits = cursor.template take<uint32_t>(mask.count * image_words);
    forest.parents = cursor.template take<int32_t>(mask.count * image_words * kWordRuns);
    forest.sizes = cursor.template take<int32_t>(mask.count * image_words * kWordRuns);
    forest.largest = cursor.template take<Candidate>(mask.count);
    forest.image_words = image_words;
    tile_launch(stream, mask, about == About::sizes ? 1 : 0)(tile_kernel<about>, mask.images, forest, stats);
    const int64_t row_words = mask_row_words(mask.max_width);
    const int64_t in_rows = mask.max_height > 0 ? (mask.max_height - 1) / kTileRows * row_words : 0;
    const int64_t in_columns = row_words > 0 ? (row_words - 1) / kTileWords * mask.max_height : 0;
    const dim3 borders(blocks_for(in_rows + in_columns, kTileThreads), 1, static_cast<unsigned>(mask.count));
    Launch{borders, dim3(kTileThreads), stream}(borders_kernel<about == About::border>, mask.images, forest);
    return forest;
}

}  // namespace
}  // namespace boneage

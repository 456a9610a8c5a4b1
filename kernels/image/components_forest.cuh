// The union-find under the device twins of components.h: which pixels belong together.
#pragma once

#include "kernels/base/launch.cuh"
#include "kernels/image/components.h"
#include "kernels/image/components_forest.h"

#include <limits>

namespace boneage {
namespace {

// Union-find in a fixed number of launches. Every pixel of the set (foreground, or background when holes are filled) is
// a node whose parent is a node that comes no later in reading order, so a root is the first pixel of what it names.
//   1. A block finds the components of its 32x32 tile in shared memory; pixels then point to their tile's root.
//   2. Pixels on both sides of a tile's border unite their roots. Only these few nodes of a component move.
//   3. Every pixel climbs to its root and becomes what is asked for.
// Parents only ever decrease, by atomicMin, so threads may climb while others unite, and the roots in the end do not
// depend on who came first.
constexpr int kTile = 32;
constexpr int kTileWarps = 8;
constexpr int kTileRows = kTile / kTileWarps;  // of one warp

constexpr int32_t kAbsent = std::numeric_limits<int32_t>::max();  // parent of a pixel that is not in the set
constexpr int32_t kOutside = -1;  // root of all background that reaches the border of its image: before any pixel

// The largest component so far: its pixels, then the complement of its root, so that of equals the first wins.
using Candidate = unsigned long long;
constexpr uint32_t kRootComplement = 0xffffffffU;

struct Forest {
    int32_t* parents;
    int32_t* sizes;       // pixels of a tile's component at its root, else 0; later of whole components
    Candidate* largest;   // [images]
    int64_t image_nodes;  // from one image's nodes to the next's

    [[nodiscard]] __device__ int32_t* parents_of_image() const { return parents + blockIdx.z * image_nodes; }
    [[nodiscard]] __device__ int32_t* sizes_of_image() const { return sizes + blockIdx.z * image_nodes; }
};

// The root above `node` while other threads may unite.
__device__ int32_t find(const int32_t* parents, int32_t node) {
    while (node >= 0) {
        const int32_t parent = load_relaxed(parents + node);
        if (parent == node) {
            break;
        }
        node = parent;
    }
    return node;
}

// find(), leaving every second node on the way with a shorter one. Only in memory that long ways would lead through.
__device__ int32_t find_and_shorten(int32_t* parents, int32_t node) {
    while (node >= 0) {
        const int32_t parent = load_relaxed(parents + node);
        if (parent == node || parent < 0) {
            return parent;
        }
        const int32_t grandparent = load_relaxed(parents + parent);
        if (grandparent != parent) {
            atomicMin(parents + node, grandparent);
        }
        node = grandparent;
    }
    return node;
}

template <class Find>
__device__ void unite(int32_t* parents, int32_t a, int32_t b, const Find& root_of) {
    a = root_of(parents, a);
    b = root_of(parents, b);
    while (a != b) {
        const int32_t later = a > b ? a : b;
        const int32_t earlier = a > b ? b : a;
        const int32_t parent = atomicMin(parents + later, earlier);
        if (parent == later) {
            return;  // it still was a root, and hangs below `earlier` now
        }
        // Another thread had found a parent for it, which must meet ours.
        a = root_of(parents, parent);
        b = root_of(parents, earlier);
    }
}

// The root above `node` once nobody unites any more: through the caches, and neighbours climb the same way.
__device__ int32_t settled_root(const int32_t* parents, int32_t node) {
    while (node >= 0) {
        const int32_t parent = parents[node];
        if (parent == node) {
            break;
        }
        node = parent;
    }
    return node;
}

// What step 1 also finds out about its tile's components.
enum class About { nothing, border, sizes };

// Components of one tile. A warp sees a row as the bits of a word: runs need no union, and of the places where two rows
// touch, bit operations leave one for each pair of runs.
template <About about>
__global__ void __launch_bounds__(32 * kTileWarps)
    tile_kernel(const Image<const uint8_t, Device>* masks, const Forest forest, ComponentStats* stats) {
    constexpr bool kBackground = about == About::border;
    __shared__ int32_t parents[kTile * kTile];
    __shared__ uint32_t row_bits[kTile];
    __shared__ int32_t
        known[about == About::nothing ? 1 : kTile * kTile];  // of a root: its size, or reaches the border
    const Image<const uint8_t, Device> mask = masks[blockIdx.z];
    const auto lane = static_cast<int32_t>(threadIdx.x);
    const auto first_row = static_cast<int32_t>(threadIdx.y) * kTileRows;
    if constexpr (about == About::sizes) {
        if (blockIdx.x == 0 && blockIdx.y == 0 && threadIdx.y == 0 && lane == 0) {
            forest.largest[blockIdx.z] = 0;
            stats[blockIdx.z] = {};
            if (!mask.empty()) {
                stats[blockIdx.z].top = mask.height;
                stats[blockIdx.z].left = mask.width;
            }
        }
    }
    const int64_t top = static_cast<int64_t>(blockIdx.y) * kTile;
    const int64_t left = static_cast<int64_t>(blockIdx.x) * kTile;
    if (top >= mask.height || left >= mask.width) {
        return;
    }
    const int64_t x = left + lane;
    uint32_t bits[kTileRows];
#pragma unroll
    for (int k = 0; k < kTileRows; ++k) {
        const int64_t y = top + first_row + k;
        const bool in_set = y < mask.height && x < mask.width && (mask.at(y, x) == 0) == kBackground;
        bits[k] = __ballot_sync(0xffffffffU, in_set);
    }
#pragma unroll
    for (int k = 0; k < kTileRows; ++k) {
        const int32_t node = (first_row + k) * kTile + lane;
        // A run begins after the last pixel to the left that is not in the set.
        const int32_t begin = 32 - __clz(static_cast<int>(~bits[k] & ((1U << lane) - 1U)));
        parents[node] = node - lane + begin;
        if constexpr (about != About::nothing) {
            known[node] = 0;
        }
        if (lane == 0) {
            row_bits[first_row + k] = bits[k];
        }
    }
    __syncthreads();
    for (int k = 0; k < kTileRows; ++k) {
        const int row = first_row + k;
        if (row == 0) {
            continue;
        }
        const uint32_t own = bits[k];
        const uint32_t above = row_bits[row - 1];
        const int32_t node = row * kTile + lane;
        const auto at = [lane](uint32_t word) { return (word >> lane & 1U) != 0; };
        // Where the pixels to the left touch as well, they do the work.
        if (at(own & above & ~(own << 1 & above << 1))) {
            unite(parents, node, node - kTile, find);
        }
        if constexpr (!kBackground) {
            if (at(own & ~above & above << 1 & ~(own << 1))) {
                unite(parents, node, node - kTile - 1, find);
            }
            if (at(own & ~above & above >> 1 & ~(own >> 1))) {
                unite(parents, node, node - kTile + 1, find);
            }
        }
    }
    __syncthreads();
    int32_t roots[kTileRows];
#pragma unroll
    for (int k = 0; k < kTileRows; ++k) {
        const int64_t y = top + first_row + k;
        const uint32_t from_here = bits[k] >> lane;
        const bool in_set = (from_here & 1U) != 0;
        roots[k] = in_set ? find(parents, (first_row + k) * kTile + lane) : kAbsent;
        if constexpr (about == About::sizes) {
            const bool begins = in_set && (lane == 0 || (bits[k] >> (lane - 1) & 1U) == 0);
            if (begins) {
                const int past = __ffs(static_cast<int>(~from_here));  // 0: none of 32
                atomicAdd(&known[roots[k]], past == 0 ? 32 : past - 1);
            }
        }
        if constexpr (about == About::border) {
            if (in_set && (x == 0 || y == 0 || x == mask.width - 1 || y == mask.height - 1)) {
                atomicOr(&known[roots[k]], 1);
            }
        }
    }
    if constexpr (about != About::nothing) {
        __syncthreads();
    }
    const auto pitch = static_cast<int32_t>(forest_pitch(mask.width));
    int32_t* const image_parents = forest.parents_of_image();
    int32_t* const image_sizes = forest.sizes_of_image();
#pragma unroll
    for (int k = 0; k < kTileRows; ++k) {
        const int64_t y = top + first_row + k;
        if (y >= mask.height || x >= pitch) {
            continue;  // nodes up to the pitch exist, absent, so that four at a time may be read
        }
        const int32_t root = roots[k];
        int32_t parent = kAbsent;
        if (root != kAbsent) {
            parent = static_cast<int32_t>(top + root / kTile) * pitch + static_cast<int32_t>(left + root % kTile);
            if constexpr (about == About::border) {
                parent = known[root] != 0 ? kOutside : parent;
            }
        }
        const auto node = static_cast<int32_t>(y * pitch + x);
        image_parents[node] = parent;
        if constexpr (about == About::sizes) {
            image_sizes[node] = parent == node ? known[root] : 0;
        }
    }
}

// Unites across the borders between tiles: blockIdx.y counts first the rows, then the columns that begin a tile. Which
// pixels are absent never changes, so parents that other threads lower still tell.
template <bool background>
__global__ void __launch_bounds__(256)
    borders_kernel(const Image<const uint8_t, Device>* masks, const Forest forest, unsigned row_borders) {
    const Image<const uint8_t, Device> mask = masks[blockIdx.z];
    const auto height = static_cast<int32_t>(mask.height);
    const auto width = static_cast<int32_t>(mask.width);
    const auto pitch = static_cast<int32_t>(forest_pitch(width));
    const auto along = static_cast<int32_t>(blockIdx.x * 256 + threadIdx.x);
    int32_t* const parents = forest.parents_of_image();
    const auto join = [parents](int32_t a, int32_t b) { unite(parents, a, b, find_and_shorten); };
    const auto present = [parents](int32_t node) { return load_relaxed(parents + node) != kAbsent; };
    if (blockIdx.y < row_borders) {
        const int64_t border = (static_cast<int64_t>(blockIdx.y) + 1) * kTile;
        if (border >= height || along >= width) {
            return;
        }
        const int32_t node = static_cast<int32_t>(border) * pitch + along;
        if (!present(node)) {
            return;
        }
        const int32_t above = node - pitch;
        const bool left = along > 0 && present(node - 1);
        const bool above_left = along > 0 && present(above - 1);
        if (present(above)) {
            if (!(left && above_left)) {
                join(node, above);
            }
        } else if (!background) {
            if (above_left && !left) {
                join(node, above - 1);
            }
            if (along + 1 < width && present(above + 1) && !present(node + 1)) {
                join(node, above + 1);
            }
        }
    } else {
        const int64_t border = (static_cast<int64_t>(blockIdx.y) - row_borders + 1) * kTile;
        if (border >= width || along >= height) {
            return;
        }
        const int32_t node = along * pitch + static_cast<int32_t>(border);
        const bool right = present(node);
        const bool left = present(node - 1);
        const bool above_right = along > 0 && present(node - pitch);
        const bool above_left = along > 0 && present(node - pitch - 1);
        if (right && left) {
            // The row above may do it only within a tile: at a tile's first row each side would wait for the other.
            if (along % kTile == 0 || !(above_right && above_left)) {
                join(node, node - 1);
            }
        } else if (!background) {
            if (right && above_left && !above_right) {
                join(node, node - pitch - 1);
            }
            if (left && above_right && !above_left) {
                join(node - 1, node - pitch);
            }
        }
    }
}

// Steps 1 and 2.
template <About about>
Forest grow_forest(Stream& stream, const Batch<const uint8_t, Device>& mask, Bytes<Device> scratch,
                   ComponentStats* stats) {
    const int64_t image_nodes = forest_nodes(mask.max_height, mask.max_width);
    expects(image_nodes < int64_t{1} << 31, "an image has at most 2^31 - 1 pixels");
    expects(mask.count == 0 || scratch.size >= components_scratch_bytes(mask.max_height, mask.max_width, mask.count),
            "scratch is too small");
    ScratchCursor cursor(scratch);
    Forest forest{};
    forest.parents = cursor.template take<int32_t>(mask.count * image_nodes);
    forest.sizes = cursor.template take<int32_t>(mask.count * image_nodes);
    forest.largest = cursor.template take<Candidate>(mask.count);
    forest.image_nodes = image_nodes;
    const auto images = static_cast<unsigned>(mask.count);
    const unsigned tiles_x = blocks_for(mask.max_width, kTile);
    const unsigned tiles_y = blocks_for(mask.max_height, kTile);
    // Statistics are assigned even where no image has a pixel.
    const unsigned least = about == About::sizes ? 1 : 0;
    const dim3 tiles(tiles_x > least ? tiles_x : least, tiles_y > least ? tiles_y : least, images);
    Launch{tiles, dim3(32, kTileWarps), stream}(tile_kernel<about>, mask.images, forest, stats);
    if (tiles_x * tiles_y > 0) {
        const dim3 borders(blocks_for(mask.max_width > mask.max_height ? mask.max_width : mask.max_height, 256),
                           tiles_y - 1 + tiles_x - 1, images);
        Launch{borders, dim3(256), stream}(borders_kernel<about == About::border>, mask.images, forest, tiles_y - 1);
    }
    return forest;
}

}  // namespace
}  // namespace boneage

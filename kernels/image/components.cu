#include "kernels/image/components.h"
#include "kernels/image/components_forest.cuh"

namespace boneage {
namespace {

// Stores the warp's words as pixels of 255 and 0. Whole warps call it.
__device__ void store_word(const Image<uint8_t, Device>& dst, uint32_t word) {
    const bool vectors = vector_rows<16>(dst);
#pragma unroll
    for (int step = 0; step < 2; ++step) {
        const TileChunk chunk(step);
        const uint32_t bits = __shfl_sync(kAllLanes, word, chunk.lane) >> chunk.shift;
        if (chunk.y < dst.height && chunk.x < dst.width) {
            store_vector(dst.row(chunk.y), chunk.x, dst.width, vectors, pixels_of_bits<uint8_t, 16>(bits));
        }
    }
}

// Calls visit(root, run) for every run of the thread's word.
template <class Visit>
__device__ __forceinline__ void for_roots(const PerNode& parents, const TileWord& word, uint32_t bits,
                                          const Visit& visit) {
    for_runs(bits, [&](int begin, uint32_t run) { visit(settled_root(parents, word.node + begin), run); });
}

__device__ __forceinline__ uint32_t bits_at(const Forest& forest, const TileWord& word) {
    return word.inside ? forest.bits_of_image()[word.index] : 0U;
}

__global__ void __launch_bounds__(kTileThreads)
    labels_kernel(const Image<int32_t, Device>* targets, const Forest forest) {
    constexpr int kPixels = 4;  // that a thread stores at once
    const Image<int32_t, Device> labels = targets[blockIdx.z];
    if (!has_tile(labels)) {
        return;
    }
    const PerNode parents = forest.parents_of_image();
    const auto row_nodes = static_cast<int32_t>(mask_row_words(labels.width)) * kWordPixels;
    const int32_t gap = row_nodes - static_cast<int32_t>(labels.width);  // nodes of a row that are no pixels
    const auto label = [&](int32_t node) {
        const int32_t root = settled_root(parents, node);
        return gap == 0 ? root + 1 : root - root / row_nodes * gap + 1;
    };
    const TileWord word(labels);
    const uint32_t own = bits_at(forest, word);
    // Most words have one run: each thread finds that of its own for all that store its pixels.
    const int32_t own_begin = own != 0 ? lowest_bit(own) : kWordPixels;
    const int32_t own_label = own != 0 ? label(word.node + own_begin) : 0;
    const bool vectors = vector_rows<kPixels>(labels);
    const auto lane = static_cast<int>(threadIdx.x) % 32;
    const int64_t top = static_cast<int64_t>(blockIdx.y) * kTileRows + threadIdx.x / 32 * 4;
    const int shift = lane % 8 * kPixels;
#pragma unroll 1
    for (int step = 0; step < 8; ++step) {
        const int source = step * 4 + lane / 8;
        const uint32_t bits = __shfl_sync(kAllLanes, own, source);
        const int32_t first_begin = __shfl_sync(kAllLanes, own_begin, source);
        const int32_t first_label = __shfl_sync(kAllLanes, own_label, source);
        const int32_t node = __shfl_sync(kAllLanes, word.node, source);
        const int64_t y = top + step / 2;
        const int64_t x = static_cast<int64_t>(blockIdx.x) * kTileColumns + step % 2 * 128 + lane * kPixels;
        if (y >= labels.height || x >= labels.width) {
            continue;
        }
        PixelVector<int32_t, kPixels> out;
        int32_t last_begin = first_begin;
        int32_t last_label = first_label;
#pragma unroll
        for (int i = 0; i < kPixels; ++i) {
            if ((bits >> (shift + i) & 1U) != 0) {
                const int32_t begin = run_begin(bits, shift + i);
                if (begin != last_begin) {
                    last_begin = begin;
                    last_label = label(node + begin);
                }
                out.set(i, last_label);
            }
        }
        store_vector(labels.row(y), x, labels.width, vectors, out);
    }
}

__global__ void __launch_bounds__(kTileThreads)
    filled_kernel(const Image<uint8_t, Device>* targets, const Forest forest) {
    const Image<uint8_t, Device> dst = targets[blockIdx.z];
    if (!has_tile(dst)) {
        return;
    }
    const TileWord word(dst);
    uint32_t outside = 0;
    for_roots(forest.parents_of_image(), word, bits_at(forest, word),
              [&](int32_t root, uint32_t run) { outside |= root == kOutside ? run : 0U; });
    store_word(dst, ~outside);
}

// Adds the sizes of tiles' components up at their roots. Whoever adds last knows the whole size, and every sum on the
// way is smaller, so the largest sum that anybody saw is the size of the largest component.
__global__ void __launch_bounds__(kTileThreads)
    totals_kernel(const Image<uint8_t, Device>* targets, const Forest forest, ComponentStats* stats) {
    __shared__ Candidate block_largest;
    const Image<uint8_t, Device> dst = targets[blockIdx.z];
    if (!has_tile(dst)) {
        return;
    }
    if (threadIdx.x == 0) {
        block_largest = 0;
    }
    __syncthreads();
    const PerNode parents = forest.parents_of_image();
    const PerNode sizes = forest.sizes_of_image();
    const TileWord word(dst);
    Candidate largest = 0;
    int32_t components = 0;
    for_runs(bits_at(forest, word), [&](int begin, uint32_t) {
        const int32_t node = word.node + begin;
        const int32_t size = load_relaxed(sizes.of(node));
        if (size == 0) {
            return;
        }
        const int32_t root = find(parents, node);
        int32_t sum = size;
        if (root == node) {
            ++components;
        } else {
            sum += atomicAdd(sizes.of(root), size);
            atomicMin(parents.of(node), root);  // its tile's pixels reach the root in two steps
        }
        const Candidate candidate = static_cast<Candidate>(sum) << 32 | (kRootComplement - static_cast<uint32_t>(root));
        largest = candidate > largest ? candidate : largest;
    });
    if (largest != 0) {
        atomicMax(&block_largest, largest);
    }
    components = block_sum(components);
    if (threadIdx.x == 0 && block_largest != 0) {
        atomicMax(forest.largest + blockIdx.z, block_largest);
        atomicAdd(reinterpret_cast<Candidate*>(&stats[blockIdx.z].components), static_cast<Candidate>(components));
    }
}

__global__ void __launch_bounds__(kTileThreads)
    largest_kernel(const Image<uint8_t, Device>* targets, const Forest forest, ComponentStats* stats) {
    __shared__ int32_t top, left, bottom, right;
    const Image<uint8_t, Device> dst = targets[blockIdx.z];
    if (!has_tile(dst)) {
        return;
    }
    const bool leads = threadIdx.x == 0;
    if (leads) {
        top = left = std::numeric_limits<int32_t>::max();
        bottom = right = 0;
    }
    __syncthreads();
    const Candidate largest = forest.largest[blockIdx.z];
    const auto chosen = static_cast<int32_t>(kRootComplement - static_cast<uint32_t>(largest & kRootComplement));
    const TileWord word(dst);
    const uint32_t own = bits_at(forest, word);
    uint32_t kept = 0;
    for_roots(forest.parents_of_image(), word, own,
              [&](int32_t root, uint32_t run) { kept |= root == chosen ? run : 0U; });
    store_word(dst, kept);
    if (kept != 0) {
        const auto x = static_cast<int32_t>(word.column * kWordPixels);
        const auto y = static_cast<int32_t>(word.y);
        atomicMin(&top, y);
        atomicMin(&left, x + lowest_bit(kept));
        atomicMax(&bottom, y + 1);
        atomicMax(&right, x + kWordPixels - __clz(static_cast<int>(kept)));
    }
    const int32_t foreground = block_sum(__popc(own));
    if (leads && foreground > 0) {
        // Counters of 64 bits that are never negative are added and compared as unsigned ones.
        ComponentStats& found = stats[blockIdx.z];
        const auto counter = [](int64_t& value) { return reinterpret_cast<Candidate*>(&value); };
        atomicAdd(counter(found.foreground), static_cast<Candidate>(foreground));
        if (bottom > 0) {
            atomicMin(counter(found.top), static_cast<Candidate>(top));
            atomicMin(counter(found.left), static_cast<Candidate>(left));
            atomicMax(counter(found.bottom), static_cast<Candidate>(bottom));
            atomicMax(counter(found.right), static_cast<Candidate>(right));
        }
    }
    if (leads && blockIdx.x == 0 && blockIdx.y == 0) {
        stats[blockIdx.z].largest = static_cast<int64_t>(largest >> 32);
        if (largest == 0) {
            stats[blockIdx.z].top = 0;
            stats[blockIdx.z].left = 0;
        }
    }
}

}  // namespace

void label_components(Stream& stream, Batch<const uint8_t, Device> mask, Batch<int32_t, Device> labels,
                      Bytes<Device> scratch) {
    expects(mask.count == labels.count, "mask and labels must hold as many images");
    const Forest forest = grow_forest<About::nothing>(stream, mask, scratch, nullptr);
    tile_launch(stream, labels, 0)(labels_kernel, labels.images, forest);
}

void fill_holes(Stream& stream, Batch<const uint8_t, Device> mask, Batch<uint8_t, Device> dst, Bytes<Device> scratch) {
    expects(mask.count == dst.count, "mask and dst must hold as many images");
    const Forest forest = grow_forest<About::border>(stream, mask, scratch, nullptr);
    tile_launch(stream, dst, 0)(filled_kernel, dst.images, forest);
}

void keep_largest(Stream& stream, Batch<const uint8_t, Device> mask, Batch<uint8_t, Device> dst,
                  Tensor<ComponentStats, Device> stats, Bytes<Device> scratch) {
    expects(mask.count == dst.count && stats.size() == mask.count, "mask, dst and stats must hold as many entries");
    const Forest forest = grow_forest<About::sizes>(stream, mask, scratch, stats.data);
    tile_launch(stream, dst, 0)(totals_kernel, dst.images, forest, stats.data);
    tile_launch(stream, dst, 0)(largest_kernel, dst.images, forest, stats.data);
}

}  // namespace boneage

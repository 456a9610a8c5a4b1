#include "kernels/image/components.h"
#include "kernels/image/components_forest.cuh"
#include "kernels/image/pixel_vectors.cuh"

namespace boneage {
namespace {

constexpr int kNodes = 4;  // that one thread turns into pixels at once

// Calls visit(i, root or kAbsent) for the kNodes nodes from (y, x) on. Neighbours mostly share their parent.
template <class Visit>
__device__ __forceinline__ void for_roots(const int32_t* parents, int32_t node, const Visit& visit) {
    const auto four = load_vector<kNodes>(parents + node, 0, kNodes, true);
    int32_t last_parent = kAbsent;
    int32_t last_root = kAbsent;
#pragma unroll
    for (int i = 0; i < kNodes; ++i) {
        const int32_t parent = four.get(i);
        if (parent != last_parent) {
            last_parent = parent;
            last_root = parent == kAbsent ? kAbsent : settled_root(parents, parent);
        }
        visit(i, last_root);
    }
}

__global__ void __launch_bounds__(32 * kMapWarps)
    labels_kernel(const Image<int32_t, Device>* targets, const Forest forest) {
    const Image<int32_t, Device> labels = targets[blockIdx.z];
    const int64_t x = map_column<kNodes>();
    if (x >= labels.width) {
        return;
    }
    const bool vectors = vector_rows<kNodes>(labels);
    const auto pitch = static_cast<int32_t>(forest_pitch(labels.width));
    const int32_t gap = pitch - static_cast<int32_t>(labels.width);
#pragma unroll
    for (int r = 0; r < kMapRows; ++r) {
        const int64_t y = map_row(r);
        if (y < labels.height) {
            PixelVector<int32_t, kNodes> out;
            for_roots(forest.parents_of_image(), static_cast<int32_t>(y * pitch + x), [&](int i, int32_t root) {
                const int32_t skipped = gap == 0 ? 0 : root / pitch * gap;  // nodes before it that are no pixels
                out.set(i, root == kAbsent ? 0 : root - skipped + 1);
            });
            store_vector(labels.row(y), x, labels.width, vectors, out);
        }
    }
}

__global__ void __launch_bounds__(32 * kMapWarps)
    filled_kernel(const Image<uint8_t, Device>* targets, const Forest forest) {
    const Image<uint8_t, Device> dst = targets[blockIdx.z];
    const int64_t x = map_column<kNodes>();
    if (x >= dst.width) {
        return;
    }
    const bool vectors = vector_rows<kNodes>(dst);
    const int64_t pitch = forest_pitch(dst.width);
#pragma unroll
    for (int r = 0; r < kMapRows; ++r) {
        const int64_t y = map_row(r);
        if (y < dst.height) {
            PixelVector<uint8_t, kNodes> out;
            for_roots(forest.parents_of_image(), static_cast<int32_t>(y * pitch + x),
                      [&](int i, int32_t root) { out.set(i, root == kOutside ? 0 : 255); });
            store_vector(dst.row(y), x, dst.width, vectors, out);
        }
    }
}

// Adds the sizes of tiles' components up at their roots. Whoever adds last knows the whole size, and every sum on the
// way is smaller, so the largest sum that anybody saw is the size of the largest component.
__global__ void __launch_bounds__(32 * kMapWarps)
    totals_kernel(const Image<uint8_t, Device>* targets, const Forest forest, ComponentStats* stats) {
    __shared__ Candidate block_largest;
    const Image<uint8_t, Device> dst = targets[blockIdx.z];
    const int64_t x = map_column<1>();
    if (static_cast<int64_t>(blockIdx.x) * 32 >= dst.width || map_row(0) - threadIdx.y >= dst.height) {
        return;
    }
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        block_largest = 0;
    }
    __syncthreads();
    int32_t* const parents = forest.parents_of_image();
    int32_t* const sizes = forest.sizes_of_image();
    const int64_t pitch = forest_pitch(dst.width);
    Candidate largest = 0;
    int32_t components = 0;
#pragma unroll
    for (int r = 0; r < kMapRows; ++r) {
        const int64_t y = map_row(r);
        if (x >= dst.width || y >= dst.height) {
            continue;
        }
        const auto node = static_cast<int32_t>(y * pitch + x);
        const int32_t size = load_relaxed(sizes + node);
        if (size == 0) {
            continue;
        }
        const int32_t root = find(parents, node);
        int32_t sum = size;
        if (root == node) {
            ++components;
        } else {
            sum += atomicAdd(sizes + root, size);
            atomicMin(parents + node, root);  // its tile's pixels reach the root in two steps
        }
        const Candidate candidate = static_cast<Candidate>(sum) << 32 | (kRootComplement - static_cast<uint32_t>(root));
        largest = candidate > largest ? candidate : largest;
    }
    if (largest != 0) {
        atomicMax(&block_largest, largest);
    }
    components = block_sum(components);
    if (threadIdx.x == 0 && threadIdx.y == 0 && block_largest != 0) {
        atomicMax(forest.largest + blockIdx.z, block_largest);
        atomicAdd(reinterpret_cast<Candidate*>(&stats[blockIdx.z].components), static_cast<Candidate>(components));
    }
}

__global__ void __launch_bounds__(32 * kMapWarps)
    largest_kernel(const Image<uint8_t, Device>* targets, const Forest forest, ComponentStats* stats) {
    __shared__ int32_t top, left, bottom, right;
    const Image<uint8_t, Device> dst = targets[blockIdx.z];
    if (static_cast<int64_t>(blockIdx.x) * 32 * kNodes >= dst.width || map_row(0) - threadIdx.y >= dst.height) {
        return;
    }
    const bool leads = threadIdx.x == 0 && threadIdx.y == 0;
    if (leads) {
        top = left = kAbsent;
        bottom = right = 0;
    }
    __syncthreads();
    const Candidate largest = forest.largest[blockIdx.z];
    const auto chosen = static_cast<int32_t>(kRootComplement - static_cast<uint32_t>(largest & kRootComplement));
    const auto x = static_cast<int32_t>(map_column<kNodes>());
    const bool vectors = vector_rows<kNodes>(dst);
    const int64_t pitch = forest_pitch(dst.width);
    int32_t foreground = 0;
    int32_t first_row = kAbsent;
    int32_t last_row = -1;
    int32_t first_column = kAbsent;
    int32_t last_column = -1;
#pragma unroll
    for (int r = 0; r < kMapRows; ++r) {
        const auto y = static_cast<int32_t>(map_row(r));
        if (y < dst.height && x < dst.width) {
            PixelVector<uint8_t, kNodes> out;
            for_roots(forest.parents_of_image(), static_cast<int32_t>(y * pitch + x), [&](int i, int32_t root) {
                const bool keeps = largest != 0 && root == chosen;
                foreground += root != kAbsent ? 1 : 0;
                if (keeps) {
                    first_row = y < first_row ? y : first_row;
                    last_row = y;
                    first_column = x + i < first_column ? x + i : first_column;
                    last_column = x + i > last_column ? x + i : last_column;
                }
                out.set(i, keeps ? 255 : 0);
            });
            store_vector(dst.row(y), x, dst.width, vectors, out);
        }
    }
    if (last_row >= 0) {
        atomicMin(&top, first_row);
        atomicMin(&left, first_column);
        atomicMax(&bottom, last_row + 1);
        atomicMax(&right, last_column + 1);
    }
    foreground = block_sum(foreground);
    if (leads) {
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
        if (blockIdx.x == 0 && blockIdx.y == 0) {
            found.largest = static_cast<int64_t>(largest >> 32);
            if (largest == 0) {
                found.top = 0;
                found.left = 0;
            }
        }
    }
}

}  // namespace

void label_components(Stream& stream, Batch<const uint8_t, Device> mask, Batch<int32_t, Device> labels,
                      Bytes<Device> scratch) {
    expects(mask.count == labels.count, "mask and labels must hold as many images");
    const Forest forest = grow_forest<About::nothing>(stream, mask, scratch, nullptr);
    map_launch(stream, labels, kNodes)(labels_kernel, labels.images, forest);
}

void fill_holes(Stream& stream, Batch<const uint8_t, Device> mask, Batch<uint8_t, Device> dst, Bytes<Device> scratch) {
    expects(mask.count == dst.count, "mask and dst must hold as many images");
    const Forest forest = grow_forest<About::border>(stream, mask, scratch, nullptr);
    map_launch(stream, dst, kNodes)(filled_kernel, dst.images, forest);
}

void keep_largest(Stream& stream, Batch<const uint8_t, Device> mask, Batch<uint8_t, Device> dst,
                  Tensor<ComponentStats, Device> stats, Bytes<Device> scratch) {
    expects(mask.count == dst.count && stats.size() == mask.count, "mask, dst and stats must hold as many entries");
    const Forest forest = grow_forest<About::sizes>(stream, mask, scratch, stats.data);
    map_launch(stream, dst, 1)(totals_kernel, dst.images, forest, stats.data);
    map_launch(stream, dst, kNodes)(largest_kernel, dst.images, forest, stats.data);
}

}  // namespace boneage

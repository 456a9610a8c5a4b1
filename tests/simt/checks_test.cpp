// The runner's checks of accesses: what is wrong is named though every result is right, and what is right passes.
#include "kernels/base/launch.cuh"

#include <gtest/gtest.h>

namespace boneage {
namespace {

constexpr int kThreads = 96;

// What the checks say of the kernel, in each order of threads; empty where they let it pass in all.
template <class... Params, class... Args>
std::string said_of(void (*kernel)(Params...), dim3 grid, size_t shared_bytes, Args... args) {
    const simt::Options before = simt::options();
    std::string said;
    int failures = 0;
    const simt::Order orders[] = {simt::Order::ascending, simt::Order::descending, simt::Order::shuffled};
    for (const simt::Order order : orders) {
        simt::options().order = order;
        try {
            Launch{grid, kThreads, Stream(), shared_bytes}(kernel, args...);
        } catch (const simt::Error& error) {
            said = error.what();
            ++failures;
        }
    }
    simt::options() = before;
    EXPECT_TRUE(failures == 0 || failures == static_cast<int>(std::size(orders))) << "some orders hide: " << said;
    return said;
}

void expect_said(const std::string& said, const char* words) {
    EXPECT_NE(said.find(words), std::string::npos) << "said: " << said;
}

template <bool atomic>
__global__ void count_blocks_kernel(int* out) {
    if (threadIdx.x == 0) {
        if (atomic) {
            atomicAdd(out, 1);
        } else {
            *out += 1;
        }
    }
}

TEST(SimtChecks, names_an_update_that_blocks_lose_to_each_other) {
    const Buffer<int, Device> out(1);
    EXPECT_EQ(said_of(count_blocks_kernel<true>, 3, 0, out.data()), "");
    expect_said(said_of(count_blocks_kernel<false>, 3, 0, out.data()), "of another block");
    EXPECT_EQ(said_of(count_blocks_kernel<false>, 1, 0, out.data()), "") << "launches wait for each other";
}

__global__ void same_value_kernel(int* out) {
    __shared__ int zero;
    zero = 0;
    __syncthreads();
    out[threadIdx.x] = zero;
}

TEST(SimtChecks, names_threads_that_write_the_same_at_once) {
    const Buffer<int, Device> out(kThreads);
    expect_said(said_of(same_value_kernel, 1, 0, out.data()), "writes 4 bytes of shared memory");
}

template <bool with_barrier, bool with_warp_barrier>
__global__ void neighbour_kernel(int* out) {
    __shared__ int values[kThreads];
    const unsigned thread = threadIdx.x;
    values[thread] = 1;
    if (with_barrier) {
        __syncthreads();
    }
    if (with_warp_barrier) {
        __syncwarp();
    }
    const unsigned reach = with_barrier ? kThreads : 32;
    out[thread] = values[thread / reach * reach + (thread + 1) % reach];
}

TEST(SimtChecks, names_a_missing_barrier_of_a_block_or_of_a_warp) {
    const Buffer<int, Device> out(kThreads);
    EXPECT_EQ(said_of(neighbour_kernel<true, false>, 1, 0, out.data()), "");
    EXPECT_EQ(said_of(neighbour_kernel<false, true>, 1, 0, out.data()), "");
    expect_said(said_of(neighbour_kernel<false, false>, 1, 0, out.data()), "of this block");
}

// The warps' barriers do not order the warps among each other.
__global__ void next_warp_kernel(int* out) {
    out[threadIdx.x] = 1;
    __syncwarp();
    if (threadIdx.x < 32) {
        out[threadIdx.x] += out[threadIdx.x + 32];
    }
}

TEST(SimtChecks, names_a_warp_that_reads_another_ones_values_after_a_barrier_of_its_own) {
    const Buffer<int, Device> out(kThreads);
    expect_said(said_of(next_warp_kernel, 1, 0, out.data()), "of this block");
}

template <bool relaxed>
__global__ void glance_kernel(int* out) {
    atomicMax(out, static_cast<int>(threadIdx.x));
    if (relaxed ? load_relaxed(out) < 0 : *out < 0) {
        atomicAdd(out, 1);
    }
}

TEST(SimtChecks, names_a_plain_load_of_what_others_change_by_atomics) {
    const Buffer<int, Device> out(1);
    EXPECT_EQ(said_of(glance_kernel<true>, 2, 0, out.data()), "");
    expect_said(said_of(glance_kernel<false>, 2, 0, out.data()), "changes by an atomic");
}

__global__ void read_kernel(const int* in, int offset, int* out) {
    const int value = in[static_cast<int>(threadIdx.x) + offset];
    out[threadIdx.x] = value == 0 ? 0 : 1;
}

TEST(SimtChecks, names_a_read_outside_of_a_buffer) {
    const Buffer<int, Device> in(kThreads);
    const Buffer<int, Device> out(kThreads);
    EXPECT_EQ(said_of(read_kernel, 1, 0, in.data(), 0, out.data()), "");
    expect_said(said_of(read_kernel, 1, 0, in.data(), 1, out.data()), "at byte 384, but the buffer there has 384");
    expect_said(said_of(read_kernel, 1, 0, in.data(), -1, out.data()), "reads 4 bytes");
}

__global__ void dynamic_kernel(int* out, int offset) {
    int* const values = dynamic_shared<int>();
    values[static_cast<int>(threadIdx.x) + offset] = 1;
    out[threadIdx.x] = 0;
}

TEST(SimtChecks, names_a_write_outside_of_dynamic_shared_memory) {
    const Buffer<int, Device> out(kThreads);
    constexpr size_t kBytes = kThreads * sizeof(int);
    EXPECT_EQ(said_of(dynamic_kernel, 1, kBytes, out.data(), 0), "");
    expect_said(said_of(dynamic_kernel, 1, kBytes, out.data(), 1), "writes 4 bytes");
}

__global__ void index_kernel(int* out, int offset) {
    __shared__ int values[kThreads];
    const int index = static_cast<int>(threadIdx.x) + offset;
    values[index] = 1;
    out[threadIdx.x] = values[index];
}

TEST(SimtChecks, names_an_index_beyond_a_shared_array) {
    const Buffer<int, Device> out(kThreads);
    EXPECT_EQ(said_of(index_kernel, 1, 0, out.data(), 0), "");
    expect_said(said_of(index_kernel, 1, 0, out.data(), 1), "indexes an array beyond its end, with 96");
}

}  // namespace
}  // namespace boneage

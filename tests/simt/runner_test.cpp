// The runner itself: kernels with planted bugs must be caught, and correct ones must run the same in any order.
#include "kernels/base/launch.cuh"

#include <chrono>
#include <gtest/gtest.h>
#include <numeric>
#include <vector>

namespace boneage {
namespace {

constexpr int kThreads = 128;

// Runs the body once in each order a scheduler could choose, restoring the options afterwards.
template <class Body>
void in_every_order(const Body& body) {
    const simt::Options before = simt::options();
    for (const simt::Order order : {simt::Order::ascending, simt::Order::descending, simt::Order::shuffled}) {
        for (const unsigned seed : {1U, 2U, 3U}) {
            simt::options() = {order, seed, 3, true};
            body();
        }
    }
    simt::options() = before;
}

std::vector<int> read(const Stream& stream, const Buffer<int, Device>& memory) {
    std::vector<int> values(static_cast<size_t>(memory.size()));
    copy_to_host(stream, values.data(), memory.data(), memory.size() * static_cast<int64_t>(sizeof(int)));
    stream.synchronize();
    return values;
}

template <bool with_barrier>
__global__ void reverse_kernel(int* out) {
    __shared__ int tile[kThreads];
    tile[threadIdx.x] = static_cast<int>(threadIdx.x);
    if (with_barrier) {
        __syncthreads();
    }
    out[threadIdx.x] = tile[kThreads - 1 - threadIdx.x];
    __syncthreads();
    tile[threadIdx.x] = -1;  // what a later block finds in shared memory is garbage
}

int wrong_after_reversing(void (*kernel)(int*)) {
    const Stream stream;
    const Buffer<int, Device> out(kThreads);
    Launch{1, kThreads, stream}(kernel, out.data());
    Launch{1, kThreads, stream}(kernel, out.data());
    int wrong = 0;
    const std::vector<int> values = read(stream, out);
    for (int i = 0; i < kThreads; ++i) {
        wrong += values[static_cast<size_t>(i)] != kThreads - 1 - i;
    }
    return wrong;
}

TEST(SimtRunner, shows_a_dropped_barrier_as_wrong_results_in_every_order) {
    in_every_order([] {
        EXPECT_EQ(wrong_after_reversing(reverse_kernel<true>), 0);
        EXPECT_GT(wrong_after_reversing(reverse_kernel<false>), 0);
    });
}

__global__ void early_return_kernel(int* out, int n) {
    if (static_cast<int>(threadIdx.x) >= n) {
        return;
    }
    __syncthreads();
    out[threadIdx.x] = 1;
}

TEST(SimtRunner, names_a_barrier_that_some_threads_never_reach) {
    const Stream stream;
    const Buffer<int, Device> out(kThreads);
    Launch{1, kThreads, stream}(early_return_kernel, out.data(), kThreads);
    try {
        Launch{1, kThreads, stream}(early_return_kernel, out.data(), kThreads - 5);
        FAIL() << "a barrier that five threads skip went unnoticed";
    } catch (const simt::Error& error) {
        EXPECT_NE(std::string(error.what()).find("__syncthreads"), std::string::npos) << error.what();
    }
}

__global__ void half_a_warp_kernel(int* out) {
    if (threadIdx.x % 32 < 16) {
        out[threadIdx.x] = __shfl_down_sync(0xffffffffU, static_cast<int>(threadIdx.x), 1);
    }
    __syncthreads();
}

TEST(SimtRunner, names_a_full_mask_shuffle_that_half_a_warp_skips) {
    const Stream stream;
    const Buffer<int, Device> out(kThreads);
    EXPECT_THROW((Launch{1, kThreads, stream}(half_a_warp_kernel, out.data())), simt::Error);
}

// Raises *maximum to each thread's number. The wrong form compares first and stores later, and between the two another
// thread may have stored more; the atomic it makes meanwhile is where the runner lets that other thread run.
template <bool atomic>
__global__ void maximum_kernel(int* maximum, int* visits) {
    const int mine = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (atomic) {
        atomicMax(maximum, mine);
        atomicAdd(visits, 1);
    } else if (load_relaxed(maximum) < mine) {
        atomicAdd(visits, 1);
        *maximum = mine;
    }
}

int maximum_of_all_threads(void (*kernel)(int*, int*)) {
    const Stream stream;
    const Buffer<int, Device> memory(2);
    clear_device(stream, memory.data(), 2 * sizeof(int));
    Launch{1, kThreads, stream}(kernel, memory.data(), memory.data() + 1);
    return read(stream, memory)[0];
}

TEST(SimtRunner, shows_a_lost_update_when_threads_yield_at_atomics) {
    in_every_order([] { EXPECT_EQ(maximum_of_all_threads(maximum_kernel<true>), kThreads - 1); });
    int caught = 0;
    in_every_order([&] { caught += maximum_of_all_threads(maximum_kernel<false>) != kThreads - 1; });
    EXPECT_GT(caught, 0);
}

template <bool strict>
__global__ void block_sum_kernel(const int* in, int n, int* out) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    // The off-by-one reads one element more than there is.
    const int value = (strict ? i < n : i <= n) ? in[i] : 0;
    const int sum = block_sum(value);
    if (threadIdx.x == 0) {
        atomicAdd(out, sum);
    }
}

int summed(void (*kernel)(const int*, int, int*), int n) {
    const Stream stream;
    std::vector<int> values(static_cast<size_t>(n) + 1);
    std::iota(values.begin(), values.end(), 1);
    const Buffer<int, Device> in(n + 1);
    const Buffer<int, Device> out(1);
    copy_to_device(stream, in.data(), values.data(), (n + 1) * static_cast<int64_t>(sizeof(int)));
    clear_device(stream, out.data(), sizeof(int));
    Launch{blocks_for(n, kThreads), kThreads, stream}(kernel, in.data(), n, out.data());
    return read(stream, out)[0];
}

TEST(SimtRunner, shows_an_off_by_one_as_a_wrong_sum) {
    for (const int n : {1, 31, 100, 129, 1000}) {
        in_every_order([n] { EXPECT_EQ(summed(block_sum_kernel<true>, n), n * (n + 1) / 2); });
        EXPECT_NE(summed(block_sum_kernel<false>, n), n * (n + 1) / 2);
    }
}

__global__ void dereference_kernel(int* out) {
    *out = 1;
}

TEST(SimtRunner, refuses_host_memory_where_device_memory_belongs) {
    const Stream stream;
    int host = 0;
    EXPECT_THROW((Launch{1, 1, stream}(dereference_kernel, &host)), simt::Error);
}

template <bool is_static>
__global__ void store_for_global_memory_kernel(int* out) {
    __shared__ int fixed[1];
    int* const shared = is_static ? fixed : dynamic_shared<int>();
    __stwb(out, 1);
    __stwb(shared, 2);
    *out = __ldg(shared);
}

TEST(SimtRunner, names_an_access_to_shared_memory_by_what_is_for_global_memory) {
    const Stream stream;
    const Buffer<int, Device> out(1);
    for (const auto kernel : {store_for_global_memory_kernel<true>, store_for_global_memory_kernel<false>}) {
        try {
            Launch{1, 1, stream, sizeof(int)}(kernel, out.data());
            FAIL() << "a store that a device refuses went unnoticed";
        } catch (const simt::Error& error) {
            EXPECT_NE(std::string(error.what()).find("__stwb"), std::string::npos) << error.what();
        }
    }
}

TEST(SimtRunner, refuses_launches_that_no_device_accepts) {
    const Stream stream;
    const Buffer<int, Device> out(1);
    EXPECT_THROW((Launch{1, 2048, stream}(dereference_kernel, out.data())), DeviceError);
    EXPECT_THROW((Launch{dim3(1, 70000), 1, stream}(dereference_kernel, out.data())), DeviceError);
    EXPECT_THROW((Launch{1, 1, stream, 300 << 10}(dereference_kernel, out.data())), DeviceError);
    EXPECT_NO_THROW((Launch{0, 1, stream}(dereference_kernel, nullptr))) << "an empty grid launches nothing";
}

__global__ void shared_kernel(int* out) {
    dynamic_shared<int>()[(100 << 10) / sizeof(int)] = 7;
    *out = dynamic_shared<int>()[(100 << 10) / sizeof(int)];
}

TEST(SimtRunner, gives_a_kernel_much_shared_memory_only_where_it_opted_in) {
    const Stream stream;
    const Buffer<int, Device> out(1);
    cudaLaunchConfig_t config{};
    config.gridDim = config.blockDim = dim3(1);
    config.dynamicSmemBytes = 101 << 10;
    EXPECT_NE(cudaLaunchKernelEx(&config, shared_kernel, out.data()), cudaSuccess);
    const CapturedGraph graph(stream, [&] {
        Launch{1, 1, stream, config.dynamicSmemBytes}(shared_kernel, out.data());
    });
    graph.launch(stream);
    EXPECT_EQ(read(stream, out)[0], 7);
    EXPECT_THROW((Launch{1, 1, stream, 228 << 10}(shared_kernel, out.data())), DeviceError);
}

TEST(SimtRunner, streams_know_their_device_and_refuse_one_that_is_not_there) {
    EXPECT_EQ(Stream(0).device().compute_capability, 90);
    EXPECT_THROW(Stream(1), DeviceError);
    EXPECT_EQ(cuda_device_count(), 1);
}

struct Peeked : Event {
    using Event::native;
};

TEST(SimtRunner, an_event_is_waited_for_asleep_and_takes_no_time) {
    const Stream stream;
    Peeked event;
    const uint64_t spins = simt::counters().spins;
    event.record(stream);
    event.synchronize();
    EXPECT_EQ(simt::counters().spins, spins);
    float milliseconds = 0;
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, event.native(), event.native()), cudaErrorInvalidResourceHandle);
}

TEST(SimtRunner, a_timed_event_tells_how_long_after_another_it_was_reached) {
    const Stream stream;
    TimedEvent begin;
    TimedEvent end;
    begin.record(stream);
    const auto before = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - before < std::chrono::milliseconds(2)) {
    }
    end.record(stream);
    end.synchronize();
    EXPECT_GE(end.milliseconds_since(begin), 2.0);
}

__global__ void add_kernel(int* out, int value) {
    atomicAdd(out + threadIdx.x, value);
}

TEST(SimtRunner, a_recorded_graph_runs_when_launched_and_every_time_it_is) {
    const Stream stream;
    const Buffer<int, Device> out(kThreads);
    clear_device(stream, out.data(), kThreads * sizeof(int));
    const CapturedGraph graph(stream, [&] {
        Launch{1, kThreads, stream}(add_kernel, out.data(), 2);
        Launch{1, kThreads, stream}(add_kernel, out.data(), 3);
    });
    EXPECT_EQ(read(stream, out)[5], 0);
    graph.launch(stream);
    graph.launch(stream);
    EXPECT_EQ(read(stream, out)[5], 10);
}

TEST(SimtRunner, refuses_to_wait_while_it_records) {
    const Stream stream;
    EXPECT_THROW(CapturedGraph(stream, [&] { stream.synchronize(); }), DeviceError);
    EXPECT_NO_THROW(stream.synchronize()) << "the stream must be of use again";
}

}  // namespace
}  // namespace boneage

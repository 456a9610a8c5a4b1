// Runs CUDA kernels on the CPU: a fiber for each thread of a block, one block after another, on one host
// thread. Deterministic: the same options and seed give the same interleaving.
#include "cuda_runtime.h"
#include "fiber.h"
#include "memory.h"
#include "sanitizer.h"
#include "watch.h"
#include "words.h"

#include <cstdio>
#include <deque>
#include <new>
#include <pthread.h>
#include <random>
#include <sys/mman.h>
#include <vector>

// By the linker: where the program begins, and where static variables lie, the __shared__ ones among them.
extern "C" const char __executable_start, __data_start, _end;

namespace simt {
namespace {

#ifdef SIMT_ASAN
constexpr std::size_t kStack = 256 << 10;
#else
constexpr std::size_t kStack = 64 << 10;
#endif

struct Fiber {
    char* bottom = nullptr;
    std::size_t size = 0;
    Context context{};
    void* fake_stack = nullptr;
};
enum class State : unsigned char { fresh, ready, at_barrier, at_collective, returned };
struct Thread {
    uint3 idx;
    State state;
    Fiber* fiber = nullptr;
    const char* what;
    Site site;  // where it waits, or waited last
    unsigned mask;
    int source;
    unsigned long long value, result;
    Finish finish;
};
struct Warp {
    unsigned alive, waiting;
};

Options g_options;
Counters g_counters;
std::vector<Thread> threads(1024);
Warp warps[32];
std::vector<unsigned> order;
std::deque<Fiber> fibers;
std::vector<Fiber*> spare, retired;
Fiber main_fiber;
Thread* self;
unsigned count, done, at_barrier, cursor;
bool progress, running;
int votes[4];
void (*g_body)(void*);
void* g_context;
std::size_t g_context_bytes;
unsigned char* g_shared;
std::size_t g_shared_bytes;
std::string failure;
std::minstd_rand rng;
unsigned index_of(const Thread& t) {
    return unsigned(&t - threads.data());
}

void enter(Fiber& to, Fiber& from, [[maybe_unused]] bool dying = false) {
    ++g_counters.switches;
#ifdef SIMT_ASAN
    __sanitizer_start_switch_fiber(dying ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
    swap_to(from.context, to.context);
#ifdef SIMT_ASAN
    __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void entry();

Fiber* take_fiber() {
    if (spare.empty()) {
        constexpr std::size_t guard = 4096;
        auto* p = static_cast<char*>(
            mmap(nullptr, kStack + guard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (p == MAP_FAILED)
            throw std::bad_alloc();
        mprotect(p, guard, PROT_NONE);  // running off the stack faults instead of corrupting a neighbour
        fibers.push_back({p + guard, kStack, {}, nullptr});
        spare.push_back(&fibers.back());
    }
    Fiber* f = spare.back();
    spare.pop_back();
#ifdef SIMT_ASAN
    __asan_unpoison_memory_region(f->bottom, kStack);
#endif
    const std::size_t colour = std::size_t(f->bottom - static_cast<char*>(nullptr)) / (kStack + 4096) % 32 *
                               192;  // spreads the stack tops over the cache sets
    make_context(f->context, f->bottom + kStack - colour, kStack - colour, entry);
    return f;
}

Thread* next() {  // the next thread that can run in this sweep
    while (cursor < count) {
        Thread& t = threads[order[cursor++]];
        if (t.state == State::fresh || t.state == State::ready) {
            progress = true;
            return &t;
        }
    }
    return nullptr;
}

void become(Thread& t) {
    self = &t;
    threadIdx = t.idx;
    t.state = State::ready;
}

void leave(bool dying = false) {  // hand over to the next thread, or to the main fiber at the end of a sweep
    Fiber& from = *self->fiber;
    if (Thread* t = failure.empty() ? next() : nullptr) {
        if (dying && t->state == State::fresh)
            return;  // unreachable: entry() adopts fresh threads itself
        if (t->state == State::fresh)
            t->fiber = take_fiber();
        become(*t);
        enter(*t->fiber, from, dying);
        return;
    }
    enter(main_fiber, from, dying);
}

std::string whereabouts(const Thread& t, const char* of = "") {
    return thread_text(t.idx) + of + " is in " + place_text(t.what, t.site);
}

// Composes the message here, because this thread's stack is left as it is: nothing on it is destroyed.
template <class Message>
[[noreturn]] void fail(const Message& message) {
    failure = "block " + text(blockIdx) + ": " + message();
    leave(true);
    __builtin_unreachable();
}

void try_barrier() {
    if (!at_barrier || at_barrier + done != count || (g_options.strict_exit && done))
        return;
    const int result[4] = {0, votes[1], votes[2] == int(at_barrier), votes[3] > 0};
    for (unsigned i = 0; i < count; ++i)
        if (threads[i].state == State::at_barrier) {
            threads[i].state = State::ready;
            threads[i].result = unsigned(result[threads[i].source]);
        }
    at_barrier = 0;
    votes[1] = votes[2] = votes[3] = 0;
    ++g_counters.barriers;
    if (watch)
        watch->barrier_passed();
}

void try_collective(unsigned warp, unsigned mask) {
    Thread* t = &threads[warp * 32];
    Warp& w = warps[warp];
    const unsigned group = mask & w.alive;  // lanes that returned are not waited for
    if (!group || (w.waiting & group) != group)
        return;
    const Thread& first = t[__builtin_ctz(group)];
    unsigned long long value[32], result[32];
    int source[32];
    for (unsigned left = group; left; left &= left - 1) {
        const int k = __builtin_ctz(left);
        if (t[k].mask != mask)
            return;
        if (t[k].site.line != first.site.line || t[k].what != first.what)
            fail([&] { return whereabouts(first) + " while " + whereabouts(t[k], " of its warp"); });
        value[k] = t[k].value;
        source[k] = t[k].source;
    }
    first.finish(value, source, group, result);
    for (unsigned left = group; left; left &= left - 1) {
        const int k = __builtin_ctz(left);
        t[k].result = result[k];
        t[k].state = State::ready;
    }
    w.waiting &= ~group;
    ++g_counters.collectives;
    if (watch && std::strcmp(first.what, "__syncwarp") == 0)  // shuffles do not order memory
        watch->warp_met(warp, group);
}

void entry() {
    for (;;) {
#ifdef SIMT_ASAN
        __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
        for (;;) {
            in_kernel = true;
            g_body(g_context);
            in_kernel = false;
            Thread& me = *self;
            me.state = State::returned;
            ++done;
            const unsigned warp = index_of(me) / 32;
            warps[warp].alive &= ~(1u << lane());
            for (unsigned left = warps[warp].waiting; left; left = left & (left - 1) & warps[warp].waiting)
                try_collective(warp, threads[warp * 32 + __builtin_ctz(left)].mask);
            try_barrier();
            const unsigned at = cursor;
            if (Thread* t = next()) {
                if (t->state == State::fresh) {
                    t->fiber = me.fiber;
                    me.fiber = nullptr;
                    become(*t);
                    continue;
                }  // run it on this very stack
                cursor = at;
            }
            spare.push_back(me.fiber);
            leave(true);
        }
    }
}

void resume(Thread& t) {
    if (t.state == State::fresh)
        t.fiber = take_fiber();
    become(t);
    enter(*t.fiber, main_fiber);
}

std::string stuck() {
    std::vector<std::pair<std::string, std::pair<unsigned, const Thread*>>> groups;
    for (unsigned i = 0; i < count; ++i) {
        const Thread& t = threads[i];
        char mask[24];
        std::snprintf(mask, sizeof mask, ", mask 0x%08x", t.mask);
        const std::string w = t.state == State::returned ? "returned"
                                                         : "wait in " + place_text(t.what, t.site) +
                                                               (t.state == State::at_collective ? mask : "");
        auto it = std::find_if(groups.begin(), groups.end(), [&](auto& g) { return g.first == w; });
        if (it == groups.end())
            groups.push_back({w, {1, &t}});
        else
            ++it->second.first;
    }
    std::string s = "block " + text(blockIdx) + " is stuck:";
    for (auto& [w, g] : groups)
        s += "\n  " + std::to_string(g.first) + " of " + std::to_string(count) + " threads " + w +
             " (first: " + thread_text(g.second->idx) + ")";
    return s;
}

void permute(std::vector<unsigned>& v, unsigned n) {
    v.resize(n);
    for (unsigned i = 0; i < n; ++i)
        v[i] = g_options.order == Order::descending ? n - 1 - i : i;
    if (g_options.order == Order::shuffled)
        std::shuffle(v.begin(), v.end(), rng);
}

void run_block() {
    done = at_barrier = 0;
    for (unsigned i = 0; i < count; ++i) {
        Thread& t = threads[i];
        t.idx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        t.state = State::fresh;
        t.fiber = nullptr;  // the one it had is another's, or spare
    }
    for (unsigned w = 0; w * 32 < count; ++w)
        warps[w] = {count - w * 32 >= 32 ? ~0u : (1u << (count - w * 32)) - 1, 0};
    permute(order, count);
    while (done < count && failure.empty()) {
        cursor = 0;
        progress = false;
        while (Thread* t = next()) {
            resume(*t);
            if (!failure.empty())
                break;
        }
        if (!progress)
            failure = stuck();
    }
    if (failure.empty())
        return;
    for (unsigned i = 0; i < count; ++i)
        if (threads[i].state != State::returned && threads[i].fiber) {
            retired.push_back(threads[i].fiber);
            threads[i].fiber = nullptr;
        }
    throw Error(std::exchange(failure, {}));
}

bool lies_in(const void* p, std::size_t n, const void* start, std::size_t bytes) {
    const auto at = reinterpret_cast<std::uintptr_t>(p);
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    return at >= from && n <= bytes && at - from <= bytes - n;
}

void recycle() {
    spare.insert(spare.end(), retired.begin(), retired.end());
    retired.clear();
}

}  // namespace

Options& options() {
    return g_options;
}
Counters& counters() {
    return g_counters;
}
void* dynamic_shared() {
    return g_shared;
}
Memory memory_of(const void* p, std::size_t n) {
    if (lies_in(p, n, self->fiber->bottom, self->fiber->size) || lies_in(p, n, g_context, g_context_bytes))
        return Memory::own;
    if (lies_in(p, n, g_shared, g_shared_bytes) || lies_in(p, n, &__data_start, std::size_t(&_end - &__data_start)))
        return Memory::shared;
    return lies_in(p, n, &__executable_start, std::size_t(&__data_start - &__executable_start)) ? Memory::constant
                                                                                                : Memory::global;
}
unsigned current_thread() {
    return index_of(*self);
}
void fail_in_kernel(const std::string& message) {
    in_kernel = false;
    fail([&] { return thread_text(self->idx) + " " + message; });
}
void global_only(const void* p, const char* name, Site site) {
    const OutOfKernel out;
    if (memory_of(p, 1) == Memory::shared)
        fail([&] { return call_text(self->idx, name, site) + " on shared memory, but it is for global memory"; });
}
int lane() {
    return int(index_of(*self) & 31);
}

int barrier(int predicate, int kind, const char* name, Site site) {
    const OutOfKernel out;
    Thread& me = *self;
    me.what = name;
    me.site = site;
    me.source = kind;
    for (unsigned i = 0; at_barrier && i < count; ++i)
        if (threads[i].state == State::at_barrier) {
            if (threads[i].site.line != site.line)
                fail([&] { return whereabouts(me) + " while " + whereabouts(threads[i]); });
            break;
        }
    for (unsigned i = 0; g_options.strict_exit && done && i < count; ++i)
        if (threads[i].state == State::returned)
            fail([&] { return whereabouts(me) + " but " + thread_text(threads[i].idx) + " has returned"; });
    votes[kind] += predicate != 0;
    ++at_barrier;
    me.state = State::at_barrier;
    try_barrier();
    if (me.state != State::ready)
        leave();
    return int(me.result);
}

unsigned long long collective(unsigned mask, unsigned long long value, int source, Finish finish, const char* name,
                              Site site) {
    const OutOfKernel out;
    Thread& me = *self;
    const unsigned warp = index_of(me) / 32;
    if (!(mask >> lane() & 1))
        fail([&] { return call_text(me.idx, name, site) + " with a mask that leaves itself out"; });
    me.what = name;
    me.site = site;
    me.mask = mask;
    me.value = value;
    me.source = source;
    me.finish = finish;
    me.state = State::at_collective;
    warps[warp].waiting |= 1u << lane();
    try_collective(warp, mask);
    if (me.state != State::ready)
        leave();
    return me.result;
}

void maybe_yield() {
    const OutOfKernel out;
    if (g_options.yield_every && rng() % g_options.yield_every == 0)
        leave();  // still Ready: resumed in the next sweep
}

void run(dim3 grid, dim3 block, std::size_t shared_bytes, void (*body)(void*), void* context,
         std::size_t context_bytes) {
    if (running)
        throw Error("a kernel launched a kernel");
    struct Guard {
        Access access;
        Guard() { running = true; }
        ~Guard() {
            running = false;
            std::free(g_shared);
            g_shared = nullptr;
            recycle();
        }
    } guard;
    g_body = body;
    g_context = context;
    g_context_bytes = context_bytes;
    gridDim = grid;
    blockDim = block;
    count = block.x * block.y * block.z;
    rng.seed(g_options.seed);
    ++g_counters.launches;
#ifdef SIMT_ASAN
    if (!main_fiber.bottom) {
        pthread_attr_t a;
        void* p;
        pthread_getattr_np(pthread_self(), &a);
        pthread_attr_getstack(&a, &p, &main_fiber.size);
        pthread_attr_destroy(&a);
        main_fiber.bottom = static_cast<char*>(p);
    }
#endif
    std::vector<unsigned> blocks;
    permute(blocks, grid.x * grid.y * grid.z);
    if (watch)
        watch->launch_begins();
    for (unsigned b : blocks) {
        blockIdx = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
        std::free(g_shared);
        g_shared = nullptr;
        g_shared_bytes = shared_bytes;
        if (shared_bytes) {
            g_shared = static_cast<unsigned char*>(std::malloc(shared_bytes));
            std::memset(g_shared, 0xcd, shared_bytes);
        }
        if (watch)
            watch->block_begins();
        run_block();
        ++g_counters.blocks;
        g_counters.threads += count;
    }
}

}  // namespace simt

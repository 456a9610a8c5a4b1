// Remembers for each byte which threads touched it last, and how: a race is found in any order in which threads run,
// whether it changes a result or not.
#include "accesses.h"

#include "cuda_runtime.h"
#include "memory.h"
#include "watch.h"
#include "words.h"

#include <array>
#include <memory>
#include <unordered_map>
#include <vector>

extern "C" const char __executable_start;  // by the linker

namespace simt {
namespace {

// What a thread does from one synchronisation to its next is a section. Sections are numbered over all launches,
// from 1.
struct Section {
    unsigned block, thread;
    unsigned step;  // of the block: how many barriers it had passed
};
using Number = std::uint32_t;
std::vector<Section> sections;  // of this launch
Number first = 1;               // number of the first of them

struct Thread {
    Number last;      // its last section
    bool goes_on;     // in that section; otherwise its next access begins one
    Number seen[32];  // by lane of its warp: up to which section a __syncwarp put that lane's accesses before its next
                      // ones
};
std::array<Thread, 1024> threads;
unsigned block, step;

// The sections that touched a byte. Of those that did the same and are not ordered, two are enough to meet a later
// access that is ordered after one of them; writes are always ordered, or have been reported.
using Two = std::array<Number, 2>;
struct alignas(32) Cell {
    Number write, unused;
    Two reads, atomic_reads, atomic_writes;
};
static_assert(sizeof(Cell) == 32);
// As four words: cells are compared more often than anything else is done with them.
bool operator==(const Cell& a, const Cell& b) {
    std::uint64_t x[4];
    std::uint64_t y[4];
    std::memcpy(x, &a, sizeof x);
    std::memcpy(y, &b, sizeof y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}
constexpr std::uintptr_t kPage = 4096;
using Page = std::array<Cell, kPage>;
std::unordered_map<std::uintptr_t, std::unique_ptr<Page>> pages;
constexpr std::size_t kManyPages = 4096;  // half a gigabyte
struct Found {
    std::uintptr_t number;
    Page* page;
};
std::array<Found, 64> found;

Allocation last_allocation;

void launch_begins() {
    first += static_cast<Number>(sections.size());
    sections.clear();
    if (pages.size() > kManyPages || first > ~Number{0} / 2) {
        pages.clear();
        found = {};
        first = 1;
    }
    last_allocation = {};
    block = step = 0;
}

void block_begins() {
    ++block;
    ++step;
    threads = {};
}

void barrier_passed() {
    ++step;
    for (Thread& t : threads)
        t.goes_on = false;
}

void warp_met(unsigned warp, unsigned lanes) {
    Thread* const of = &threads[std::size_t{warp} * 32];
    Number seen[32] = {};
    for (unsigned lane = 0; lane < 32; ++lane) {
        if (lanes >> lane & 1U) {
            for (unsigned k = 0; k < 32; ++k)
                seen[k] = std::max(seen[k], of[lane].seen[k]);
            seen[lane] = std::max(seen[lane], of[lane].last);
        }
    }
    for (unsigned lane = 0; lane < 32; ++lane) {
        if (lanes >> lane & 1U) {
            std::copy(seen, seen + 32, of[lane].seen);
            of[lane].goes_on = false;
        }
    }
}

constexpr Watch kWatch = {launch_begins, block_begins, barrier_passed, warp_met};
[[maybe_unused]] const bool kWatches = [] {
    watch = &kWatch;
    return true;
}();

struct Touch {
    std::size_t bytes;
    Kind kind;
    const void* place;
    bool shared;
    unsigned thread;
    Number section;
};

bool is_ordered(Number earlier, const Touch& now) {
    if (earlier < first)
        return true;
    const Section& was = sections[earlier - first];
    if (was.block != block)
        return now.shared;  // each block has its own
    if (was.thread == now.thread || was.step < step)
        return true;
    return was.thread / 32 == now.thread / 32 && earlier <= threads[now.thread].seen[was.thread % 32];
}

std::string at(const void* place) {
    char text[24];
    std::snprintf(text, sizeof text, "0x%tx", static_cast<const char*>(place) - 1 - &__executable_start);
    return std::string("; the place: addr2line -e ") + program_invocation_short_name + " " + text;
}

std::string what(const Touch& now) {
    static constexpr const char* kWords[] = {"reads ", "writes ", "reads by an atomic ", "changes by an atomic "};
    return kWords[static_cast<int>(now.kind)] + std::to_string(now.bytes) + " bytes";
}

void check_order(Number earlier, const char* did, const Touch& now) {
    if (is_ordered(earlier, now))
        return;
    const Section& was = sections[earlier - first];
    const uint3 thread = {was.thread % blockDim.x, was.thread / blockDim.x % blockDim.y,
                          was.thread / (blockDim.x * blockDim.y)};
    fail_in_kernel(what(now) + (now.shared ? " of shared memory" : "") + " that " + thread_text(thread) +
                   (was.block == block ? " of this block " : " of another block ") + did +
                   ", and nothing orders the two" + at(now.place));
}
void check_order(const Two& earlier, const char* did, const Touch& now) {
    check_order(earlier[0], did, now);
    check_order(earlier[1], did, now);
}

// Two of different warps, or of different blocks, are kept where there are such: whatever is ordered after one of them
// is not ordered after the other.
void remember(Two& sections_of_kind, const Touch& now) {
    for (Number& one : sections_of_kind)
        if (is_ordered(one, now)) {
            one = now.section;
            return;
        }
    const Section& one = sections[sections_of_kind[0] - first];
    const Section& other = sections[sections_of_kind[1] - first];
    const bool same_warp = one.block == other.block && one.thread / 32 == other.thread / 32;
    if (one.block == other.block && (one.block != block || (same_warp && one.thread / 32 != now.thread / 32)))
        sections_of_kind[1] = now.section;
}

void check(Cell& cell, const Touch& now) {
    switch (now.kind) {
        case Kind::read:
            if (cell.reads[0] == now.section || cell.reads[1] == now.section)
                return;
            check_order(cell.write, "writes", now);
            check_order(cell.atomic_writes, "changes by an atomic", now);
            remember(cell.reads, now);
            return;
        case Kind::write:
            if (cell.write == now.section)
                return;
            check_order(cell.write, "writes", now);
            check_order(cell.reads, "reads", now);
            check_order(cell.atomic_reads, "reads by an atomic", now);
            check_order(cell.atomic_writes, "changes by an atomic", now);
            cell.write = now.section;
            return;
        case Kind::atomic_read:
            check_order(cell.write, "writes", now);
            remember(cell.atomic_reads, now);
            return;
        case Kind::atomic_write:
            check_order(cell.write, "writes", now);
            check_order(cell.reads, "reads", now);
            remember(cell.atomic_writes, now);
            return;
    }
}

Page& page_of(std::uintptr_t number) {
    Found& there = found[number % found.size()];
    if (!there.page || there.number != number) {
        std::unique_ptr<Page>& page = pages[number];
        if (!page)
            page = std::make_unique<Page>();
        there = {number, page.get()};
    }
    return *there.page;
}

void check_bounds(const char* p, const Touch& now) {
    const auto holds = [&] {
        return last_allocation.start && p >= last_allocation.start &&
               p + now.bytes <= last_allocation.start + last_allocation.bytes;
    };
    if (holds())
        return;
    last_allocation = allocation_before(p);
    if (holds())
        return;
    if (!last_allocation.start)
        fail_in_kernel(what(now) + " that lie in no buffer" + at(now.place));
    fail_in_kernel(what(now) + " at byte " + std::to_string(p - last_allocation.start) + ", but the buffer there has " +
                   std::to_string(last_allocation.bytes) + at(now.place));
}

}  // namespace

void access(const void* p, std::size_t n, Kind kind, const void* place) {
    if (!in_kernel)
        return;
    const Memory memory = memory_of(p, n);
    if (memory == Memory::own || (memory == Memory::constant && kind == Kind::read))
        return;
    // What the checks call may be compiled with the kernels and announce its accesses too.
    const OutOfKernel out;
    Touch now = {n, kind, place, memory == Memory::shared, current_thread(), 0};
    if (memory != Memory::shared)
        check_bounds(static_cast<const char*>(p), now);
    Thread& me = threads[now.thread];
    if (!me.goes_on) {
        me.last = first + static_cast<Number>(sections.size());
        me.goes_on = true;
        sections.push_back({block, now.thread, step});
    }
    now.section = me.last;
    // Neighbouring bytes mostly have one history: it is judged once.
    Cell before{};
    Cell after{};
    bool known = false;
    const auto begin = reinterpret_cast<std::uintptr_t>(p);
    for (std::uintptr_t byte = begin; byte < begin + n;) {
        Page& page = page_of(byte / kPage);
        const std::uintptr_t end = std::min(begin + n, (byte / kPage + 1) * kPage);
        for (; byte < end; ++byte) {
            Cell& cell = page[byte % kPage];
            if (known && cell == before) {
                cell = after;
                continue;
            }
            before = cell;
            check(cell, now);
            after = cell;
            known = true;
        }
    }
}

}  // namespace simt

#include "engine/plan/arena.h"

#include "kernels/base/view.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

namespace boneage::plan {
namespace {

bool taken_together(const Buffer& a, const Buffer& b) {
    return a.first <= b.last && b.first <= a.last;
}

int64_t aligned_bytes(const Buffer& buffer) {
    return round_up(buffer.bytes, kArenaAlignment);
}

// The start of the smallest gap that fits between the buffers in `placed` taken together with `buffer`; behind all of
// them when none does.
int64_t best_fit(const Buffer& buffer, const std::vector<Buffer>& placed) {
    std::vector<const Buffer*> neighbours;
    for (const Buffer& other : placed) {
        if (taken_together(buffer, other)) {
            neighbours.push_back(&other);
        }
    }
    std::ranges::sort(neighbours, {}, &Buffer::offset);
    const int64_t need = aligned_bytes(buffer);
    int64_t best = -1;
    int64_t best_gap = std::numeric_limits<int64_t>::max();
    int64_t end = 0;
    for (const Buffer* other : neighbours) {
        const int64_t gap = other->offset - end;
        if (gap >= need && gap < best_gap) {
            best = end;
            best_gap = gap;
        }
        end = std::max(end, other->offset + aligned_bytes(*other));
    }
    return best >= 0 ? best : end;
}

int64_t place_in_order(std::vector<Buffer>& buffers, const std::vector<size_t>& order) {
    std::vector<Buffer> placed;
    int64_t size = 0;
    for (const size_t i : order) {
        buffers[i].offset = best_fit(buffers[i], placed);
        size = std::max(size, buffers[i].offset + aligned_bytes(buffers[i]));
        placed.push_back(buffers[i]);
    }
    return size;
}

}  // namespace

int64_t most_live_bytes(const std::vector<Buffer>& buffers) {
    int64_t most = 0;
    // The sum can only rise where a buffer begins.
    for (const Buffer& at : buffers) {
        int64_t live = 0;
        for (const Buffer& other : buffers) {
            live += other.first <= at.first && at.first <= other.last ? aligned_bytes(other) : 0;
        }
        most = std::max(most, live);
    }
    return most;
}

int64_t arrange(std::vector<Buffer>& buffers) {
    const auto length = [](const Buffer& b) { return b.last - b.first + 1; };
    const std::vector<std::function<bool(const Buffer&, const Buffer&)>> before{
        [](const Buffer& a, const Buffer& b) { return a.bytes > b.bytes; },
        [&](const Buffer& a, const Buffer& b) { return length(a) > length(b); },
        [&](const Buffer& a, const Buffer& b) { return a.bytes * length(a) > b.bytes * length(b); },
        [](const Buffer& a, const Buffer& b) { return a.first < b.first; },
    };
    std::vector<size_t> best_order(buffers.size());
    std::iota(best_order.begin(), best_order.end(), size_t{0});
    int64_t best = place_in_order(buffers, best_order);
    const auto consider = [&](std::vector<size_t> order) {
        const int64_t size = place_in_order(buffers, order);
        if (size < best) {
            best = size;
            best_order = std::move(order);
        }
    };
    for (const auto& earlier : before) {
        std::vector<size_t> order(buffers.size());
        std::iota(order.begin(), order.end(), size_t{0});
        std::ranges::stable_sort(order, [&](size_t a, size_t b) { return earlier(buffers[a], buffers[b]); });
        consider(std::move(order));
    }
    // What greedy orders leave open, exchanging two buffers of the best one often closes.
    constexpr int kExchanges = 300;
    const int64_t least = most_live_bytes(buffers);
    std::mt19937 random;  // seeded by default: the same plan every time
    for (int i = 0; i < kExchanges && best > least; ++i) {
        std::vector<size_t> order = best_order;
        std::swap(order[random() % order.size()], order[random() % order.size()]);
        consider(std::move(order));
    }
    return place_in_order(buffers, best_order);
}

}  // namespace boneage::plan

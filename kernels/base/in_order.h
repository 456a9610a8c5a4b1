// What several threads finish in any order, passed on in the order of the inputs.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

namespace boneage {

// Hands out ranges of inputs and takes one Row for each back. All functions may be called from any thread.
template <class Row>
class InOrder {
public:
    // Called for one row at a time, from changing threads. What it throws ends the run.
    using Sink = std::function<void(const Row&)>;

    // At most `most_waiting` rows wait for an earlier one: further ranges are held back until it is there. Once `stop`
    // is true no more are handed out. `sink` and `stop` must outlive this.
    InOrder(size_t inputs, size_t range, size_t most_waiting, const Sink& sink, const std::atomic<bool>& stop)
        : inputs_(inputs), range_(range), most_waiting_(most_waiting), sink_(sink), stop_(stop) {}

    struct Range {
        size_t begin = 0;
        size_t end = 0;
        [[nodiscard]] bool empty() const { return begin == end; }
    };

    // The next range to work on; an empty one when there is nothing left to do.
    Range take() {
        std::unique_lock lock(mutex_);
        // The range that holds the others back is being worked on by a thread that has taken it already, so this ends.
        moved_.wait(lock, [&] { return over() || taken_ == inputs_ || taken_ - passed_ < most_waiting_; });
        if (over()) {
            return {};
        }
        const size_t begin = taken_;
        taken_ = std::min(inputs_, begin + range_);
        return {begin, taken_};
    }

    // Gives the row of input number `index`; passes on all rows that are now in order.
    void give(size_t index, Row row) {
        const std::lock_guard lock(mutex_);
        waiting_.emplace(index, std::move(row));
        try {
            while (error_ == nullptr && !waiting_.empty() && waiting_.begin()->first == passed_) {
                sink_(waiting_.begin()->second);
                waiting_.erase(waiting_.begin());
                ++passed_;
            }
        } catch (...) {
            error_ = std::current_exception();
            sink_failed_ = true;
        }
        moved_.notify_all();
    }

    // Ends the run with this error; the first one counts.
    void fail(std::exception_ptr error) {
        const std::lock_guard lock(mutex_);
        if (error_ == nullptr) {
            error_ = std::move(error);
        }
        moved_.notify_all();
    }

    // Once all workers are done: rows passed on. Rethrows what ended the run.
    size_t finish() {
        const std::lock_guard lock(mutex_);
        if (error_ != nullptr) {
            std::rethrow_exception(error_);
        }
        return passed_;
    }

    // finish() for sinks that can do without some rows: where the run failed, finished ones that wait for one that will
    // not come are passed on first, still in order.
    size_t finish_with_gaps() {
        {
            const std::lock_guard lock(mutex_);
            if (error_ != nullptr && !sink_failed_) {
                try {
                    std::ranges::for_each(waiting_, [&](const auto& row) { sink_(row.second); });
                } catch (...) {
                    sink_failed_ = true;  // what ended the run is what counts
                }
            }
            waiting_.clear();
        }
        return finish();
    }

private:
    [[nodiscard]] bool over() const { return error_ != nullptr || stop_; }

    const size_t inputs_;
    const size_t range_;
    const size_t most_waiting_;
    const Sink& sink_;
    const std::atomic<bool>& stop_;
    std::mutex mutex_;
    std::condition_variable moved_;
    size_t taken_ = 0;
    size_t passed_ = 0;
    std::map<size_t, Row> waiting_;
    std::exception_ptr error_;
    bool sink_failed_ = false;
};

}  // namespace boneage

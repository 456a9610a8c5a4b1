// Puts rows that workers finish in any order back into the order of the inputs.
#pragma once

#include "engine/session.h"

#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>

namespace boneage::session {

// Hands out ranges of inputs and takes their rows back. All functions may be called from any thread.
class RowOrder {
public:
    // At most `most_waiting` rows wait for an earlier one: further ranges are held back until it is there.
    RowOrder(size_t inputs, size_t range, size_t most_waiting, const RowSink& sink, const std::atomic<bool>& stop)
        : inputs_(inputs), range_(range), most_waiting_(most_waiting), sink_(sink), stop_(stop) {}

    struct Range {
        size_t begin = 0;
        size_t end = 0;
        [[nodiscard]] bool empty() const { return begin == end; }
    };
    // The next range to work on; an empty one when there is nothing left to do.
    Range take();
    // Gives the row of input number `index`; passes on all rows that are now in order.
    void give(size_t index, Row row);
    // Ends the run with this error; the first one counts.
    void fail(std::exception_ptr error);

    // Once all workers are done: rows passed on. Rethrows what ended the run.
    size_t finish();

private:
    [[nodiscard]] bool over() const { return error_ != nullptr || stop_; }

    const size_t inputs_;
    const size_t range_;
    const size_t most_waiting_;
    const RowSink& sink_;
    const std::atomic<bool>& stop_;
    std::mutex mutex_;
    std::condition_variable moved_;
    size_t taken_ = 0;
    size_t passed_ = 0;
    std::map<size_t, Row> waiting_;
    std::exception_ptr error_;
};

}  // namespace boneage::session

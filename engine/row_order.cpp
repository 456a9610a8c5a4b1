#include "engine/row_order.h"

#include <algorithm>
#include <utility>

namespace boneage::session {

RowOrder::Range RowOrder::take() {
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

void RowOrder::give(size_t index, Row row) {
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
    }
    moved_.notify_all();
}

void RowOrder::fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (error_ == nullptr) {
        error_ = std::move(error);
    }
    moved_.notify_all();
}

size_t RowOrder::finish() {
    const std::lock_guard lock(mutex_);
    if (error_ != nullptr) {
        std::rethrow_exception(error_);
    }
    return passed_;
}

}  // namespace boneage::session

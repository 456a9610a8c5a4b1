#include "kernels/base/in_order.h"

#include <gtest/gtest.h>
#include <stdexcept>
#include <vector>

namespace boneage {
namespace {

class Order : public ::testing::Test {
protected:
    // Row 2 is missing, and the run fails between the last two.
    void fail_with_a_gap() {
        order_.take();
        for (const size_t row : {3, 0, 5, 1}) {
            order_.give(row, static_cast<int>(row));
        }
        order_.fail(std::make_exception_ptr(std::runtime_error("the device is gone")));
        order_.give(4, 4);
    }

    std::vector<int> passed_;
    int most_ = 100;  // rows that the sink takes
    const InOrder<int>::Sink sink_ = [this](int row) {
        if (static_cast<int>(passed_.size()) == most_) {
            throw std::runtime_error("the disk is full");
        }
        passed_.push_back(row);
    };
    const std::atomic<bool> stop_ = false;
    InOrder<int> order_{6, 6, 6, sink_, stop_};
};

std::string thrown_by(const std::function<void()>& body) {
    try {
        body();
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "nothing";
}

TEST_F(Order, a_failed_run_keeps_rows_that_waited_for_one_that_will_not_come) {
    fail_with_a_gap();
    EXPECT_EQ(passed_, (std::vector{0, 1}));
    EXPECT_EQ(thrown_by([&] { order_.finish_with_gaps(); }), "the device is gone");
    EXPECT_EQ(passed_, (std::vector{0, 1, 3, 4, 5}));
    EXPECT_EQ(thrown_by([&] { order_.finish_with_gaps(); }), "the device is gone");
    EXPECT_EQ(passed_.size(), 5U) << "each once";
}

TEST_F(Order, sinks_that_need_every_row_before_are_spared_gaps) {
    fail_with_a_gap();
    EXPECT_EQ(thrown_by([&] { order_.finish(); }), "the device is gone");
    EXPECT_EQ(passed_, (std::vector{0, 1}));
}

TEST_F(Order, a_sink_that_failed_gets_no_more_rows) {
    most_ = 1;
    fail_with_a_gap();
    most_ = 100;
    EXPECT_EQ(thrown_by([&] { order_.finish_with_gaps(); }), "the disk is full");
    EXPECT_EQ(passed_, (std::vector{0}));
}

TEST_F(Order, what_ended_the_run_is_thrown_when_the_sink_fails_afterwards) {
    most_ = 3;
    fail_with_a_gap();
    EXPECT_EQ(thrown_by([&] { order_.finish_with_gaps(); }), "the device is gone");
    EXPECT_EQ(passed_, (std::vector{0, 1, 3}));
}

}  // namespace
}  // namespace boneage

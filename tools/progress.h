// How far a long run has got, on standard error: a bar that redraws itself on a terminal, now and then a line
// elsewhere.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

namespace boneage::tools {

class Progress {
public:
    using Clock = std::chrono::steady_clock;

    // `unit` is what is counted: "radiographs".
    Progress(size_t total, std::string unit, std::FILE* out, bool terminal);
    // To standard error, as a bar when it is a terminal.
    Progress(size_t total, std::string unit);

    // `note`, where given, stands behind the bar.
    void advance(size_t by = 1, const std::string& note = "");
    // A line for people, with the bar kept below it.
    void say(const std::string& line);
    // Removes the bar, which comes back with the next step: call it before somebody else writes to the terminal.
    void hide();
    // Removes the bar for good.
    void finish();

    [[nodiscard]] double seconds() const;

    // "123 of 456 radiographs, 31.7/s, 11 s left"; no rate before there is one.
    static std::string text(size_t done, size_t total, const std::string& unit, double seconds);
    // The bar and `status` behind it on a terminal `columns` wide: a narrow one gets a shorter bar or none, and what
    // does not fit is cut, because a bar that wraps cannot be erased.
    static std::string bar(size_t done, size_t total, const std::string& status, size_t columns);

private:
    [[nodiscard]] std::string status() const;
    void draw();
    void erase();

    size_t total_;
    std::string unit_;
    std::FILE* out_;
    bool terminal_;
    size_t done_ = 0;
    std::string note_;
    size_t drawn_ = 0;     // columns of the bar that stand on the terminal
    bool hidden_ = false;  // whether it was taken away and is to come back
    Clock::time_point start_ = Clock::now();
    Clock::time_point shown_ = start_;
};

// Says on standard error that convolutions are being prepared for a GPU, which may take minutes the first time: a line
// at the first one, one now and then, and how long all took. Nothing where there was nothing to prepare.
class Preparation {
public:
    using Clock = std::chrono::steady_clock;

    explicit Preparation(bool measuring) : measuring_(measuring) {}
    // Called before each.
    void step();
    void finish();

private:
    bool measuring_;
    size_t steps_ = 0;
    Clock::time_point start_;
    Clock::time_point shown_;
};

// "45 s", "3 min 20 s", "2 h 05 min"
std::string duration_text(double seconds);

}  // namespace boneage::tools

#include "tools/progress.h"

#include <algorithm>
#include <cmath>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace boneage::tools {
namespace {

using namespace std::chrono_literals;
constexpr auto kRedraw = 100ms;
constexpr auto kLine = 10s;
constexpr size_t kBarWidth = 24;
constexpr size_t kShortestBar = 8;
constexpr size_t kNarrowest = 20;
constexpr size_t kUsualColumns = 80;

size_t columns_of(std::FILE* terminal) {
    winsize size{};
    return ::ioctl(::fileno(terminal), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsualColumns;
}

template <class... Args>
std::string format(const char* pattern, Args... args) {
    char text[128];
    std::snprintf(text, sizeof text, pattern, args...);
    return text;
}

}  // namespace

std::string duration_text(double seconds) {
    const auto whole = static_cast<long>(std::ceil(seconds));
    if (whole < 60) {
        return format("%ld s", whole);
    }
    if (whole < 3600) {
        return format("%ld min %02ld s", whole / 60, whole % 60);
    }
    return format("%ld h %02ld min", whole / 3600, whole % 3600 / 60);
}

Progress::Progress(size_t total, std::string unit, std::FILE* out, bool terminal)
    : total_(total), unit_(std::move(unit)), out_(out), terminal_(terminal) {}

Progress::Progress(size_t total, std::string unit)
    : Progress(total, std::move(unit), stderr, ::isatty(STDERR_FILENO) == 1) {}

double Progress::seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::string Progress::text(size_t done, size_t total, const std::string& unit, double seconds) {
    std::string text = std::to_string(done) + " of " + std::to_string(total) + " " + unit;
    if (done > 0 && seconds > 0.0) {
        const double rate = static_cast<double>(done) / seconds;
        text += format(", %.1f/s, ", rate) + duration_text(static_cast<double>(total - done) / rate) + " left";
    }
    return text;
}

void Progress::advance(size_t by, const std::string& note) {
    done_ += by;
    note_ = note;
    const auto now = Clock::now();
    if (!hidden_ && now - shown_ < (terminal_ ? Clock::duration(kRedraw) : Clock::duration(kLine))) {
        return;
    }
    shown_ = now;
    if (terminal_) {
        erase();
        draw();
    } else {
        std::fprintf(out_, "%s\n", status().c_str());
    }
}

void Progress::say(const std::string& line) {
    const bool bar = drawn_ > 0;
    erase();
    std::fprintf(out_, "%s\n", line.c_str());
    if (bar) {
        draw();
    }
}

void Progress::hide() {
    hidden_ = drawn_ > 0;
    erase();
    std::fflush(out_);
}

void Progress::finish() {
    erase();
    std::fflush(out_);
}

std::string Progress::status() const {
    return text(done_, total_, unit_, seconds()) + (note_.empty() ? "" : ", " + note_);
}

void Preparation::step() {
    const auto now = Clock::now();
    if (steps_ == 0) {
        start_ = shown_ = now;
        std::fprintf(stderr, "%s; kept on disk for the next time\n",
                     measuring_ ? "measuring what is fastest on this GPU" : "preparing the networks for this GPU");
    } else if (now - shown_ >= kLine) {
        shown_ = now;
        std::fprintf(stderr, "%zu convolutions done in %s\n", steps_,
                     duration_text(std::chrono::duration<double>(now - start_).count()).c_str());
    }
    ++steps_;
}

void Preparation::finish() {
    if (steps_ > 0) {
        const std::chrono::duration<double> taken = Clock::now() - start_;
        std::fprintf(stderr, "%zu convolutions %s in %s\n", steps_, measuring_ ? "measured" : "prepared",
                     duration_text(taken.count()).c_str());
    }
}

std::string Progress::bar(size_t done, size_t total, const std::string& status, size_t columns) {
    const size_t room = std::max(columns, kNarrowest) - 1;  // the last column would wrap
    constexpr size_t kAround = 3;                           // brackets and the blank
    const size_t width = room > status.size() + kAround ? std::min(kBarWidth, room - status.size() - kAround) : 0;
    std::string line;
    if (width >= kShortestBar) {
        const size_t filled = total > 0 ? width * std::min(done, total) / total : width;
        line.append("[").append(filled, '#').append(width - filled, '.').append("] ");
    }
    return line.append(status).substr(0, room);
}

void Progress::draw() {
    const std::string line = bar(done_, total_, status(), columns_of(out_));
    std::fputs(line.c_str(), out_);
    std::fflush(out_);
    drawn_ = line.size();
    hidden_ = false;
}

void Progress::erase() {
    if (drawn_ > 0) {
        std::fprintf(out_, "\r%s\r", std::string(drawn_, ' ').c_str());
        drawn_ = 0;
    }
}

}  // namespace boneage::tools

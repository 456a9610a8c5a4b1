// The program as people see it on a terminal.
#pragma once

#include "tests/support/program.h"

#include <algorithm>
#include <cstdint>
#include <pty.h>

namespace boneage::testing {

// All that the program writes to a terminal of so many columns, as the terminal gets it. Empty when it cannot be
// started.
inline std::string written_to_terminal(const std::vector<std::string>& arguments, uint16_t columns) {
    const std::vector<char*> argv = argv_of(arguments);
    const winsize size{.ws_row = 50, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, &size);
    if (child == 0) {
        ::execv(BONEAGE_PROGRAM, argv.data());
        ::_exit(127);
    }
    std::string written;
    char piece[4096];
    for (ssize_t got = 0; child > 0 && (got = ::read(terminal, piece, sizeof piece)) > 0;) {
        written.append(piece, static_cast<size_t>(got));
    }
    ::close(terminal);
    ::waitpid(child, nullptr, 0);
    return written;
}

// The lines that then stand on the screen, on which a carriage return goes back to the line's begin; no line is
// wrapped.
inline std::vector<std::string> lines_on_screen(const std::string& written) {
    std::vector<std::string> lines(1);
    size_t column = 0;
    for (const char c : written) {
        if (c == '\n') {
            lines.emplace_back();
            column = 0;
        } else if (c == '\r') {
            column = 0;
        } else {
            std::string& line = lines.back();
            line.resize(std::max(line.size(), column + 1), ' ');
            line[column++] = c;
        }
    }
    return lines;
}

}  // namespace boneage::testing

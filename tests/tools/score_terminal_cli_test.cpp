// boneage score on a terminal: the bar that tells how far it has got.
#include "tests/support/score_runs.h"
#include "tests/support/terminal.h"

#include <algorithm>

namespace boneage::testing {
namespace {

std::vector<std::string> slow_run(const std::vector<std::string>& more) {
    std::vector<std::string> arguments(12, kRadiographs + "/1381.png");
    arguments.insert(arguments.end(), {"--workers", "1"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return score_arguments(arguments);
}

// Every state of the bar.
std::vector<std::string> bars_in(const std::string& written) {
    std::vector<std::string> bars;
    std::string piece;
    for (const char c : written + "\n") {
        if (c != '\r' && c != '\n') {
            piece += c;
            continue;
        }
        if (piece.find("of 12 radio") != std::string::npos) {
            bars.push_back(piece);
        }
        piece.clear();
    }
    return bars;
}

TEST(ScoreOnATerminal, rows_and_the_bar_never_share_a_line) {
    const std::string written = written_to_terminal(slow_run({}), 400);
    EXPECT_FALSE(bars_in(written).empty()) << written;
    std::vector<std::string> rows;
    for (const std::string& line : lines_on_screen(written)) {
        EXPECT_EQ(line.find("[#"), std::string::npos) << line;
        if (line.find(".png,ok,") != std::string::npos) {
            rows.push_back(line.substr(0, line.find_last_not_of(' ') + 1));
        }
    }
    ASSERT_EQ(rows.size(), 12U) << written;
    for (const std::string& row : rows) {
        const std::string rest = row.substr(kRadiographs.size());
        EXPECT_TRUE(rest.starts_with("/1381.png,ok,")) << row;
        EXPECT_EQ(rest.find_first_not_of("-./,0123456789abcdefghijklmnopqrstuvwxyz"), std::string::npos) << row;
    }
}

TEST(ScoreOnATerminal, the_bar_fits_the_width) {
    const Folder folder;
    for (const uint16_t columns : {120, 60, 40, 24}) {
        const std::string written = written_to_terminal(slow_run({"-o", (folder / "scores.csv").string()}), columns);
        const std::vector<std::string> bars = bars_in(written);
        ASSERT_FALSE(bars.empty()) << columns << " columns: " << written;
        for (const std::string& bar : bars) {
            EXPECT_LT(bar.size(), columns) << bar;
        }
        EXPECT_EQ(std::ranges::count_if(bars, [](const std::string& bar) { return bar.front() == '['; }) > 0,
                  columns >= 60)
            << columns << " columns: " << written;
    }
}

}  // namespace
}  // namespace boneage::testing

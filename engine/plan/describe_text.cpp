#include "engine/plan/describe_text.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace boneage::plan {

std::string shape_text(const Shape& shape) {
    std::string text = std::to_string(shape.n);
    for (const int64_t side : {shape.h, shape.w, shape.c}) {
        text += "x";
        text += std::to_string(side);
    }
    return text;
}

std::string decimal(double number, int digits) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.*f", digits, number);
    return text.data();
}

std::string short_number(int64_t number) {
    constexpr std::array<const char*, 5> kUnits{"", "k", "M", "G", "T"};
    auto scaled = static_cast<double>(number);
    size_t unit = 0;
    while (scaled >= 999.5 && unit + 1 < kUnits.size()) {
        scaled /= 1000;
        ++unit;
    }
    if (number == 0) {
        return "-";
    }
    return decimal(scaled, unit == 0 || scaled >= 99.95 ? 0 : (scaled >= 9.995 ? 1 : 2)) + " " + kUnits[unit];
}

std::string microseconds(double seconds) {
    return decimal(1e6 * seconds, 1);
}

std::string measured_text(const Measurement& measured, int64_t batch) {
    return "measured: on " + measured.on +
           ", each step alone, over and over; the total is all of them in their order, " +
           decimal(static_cast<double>(batch) / measured.whole, 1) + " images/s.\n";
}

void insert_implementations(std::vector<Row>& rows, const Measurement& measured) {
    const auto insert = [](Row& row, std::string text) { row.insert(row.begin() + 3, std::move(text)); };
    for (size_t i = 0; i < rows.size(); ++i) {
        const bool is_step = i > 0 && i <= measured.steps.size();
        insert(rows[i], i == 0 ? "computed by" : is_step ? measured.steps[i - 1].implementation : "");
    }
}

std::string lay_out(const std::vector<Row>& rows, size_t last_words) {
    std::vector<size_t> widths(rows.front().size());
    for (const Row& row : rows) {
        for (size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    std::string text;
    for (const Row& row : rows) {
        std::string line;
        for (size_t i = 0; i < row.size(); ++i) {
            const std::string space(widths[i] - row[i].size(), ' ');
            line += i >= 1 && i <= last_words ? row[i] + space : space + row[i];
            line += "  ";
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line;
        text += '\n';
    }
    return text;
}

}  // namespace boneage::plan

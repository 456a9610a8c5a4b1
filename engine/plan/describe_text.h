// How plans are put into words and columns.
#pragma once

#include "engine/plan/measure.h"
#include "engine/plan/plan.h"

#include <string>
#include <vector>

namespace boneage::plan {

// "16x112x112x64".
std::string shape_text(const Shape& shape);

// "3.14" for (3.14159, 2).
std::string decimal(double number, int digits);

// "1.23 M" for 1234567, "-" for 0; binary steps for bytes would hide the FLOP/byte ratio.
std::string short_number(int64_t number);

// The head of the column of measured times, one of them, and what they are.
inline constexpr const char* kMeasuredColumn = "measured us";
std::string microseconds(double seconds);
std::string measured_text(const Measurement& measured, int64_t batch);

using Row = std::vector<std::string>;

// Into rows of a step each, between their head and further rows: what computed it, as the fourth column.
void insert_implementations(std::vector<Row>& rows, const Measurement& measured);

// Rows of equal length as lines. The columns from the second to `last_words`, counted from 0, hold words and begin
// together; the others hold numbers and end together.
std::string lay_out(const std::vector<Row>& rows, size_t last_words);

}  // namespace boneage::plan

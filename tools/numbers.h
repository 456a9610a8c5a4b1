// Numbers on the command line: what an option takes, said in the help and, as a sentence that begins with the option's
// name, where something else is given.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace boneage::tools {

// All are for CLI11's check(). Whole numbers in decimal digits, both ends included; CLI11 would read 010 as octal, so
// none begins with 0.
CLI::Validator whole_number(uint64_t least, uint64_t most);

// Finite numbers, both ends included.
CLI::Validator number(double least, double most);

// The same without the ends themselves.
CLI::Validator number_between(double above, double below);

}  // namespace boneage::tools

// What several subcommands share: how they look in the help, and options of one meaning everywhere.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace boneage::tools {

// Headings under which the program's help lists its subcommands.
inline constexpr const char* kScoring = "Scoring";
inline constexpr const char* kModels = "Models";

// Adds a subcommand. `examples` are whole command lines, one a line, shown at the end of its help.
CLI::App* add_command(CLI::App& parent, const char* heading, const char* name, const char* description,
                      const char* examples);

// Where a command computes.
struct Device {
    bool cuda = false;
    int index = 0;  // which GPU
};

// --device auto|cpu|cuda[:N], kept as text until the command runs.
void add_device_option(CLI::App& command, std::string& device);
// UsageError when it is none of these; DeviceError, saying what to do, for a GPU that this build cannot use.
Device choose_device(const std::string& device);

}  // namespace boneage::tools

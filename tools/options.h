// What several subcommands share: how they look in the help, and options of one meaning everywhere.
#pragma once

#include "engine/gpu.h"
#include "engine/pipeline/stages.h"
#include "engine/plan/plan.h"

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace boneage::tools {

// Headings under which the program's help lists its subcommands.
inline constexpr const char* kScoring = "Scoring";
inline constexpr const char* kTraining = "Training";
inline constexpr const char* kModels = "Models";

// Adds a subcommand. `examples` are whole command lines, one a line, shown at the end of its help.
CLI::App* add_command(CLI::App& parent, const char* heading, const char* name, const char* description,
                      const char* examples);

// For CLI11's transform(): takes exactly these words. CLI11's own transformers also take the numbers behind them.
template <class Enum>
CLI::Validator one_word_of(std::map<std::string, Enum> words) {
    return CLI::Validator(
        [words = std::move(words)](std::string& text) -> std::string {
            std::string all;
            for (const auto& [word, value] : words) {
                if (word == text) {
                    text = std::to_string(static_cast<int>(value));
                    return "";
                }
                all += (all.empty() ? "" : ", ") + word;
            }
            return "must be one of " + all + ", not " + text;
        },
        "");
}

// --precision f32|tf32|bf16|f16, one meaning everywhere.
void add_precision_option(CLI::App& command, plan::Precision& precision);

// --device auto|cpu|cuda[:N], kept as text until the command runs; `what` is chosen so.
void add_device_option(CLI::App& command, std::string& device, const std::string& what = "Where to compute");
// The GPU that `device` names, there or not: 0 for cuda, none for auto and cpu. UsageError when it is none of these.
std::optional<int> named_gpu(const std::string& device);
// The GPU to compute on, or none for the CPU. auto takes the first GPU that can be used for `work`, and the CPU where
// none can; standard error says what was wrong with those passed over. UsageError as named_gpu(); DeviceError, saying
// what to do, when `device` names a GPU that cannot be used.
std::optional<int> choose_gpu(const std::string& device, session::GpuWork work = session::GpuWork::networks);

// --autotune. `results` is what may differ with it: "ages".
void add_autotune_option(CLI::App& command, bool& autotune, const std::string& results);
// Once the GPU is chosen: UsageError when --autotune was given with --device cpu; says on standard error that it has no
// effect where auto took the CPU.
void check_autotune(bool autotune, const std::string& device, std::optional<int> gpu);

// "640x480": width, then height, each from `least` to `most`. UsageError naming the option otherwise.
ImageSize size_of(const std::string& text, const char* option, int64_t least, int64_t most);

}  // namespace boneage::tools

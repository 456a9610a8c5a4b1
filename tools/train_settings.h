// The settings of a training as its command line has them: for its checkpoint, and for the card of its model.
#pragma once

#include "engine/train/run_settings.h"
#include "tools/train_options.h"

#include <charconv>
#include <concepts>
#include <string>
#include <type_traits>

namespace boneage::tools {

// The shortest text that is read back as the same number.
template <class Number>
std::string number_text(Number value) {
    char text[64];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

// A setting that stays what it was when a run is resumed.
template <class Value>
train::RunSetting setting(const std::string& name, const Value& value) {
    train::RunSetting made;
    made.name = name;
    if constexpr (std::same_as<Value, bool>) {
        made.given = value ? name : "";
    } else if constexpr (std::is_arithmetic_v<Value>) {
        made.given = name + " " + number_text(value);
    } else {
        made.given = value.empty() ? "" : name + " " + value;
    }
    return made;
}

// Everything that add_train_options() offers and that decides what is learned, then `own`, which the subcommand offers
// besides.
train::RunSettings settings_of(const TrainOptions& options, bool on_gpu, const train::RunSettings& own);

// The threads of a run that is resumed where the command line does not say how many, because last bits depend on them.
void keep_threads(TrainOptions& options);

// A command line that repeats the run, in folders of other names.
std::string command_line(const std::string& command, const train::RunSettings& settings);

}  // namespace boneage::tools

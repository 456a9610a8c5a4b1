// The subcommands of `boneage`, one source file each.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace boneage::tools {

enum class ExitCode : int {
    all_well = 0,
    some_inputs_failed = 1,  // their rows or messages say which and why
    usage = 2,               // the command line, a recipe or a weights file asks for something that cannot be
    run_failed = 3,          // the run itself could not be done or finished
};

// What the command line asked for. Throws the errors of engine/errors.h, which main() turns into a message and a code.
using Work = std::function<ExitCode()>;

// Each adds its subcommand to the program and, when the command line names it, leaves what is to be done in `work`.
void add_apply(CLI::App& program, Work& work);
void add_convert(CLI::App& program, Work& work);
void add_evaluate(CLI::App& program, Work& work);
void add_init(CLI::App& program, Work& work);
void add_inspect(CLI::App& program, Work& work);
void add_plan(CLI::App& program, Work& work);
void add_prepare(CLI::App& program, Work& work);
void add_score(CLI::App& program, Work& work);
void add_train(CLI::App& program, Work& work);
void add_train_segmenter(CLI::App& program, Work& work);

}  // namespace boneage::tools

// The `boneage` program: reads the command line, runs the subcommand it names, and turns errors into one sentence on
// standard error and an exit code.
#include "engine/errors.h"
#include "tools/commands.h"
#include "tools/options.h"
#include "tools/suggest.h"
#include "tools/version.h"

#include <cstdio>
#include <iostream>
#include <new>

namespace boneage::tools {
namespace {

constexpr const char* kDescription =
    "boneage reads hand radiographs of children and answers with a bone age in months for each.\n"
    "Research use only: not a medical device.";

constexpr const char* kFooter =
    "`boneage COMMAND --help` explains a command and ends with examples.\n"
    "Exit codes: 0 all well, 1 some inputs failed, 2 usage, 3 the run itself failed.\n";

void say(const std::string& sentence) {
    std::cerr << "boneage: " << sentence << '\n';
}

// The subcommand that the command line got to, with its full name.
CLI::App* deepest(CLI::App* app, std::string& name) {
    name = app->get_name();
    for (auto chosen = app->get_subcommands(); !chosen.empty(); chosen = app->get_subcommands()) {
        app = chosen.front();
        name += " " + app->get_name();
    }
    return app;
}

std::string suggestion(CLI::App* at, const std::string& word) {
    std::vector<std::string> known;
    if (word.rfind('-', 0) == 0) {
        for (const CLI::Option* option : at->get_options()) {
            for (const std::string& name : option->get_lnames()) {
                known.push_back("--" + name);
            }
        }
    } else {
        for (const CLI::App* command : at->get_subcommands([](const CLI::App*) { return true; })) {
            known.push_back(command->get_name());
        }
    }
    const std::string found = closest(word.substr(0, word.find('=')), known);
    return found.empty() ? "" : ", did you mean " + found + "?";
}

// CLI11 complains of what is missing first, but a word it could not place is the likelier mistake.
std::string complaint(CLI::App& program, const CLI::ParseError& error) {
    std::string name;
    CLI::App* at = deepest(&program, name);
    const std::string see = " (" + name + " --help explains)";
    const std::vector<std::string> unplaced = program.remaining(true);
    if (!unplaced.empty()) {
        return "\"" + unplaced.front() + "\" is not understood here" + suggestion(at, unplaced.front()) + see;
    }
    std::string sentence = error.what();
    // What a validator says of an option goes on from the option's name, after which CLI11 puts a colon.
    if (const size_t colon = sentence.find(": "); error.get_name() == "ValidationError" && colon != std::string::npos) {
        sentence.erase(colon, 1);
    }
    return sentence + see;
}

int parse_and_run(int argc, char** argv) {
    CLI::App program(kDescription, "boneage");
    program.get_formatter()->column_width(36);
    program.set_version_flag("--version", version_text, "Print the version and how the program was built");
    program.footer(kFooter);
    program.require_subcommand(1);

    Work work;
    add_score(program, work);
    add_evaluate(program, work);
    add_apply(program, work);
    add_init(program, work);
    add_convert(program, work);
    add_inspect(program, work);
    add_plan(program, work);
    add_prepare(program, work);
    add_train(program, work);
    add_train_segmenter(program, work);

    try {
        program.parse(argc, argv);
    } catch (const CLI::Success& asked) {  // help and version
        return program.exit(asked, std::cout, std::cerr);
    } catch (const CLI::ParseError& error) {
        throw UsageError(complaint(program, error));
    }
    return static_cast<int>(work());
}

// Every error of the program ends here.
ExitCode report_current_exception() {
    try {
        throw;
    } catch (const UsageError& error) {
        say(error.what());
        return ExitCode::usage;
    } catch (const InputError& error) {
        say(error.what());
        return ExitCode::some_inputs_failed;
    } catch (const ContractError& error) {
        say(std::string("a defect in this program, please report it: ") + error.what());
    } catch (const std::bad_alloc&) {
        say("out of memory");
    } catch (const std::exception& error) {
        say(error.what());
    }
    return ExitCode::run_failed;
}

int run_program(int argc, char** argv) {
    int code = 0;
    try {
        code = parse_and_run(argc, argv);
        if (!std::cout.flush()) {
            throw Error("standard output cannot be written");
        }
    } catch (...) {
        code = static_cast<int>(report_current_exception());
    }
    return code;
}

}  // namespace
}  // namespace boneage::tools

int main(int argc, char** argv) {
    return boneage::tools::run_program(argc, argv);
}

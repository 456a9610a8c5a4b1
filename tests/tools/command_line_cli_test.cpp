// What every subcommand has in common: help, version, complaints.
#include "tests/support/program.h"
#include "tests/support/refusal.h"

#include <gtest/gtest.h>

namespace boneage::testing {
namespace {

const std::vector<std::vector<std::string>> kCommands{{"apply"},        {"evaluate"}, {"init"}, {"init", "resnet34"},
                                                      {"init", "unet"}, {"inspect"},  {"score"}};

std::vector<std::string> with(std::vector<std::string> command, const std::string& argument) {
    command.push_back(argument);
    return command;
}

TEST(CommandLineTest, help_lists_the_commands_and_the_exit_codes) {
    const Ran help = run_program({"--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_EQ(help.err, "");
    for (const std::vector<std::string>& command : kCommands) {
        EXPECT_NE(help.out.find("  " + command.front() + " "), std::string::npos) << command.front();
    }
    EXPECT_NE(help.out.find("Exit codes: 0 all well"), std::string::npos);
}

TEST(CommandLineTest, the_help_of_every_command_ends_with_examples) {
    for (const std::vector<std::string>& command : kCommands) {
        const Ran help = run_program(with(command, "--help"));
        EXPECT_EQ(help.code, 0) << command.back();
        const size_t examples = help.out.find("Examples:\n  boneage " + command.front());
        ASSERT_NE(examples, std::string::npos) << command.back() << ":\n" << help.out;
        EXPECT_EQ(help.out.find("Options:", examples), std::string::npos) << "the examples come last";
    }
}

TEST(CommandLineTest, version_says_how_it_was_built) {
    const Ran version = run_program({"--version"});
    EXPECT_EQ(version.code, 0);
    for (const char* part : {"boneage 0.", "\ncompiler ", "\nbuild ", "\nCUDA ", "\nnetworks  oneDNN "}) {
        EXPECT_NE(version.out.find(part), std::string::npos) << part << " in:\n" << version.out;
    }
}

TEST(CommandLineTest, no_command_is_a_usage_error) {
    const Ran outcome = run_program({});
    EXPECT_EQ(not_refused(outcome, 2), "");
    EXPECT_NE(outcome.err.find("boneage --help"), std::string::npos);
}

TEST(CommandLineTest, unknown_options_are_named_by_every_command) {
    for (const std::vector<std::string>& command : kCommands) {
        const Ran outcome = run_program(with(command, "--no-such-thing"));
        EXPECT_EQ(not_refused(outcome, 2), "") << command.back();
        EXPECT_NE(outcome.err.find("--no-such-thing"), std::string::npos) << outcome.err;
    }
}

TEST(CommandLineTest, typing_mistakes_get_a_suggestion) {
    const auto suggests = [](const std::vector<std::string>& arguments, const std::string& meant) {
        const Ran outcome = run_program(arguments);
        EXPECT_EQ(not_refused(outcome, 2), "");
        EXPECT_NE(outcome.err.find("did you mean " + meant + "?"), std::string::npos) << outcome.err;
    };
    suggests({"scroe", "hand.png"}, "score");
    suggests({"inpsect", "x"}, "inspect");
    suggests({"--versoin"}, "--version");
    suggests({"init", "resnet43"}, "resnet34");
    suggests({"init", "unet", "--dpeth=3"}, "--depth");
    const Ran far = run_program({"frobnicate"});
    EXPECT_EQ(not_refused(far, 2), "");
    EXPECT_EQ(far.err.find("did you mean"), std::string::npos) << far.err;
}

TEST(CommandLineTest, numbers_out_of_range_are_refused) {
    for (const std::vector<std::string>& arguments :
         std::vector<std::vector<std::string>>{{"init", "unet", "-o", "x", "--depth", "0"},
                                               {"init", "unet", "-o", "x", "--depth", "many"},
                                               {"init", "unet", "-o", "x", "--depth", "99999999999999999999"},
                                               {"init", "unet", "-o", "x", "--seed", "-1"},
                                               {"init", "unet", "-o", "x", "--type", "f64"},
                                               {"init", "unet", "-o", "x", "--depth", "7", "--base-width", "128"},
                                               {"init", "resnet34", "-o", "x", "--channels", "4"},
                                               {"init", "resnet34"}}) {
        EXPECT_EQ(not_refused(run_program(arguments), 2), "") << arguments.back();
    }
}

TEST(CommandLineTest, what_a_number_may_be_is_said_in_one_plain_sentence) {
    const auto says = [](const std::vector<std::string>& arguments, const std::string& sentence) {
        const Ran outcome = run_program(arguments);
        EXPECT_EQ(not_refused(outcome, 2), "");
        EXPECT_NE(outcome.err.find("boneage: " + sentence + " ("), std::string::npos) << outcome.err;
    };
    for (const char* seed : {"-1", "abc", "1.5", "", "0x1", "010", "18446744073709551616"}) {
        says({"init", "unet", "-o", "x", "--seed", seed},
             "--seed takes a whole number from 0 to 18446744073709551615, not \"" + std::string(seed) + "\"");
    }
    says({"score", "a.png", "--batch", "x"}, "--batch takes a whole number from 1 to 1024, not \"x\"");
    says({"score", "a.png", "--workers", "0"}, "--workers takes a whole number from 1 to 1024, not \"0\"");
    says({"train", "cache", "-o", "run", "--epochs", "2.5"},
         "--epochs takes a whole number from 1 to 1000000, not \"2.5\"");
    says({"train", "cache", "-o", "run", "--factor", "1"}, "--factor takes a number above 0 and below 1, not \"1\"");
    says({"evaluate", "--predictions", "p", "--labels", "l", "-o", "r", "--seed", "x"},
         "--seed takes a whole number from 0 to 18446744073709551615, not \"x\"");
    says({"score", "a.png", "--precision", "f8"}, "--precision must be one of bf16, f16, f32, tf32, not f8");
    const Ran help = run_program({"train", "--help"});
    EXPECT_NE(help.out.find("--epochs N:1..1000000=100 "), std::string::npos) << help.out;
}

TEST(CommandLineTest, numbers_that_are_not_finite_are_refused_by_every_option) {
    std::vector<std::vector<std::string>> commands{
        {"apply", "clahe", "a.png", "b.png", "--clip-limit"},
        {"apply", "overlay", "a.png", "b.png", "--mask", "m", "--background"},
        {"apply", "sharpen", "a.png", "b.png", "--amount"},
        {"apply", "contrast", "a.png", "--threshold"}};
    for (const char* option :
         {"--rate",         "--min-rate",    "--warmup",     "--factor",   "--threshold", "--min-delta",
          "--weight-decay", "--clip",        "--ema",        "--rotate",   "--shift",     "--zoom",
          "--shear",        "--flip",        "--brightness", "--contrast", "--noise",     "--erase",
          "--erase-area",   "--unknown-sex", "--balance",    "--category"}) {
        commands.push_back({"train", "cache", "-o", "run", option});
    }
    for (const std::vector<std::string>& command : commands) {
        for (const char* value : {"nan", "inf", "-inf", "1e999"}) {
            const Ran outcome = run_program(with(command, value));
            EXPECT_EQ(not_refused(outcome, 2), "") << command.back() << " " << value;
            EXPECT_NE(outcome.err.find(command.back() + " takes a number "), std::string::npos) << outcome.err;
        }
    }
}

TEST(CommandLineTest, the_folder_of_the_models_is_in_the_help_of_what_reads_them) {
    for (const std::vector<std::string>& command :
         std::vector<std::vector<std::string>>{{"score"}, {"apply", "segment"}}) {
        EXPECT_NE(run_program(with(command, "--help")).out.find("$BONEAGE_WEIGHTS"), std::string::npos)
            << command.back();
    }
}

}  // namespace
}  // namespace boneage::testing

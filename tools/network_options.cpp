#include "tools/network_options.h"

#include "tools/numbers.h"

namespace boneage::tools {
namespace {

constexpr const char* kNetwork = "Network";

}  // namespace

void add_network_number(CLI::App& command, const char* name, int64_t& value, uint64_t least, uint64_t most,
                        const char* description) {
    command.add_option(name, value, description)
        ->type_name("N")
        ->check(whole_number(least, most))
        ->capture_default_str()
        ->group(kNetwork);
}

void add_resnet34_options(CLI::App& command, net::ResNet34Spec& spec) {
    spec.sex_input = true;
    command
        .add_flag("--sex-input,!--no-sex-input", spec.sex_input,
                  "Whether the network is told the child's sex (default: it is)")
        ->group(kNetwork);
    add_network_number(command, "--base-width", spec.base_width, 1, 128,
                       "Channels of its first stage; doubled by each of three more. Fewer are faster");
    add_network_number(command, "--hidden", spec.hidden, 0, 4096,
                       "Width of a hidden layer before the answer; 0 for none");
}

void add_unet_options(CLI::App& command, net::UnetSpec& spec) {
    add_network_number(command, "--depth", spec.depth, 1, 7, "How often it halves the image");
    add_network_number(command, "--base-width", spec.base_width, 1, 128,
                       "Channels of its first level; doubled by each halving");
}

}  // namespace boneage::tools

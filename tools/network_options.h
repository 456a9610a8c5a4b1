// The shape of a new network, for subcommands that make one.
#pragma once

#include "engine/net/graph.h"

#include <CLI/CLI.hpp>
#include <cstdint>

namespace boneage::tools {

// An option that takes a whole number, both ends included, and shows its default; in the help under "Network".
void add_network_number(CLI::App& command, const char* name, int64_t& value, uint64_t least, uint64_t most,
                        const char* description);

// --sex-input, --base-width and --hidden. By default the network is told the sex.
void add_resnet34_options(CLI::App& command, net::ResNet34Spec& spec);
// --depth and --base-width.
void add_unet_options(CLI::App& command, net::UnetSpec& spec);

}  // namespace boneage::tools

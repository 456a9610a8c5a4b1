// --convolutions, for subcommands that compute on processors.
#pragma once

#include "engine/onednn/convolutions.h"

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace boneage::tools {

// winograd|direct; `direct_gives` says what people choose direct for.
CLI::Option* add_convolutions_option(CLI::App& command, std::optional<onednn::Convolutions>& convolutions,
                                     const std::string& direct_gives);
// UsageError when --convolutions was given with --device cuda.
void check_convolutions(std::optional<onednn::Convolutions> given, const std::string& device);
// Once the GPU is chosen: how processors compute; says on standard error that it has no effect where auto found a GPU.
onednn::Convolutions choose_convolutions(std::optional<onednn::Convolutions> given, std::optional<int> gpu);

}  // namespace boneage::tools

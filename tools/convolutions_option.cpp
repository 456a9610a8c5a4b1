#include "tools/convolutions_option.h"

#include "engine/errors.h"
#include "tools/options.h"

#include <cstdio>

namespace boneage::tools {

CLI::Option* add_convolutions_option(CLI::App& command, std::optional<onednn::Convolutions>& convolutions,
                                     const std::string& direct_gives) {
    const std::map<std::string, onednn::Convolutions> words{{"winograd", onednn::Convolutions::winograd},
                                                            {"direct", onednn::Convolutions::direct}};
    return command
        .add_option("--convolutions", convolutions,
                    "On processors, 3x3 layers in float32: winograd for speed, or direct, " + direct_gives +
                        " (default winograd)")
        ->type_name("WAY")
        ->transform(one_word_of(words));
}

void check_convolutions(std::optional<onednn::Convolutions> given, const std::string& device) {
    if (given && device.starts_with("cuda")) {
        throw UsageError("--convolutions says how processors compute; leave it out with --device " + device);
    }
}

onednn::Convolutions choose_convolutions(std::optional<onednn::Convolutions> given, std::optional<int> gpu) {
    if (given && gpu) {
        std::fprintf(stderr, "--convolutions has no effect: a GPU computes\n");
    }
    return given.value_or(onednn::Convolutions::winograd);
}

}  // namespace boneage::tools

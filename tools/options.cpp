#include "tools/options.h"

#include "engine/errors.h"

#include <charconv>
#include <string_view>

namespace boneage::tools {

CLI::App* add_command(CLI::App& parent, const char* heading, const char* name, const char* description,
                      const char* examples) {
    CLI::App* command = parent.add_subcommand(name, description);
    command->group(heading);
    std::string footer = "Examples:";
    for (std::string_view rest = examples; !rest.empty();) {
        const size_t end = rest.find('\n');
        footer.append("\n  ").append(rest.substr(0, end));
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
    command->footer(footer + "\n");
    return command;
}

void add_device_option(CLI::App& command, std::string& device) {
    command.add_option("--device", device, "Where to compute: auto, cpu, cuda or cuda:N (the Nth GPU, from 0)")
        ->type_name("DEVICE")
        ->capture_default_str()
        ->group("Speed");
}

Device choose_device(const std::string& device) {
    if (device == "auto" || device == "cpu") {
        return {};
    }
    Device chosen;
    chosen.cuda = true;
    constexpr std::string_view kPrefix = "cuda:";
    const std::string_view text = device;
    bool valid = text == "cuda";
    if (text.substr(0, kPrefix.size()) == kPrefix) {
        const auto [end, error] =
            std::from_chars(text.data() + kPrefix.size(), text.data() + text.size(), chosen.index);
        valid = error == std::errc() && end == text.data() + text.size() && chosen.index >= 0;
    }
    if (!valid) {
        throw UsageError("--device " + device +
                         " is unknown; give auto, cpu, cuda or cuda:N with N counting GPUs from 0");
    }
#if BONEAGE_HAS_CUDA
    throw DeviceError("--device " + device +
                      " cannot be used: this version runs its networks on the CPU only; give --device cpu or auto");
#else
    throw DeviceError(
        "--device " + device +
        " cannot be used: this program was built without CUDA; give --device cpu or auto, or build it with the "
        "CUDA toolkit installed and cmake --preset release -DBONEAGE_CUDA=ON");
#endif
}

}  // namespace boneage::tools

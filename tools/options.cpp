#include "tools/options.h"

#include "engine/errors.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <string_view>
#include <vector>

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

void add_precision_option(CLI::App& command, plan::Precision& precision) {
    const std::map<std::string, plan::Precision> precisions{{"f32", plan::Precision::f32},
                                                            {"tf32", plan::Precision::tf32},
                                                            {"bf16", plan::Precision::bf16},
                                                            {"f16", plan::Precision::f16}};
    command
        .add_option("--precision", precision,
                    "Numbers of the networks: f32; for speed on a GPU tf32 (f32 on a CPU), bf16 or f16, which are "
                    "slower than f32 on processors that have no instructions for them (default f32)")
        ->type_name("TYPE")
        ->transform(one_word_of(precisions))
        ->group("Speed");
}

void add_device_option(CLI::App& command, std::string& device, const std::string& what) {
    command.add_option("--device", device, what + ": auto, cpu, cuda or cuda:N (the Nth GPU, from 0)")
        ->type_name("DEVICE")
        ->capture_default_str()
        ->group("Speed");
}

ImageSize size_of(const std::string& text, const char* option, int64_t least, int64_t most) {
    ImageSize size;
    const char* end = text.data() + text.size();
    const auto width = std::from_chars(text.data(), end, size.width);
    if (width.ec == std::errc() && width.ptr != end && *width.ptr == 'x') {
        const auto height = std::from_chars(width.ptr + 1, end, size.height);
        const auto fits = [&](int64_t side) { return side >= least && side <= most; };
        if (height.ec == std::errc() && height.ptr == end && fits(size.width) && fits(size.height)) {
            return size;
        }
    }
    throw UsageError(std::string(option) + " takes WxH with sides from " + std::to_string(least) + " to " +
                     std::to_string(most) + ", such as " + std::to_string(8 * least) + "x" + std::to_string(8 * least) +
                     ", not \"" + text + "\"");
}

std::optional<int> named_gpu(const std::string& device) {
    if (device == "auto" || device == "cpu") {
        return std::nullopt;
    }
    int gpu = 0;
    constexpr std::string_view kPrefix = "cuda:";
    const std::string_view text = device;
    bool valid = text == "cuda";
    if (text.substr(0, kPrefix.size()) == kPrefix) {
        const auto [end, error] = std::from_chars(text.data() + kPrefix.size(), text.data() + text.size(), gpu);
        valid = error == std::errc() && end == text.data() + text.size() && gpu >= 0;
    }
    if (!valid) {
        throw UsageError("--device " + device +
                         " is unknown; give auto, cpu, cuda or cuda:N with N counting GPUs from 0");
    }
    return gpu;
}

namespace {

// The first GPU that can be used for `work`. Where it is not the very first, or none can, standard error says why not.
std::optional<int> first_usable_gpu(session::GpuWork work) {
    std::vector<std::string> refusals;
    const auto refused = [&](const DeviceError& error) {
        if (std::ranges::find(refusals, error.what()) == refusals.end()) {
            refusals.emplace_back(error.what());
        }
    };
    const auto say = [&](const std::string& where) {
        std::string text = where;
        for (const std::string& refusal : refusals) {
            text += (&refusal == refusals.data() ? ": " : "; ") + refusal;
        }
        std::fprintf(stderr, "%s\n", text.c_str());
    };
    try {
        const int count = session::gpu_count();
        for (int gpu = 0; gpu < count; ++gpu) {
            try {
                session::require_gpu(gpu, work);
                if (gpu > 0) {
                    say("computing on GPU " + std::to_string(gpu) + ", the first that can be used");
                }
                return gpu;
            } catch (const DeviceError& error) {
                refused(error);
            }
        }
    } catch (const DeviceError& error) {
        refused(error);
    }
    if (!refusals.empty()) {
        say("computing without the GPU");
    }
    return std::nullopt;
}

}  // namespace

std::optional<int> choose_gpu(const std::string& device, session::GpuWork work) {
    if (device == "auto") {
        return first_usable_gpu(work);
    }
    const std::optional<int> gpu = named_gpu(device);
    if (gpu) {
        try {
            session::require_gpu(*gpu, work);
        } catch (const DeviceError& error) {
            throw DeviceError("--device " + device + " cannot be used: " + error.what());
        }
    }
    return gpu;
}

void add_autotune_option(CLI::App& command, bool& autotune, const std::string& results) {
    command
        .add_flag("--autotune", autotune,
                  "On a GPU: measure which of cuDNN's ways to compute each convolution is fastest. Takes minutes once "
                  "for each batch size and precision; give it again later to use what was found, which is kept in "
                  "$BONEAGE_CACHE (default ~/.cache/boneage). Last bits of " +
                      results + " may differ from those without it")
        ->group("Speed");
}

void check_autotune(bool autotune, const std::string& device, std::optional<int> gpu) {
    if (!autotune || gpu) {
        return;
    }
    if (device == "cpu") {
        throw UsageError("--autotune measures what is fastest on a GPU; leave it out with --device cpu");
    }
    std::fprintf(stderr, "--autotune has no effect: no GPU computes\n");
}

}  // namespace boneage::tools

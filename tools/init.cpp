// boneage init: writes a model with seeded initial weights, to train from or to see the pipeline run.
#include "engine/errors.h"
#include "engine/io/file.h"
#include "engine/io/model_file.h"
#include "engine/net/parameters.h"
#include "engine/pipeline/recipe.h"
#include "tools/commands.h"
#include "tools/network_options.h"
#include "tools/numbers.h"
#include "tools/options.h"
#include "tools/overwriting.h"

#include <algorithm>
#include <iostream>
#include <limits>
#include <memory>
#include <span>

namespace boneage::tools {
namespace {

constexpr int64_t kMostParameters = 500'000'000;

struct InitOptions {
    net::ResNet34Spec resnet34;
    net::UnetSpec unet;
    bool is_unet = false;
    std::string out;
    uint64_t seed = 0;
    std::string recipe_file;
    std::string type = "f32";
    std::string start = "random";
};
using Shared = std::shared_ptr<InitOptions>;

std::string recipe_text(const std::string& file) {
    if (file.empty()) {
        return pipeline::to_json(pipeline::Recipe{});
    }
    const io::MappedFile mapped(file);
    const std::span<const std::byte> bytes = mapped.bytes();
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    naming_file(file, [&] { return pipeline::recipe_from_json(text); });
    return text;
}

io::StoredType stored_type(const std::string& name) {
    return name == "f16" ? io::StoredType::f16 : name == "bf16" ? io::StoredType::bf16 : io::StoredType::f32;
}

// The brightness above which the stand-in for a segmenter sees a hand; that of soft tissue in many radiographs.
constexpr float kBrightnessLevel = 0.15F;

plan::ParameterSource brightness_parameters(const net::Graph& graph) {
    return [parameters = net::parameters(graph)](std::string_view name) {
        const auto found = std::ranges::find(parameters, name, &net::Parameter::name);
        return net::brightness_values(*found, kBrightnessLevel);
    };
}

ExitCode init(const InitOptions& options) {
    if (!options.recipe_file.empty()) {
        refuse_to_overwrite({"-o", options.out}, {{"--recipe", options.recipe_file}});
    }
    io::ModelCard card;
    if (options.is_unet) {
        card.architecture = options.unet;
    } else {
        card.architecture = options.resnet34;
    }
    card.recipe = recipe_text(options.recipe_file);
    const net::Graph graph = io::graph_of(card.architecture);
    const int64_t parameters = net::parameter_count(graph);
    if (parameters > kMostParameters) {
        throw UsageError("such a network would have " + std::to_string(parameters) + " parameters; " +
                         std::to_string(kMostParameters) + " is the most that is written");
    }
    plan::ParameterSource values = io::initial_parameters(graph, options.seed);
    std::string origin = "from seed " + std::to_string(options.seed);
    if (options.start == "brightness") {
        values = brightness_parameters(graph);
        origin = "that take for hand what is bright";
    }
    card.card = "Initial values " + origin + "; nothing was learned.";
    io::write_model(options.out, card, values, stored_type(options.type));
    std::cout << "Wrote " << options.out << ": " << io::type_name(card.architecture) << " with " << parameters
              << " initial parameters " << origin << "; it is untrained, so its answers mean nothing yet.\n";
    return ExitCode::all_well;
}

void add_common(CLI::App& command, const Shared& options) {
    command.add_option("-o,--out", options->out, "The weights file to write; replaced when it exists")
        ->type_name("FILE")
        ->required();
    command.add_option("--seed", options->seed, "Seed of the random initial values")
        ->type_name("N")
        ->check(whole_number(0, std::numeric_limits<uint64_t>::max()))
        ->capture_default_str();
    command
        .add_option("--recipe", options->recipe_file,
                    "JSON with every setting of the pipeline; without it the defaults")
        ->type_name("FILE");
    command.add_option("--type", options->type, "How numbers are stored")
        ->type_name("TYPE")
        ->check(CLI::IsMember({"f32", "f16", "bf16"}))
        ->capture_default_str();
}

}  // namespace

void add_init(CLI::App& program, Work& work) {
    const auto options = std::make_shared<InitOptions>();
    CLI::App* command = add_command(program, kModels, "init", "Write a model with seeded initial weights (untrained)",
                                    "boneage init resnet34 --seed 1 -o resnet34.safetensors\n"
                                    "boneage init unet --base-width 8 --seed 1 -o unet.safetensors");
    command->require_subcommand(1);

    CLI::App* resnet34 = add_command(*command, "Networks", "resnet34", "The network that answers with an age",
                                     "boneage init resnet34 --seed 1 -o resnet34.safetensors\n"
                                     "boneage init resnet34 --no-sex-input --channels 3 -o plain.safetensors");
    add_common(*resnet34, options);
    add_network_number(*resnet34, "--channels", options->resnet34.channels, 1, 3, "Channels of its image");
    add_resnet34_options(*resnet34, options->resnet34);
    add_network_number(*resnet34, "--outputs", options->resnet34.outputs, 1, 4096, "Numbers it answers with");

    CLI::App* unet = add_command(*command, "Networks", "unet", "The network that finds the hand",
                                 "boneage init unet --seed 1 -o unet.safetensors\n"
                                 "boneage init unet --depth 3 --base-width 32 --type bf16 -o wide.safetensors");
    add_common(*unet, options);
    add_network_number(*unet, "--channels", options->unet.channels, 1, 3, "Channels of its image");
    add_unet_options(*unet, options->unet);
    add_network_number(*unet, "--outputs", options->unet.outputs, 1, 64, "Classes it tells from the background");

    unet->add_option("--start", options->start,
                     "What the values are: random, or brightness: the mask is what is bright, a stand-in that shows "
                     "the pipeline before a segmenter is trained")
        ->type_name("HOW")
        ->check(CLI::IsMember({"random", "brightness"}))
        ->capture_default_str();

    resnet34->final_callback([options, &work] { work = [options] { return init(*options); }; });
    unet->final_callback([options, &work] {
        options->is_unet = true;
        work = [options] { return init(*options); };
    });
}

}  // namespace boneage::tools

// boneage plan: prints what a network will do, step by step, before anything runs.
#include "engine/cudnn/traits.h"
#include "engine/errors.h"
#include "engine/io/model_file.h"
#include "engine/onednn/backend.h"
#include "engine/onednn/training_backend.h"
#include "engine/plan/describe.h"
#include "engine/plan/executor.h"
#include "engine/plan/training_executor.h"
#include "tools/commands.h"
#include "tools/numbers.h"
#include "tools/options.h"
#include "tools/train_device.h"

#include <algorithm>
#include <charconv>
#include <iostream>
#include <memory>
#include <tuple>

namespace boneage::tools {
namespace {

struct PlanOptions {
    std::string net;
    std::string size = "224x224";
    plan::Precision precision = plan::Precision::f32;
    int64_t batch = 1;
    int64_t channels = 1;
    std::optional<int64_t> base_width;
    std::optional<int64_t> depth;
    int64_t outputs = 1;
    bool sex_input = false;
    std::string roof;
    std::string device = "cpu";
    bool json = false;
    bool train = false;
    bool recompute = false;
    bool measure = false;
    bool autotune = false;
    int threads = 0;
};

constexpr int64_t kLargestSide = 8192;

// "HxW" or "N" for a square.
std::pair<int64_t, int64_t> parse_size(const std::string& text) {
    const auto number = [&](size_t begin, size_t end) {
        int64_t value = 0;
        const auto result = std::from_chars(text.data() + begin, text.data() + end, value);
        const bool is_number = result.ec != std::errc::invalid_argument && result.ptr == text.data() + end;
        if (!is_number) {
            throw UsageError("--size " + text +
                             " is not HEIGHTxWIDTH in pixels, for example 256x192, or one number for a square");
        }
        if (result.ec != std::errc{} || value < 1 || value > kLargestSide) {
            throw UsageError("--size " + text + " is too small or too large: sides lie between 1 and " +
                             std::to_string(kLargestSide) + " pixels");
        }
        return value;
    };
    const size_t cross = text.find('x');
    if (cross == std::string::npos) {
        const int64_t side = number(0, text.size());
        return {side, side};
    }
    return {number(0, cross), number(cross + 1, text.size())};
}

// UsageError where the poolings would not halve the image evenly.
void check_divisible(std::pair<int64_t, int64_t> size, int64_t depth) {
    const int64_t by = int64_t{1} << depth;
    if (size.first % by != 0 || size.second % by != 0) {
        throw UsageError("a unet of depth " + std::to_string(depth) + " takes sides that " + std::to_string(by) +
                         " divides, not --size " + std::to_string(size.first) + "x" + std::to_string(size.second) +
                         " (height x width); give such a size or a smaller --depth");
    }
}

net::Graph network(const PlanOptions& given) {
    if (given.net == "unet") {
        if (given.sex_input) {
            throw UsageError("--sex-input is for resnet34; unet reads images only");
        }
        const int64_t depth = given.depth.value_or(net::UnetSpec{}.depth);
        check_divisible(parse_size(given.size), depth);
        return net::unet({given.channels, depth, given.base_width.value_or(net::UnetSpec{}.base_width), given.outputs});
    }
    if (given.depth) {
        throw UsageError("--depth is for unet; resnet34 has 34 layers always");
    }
    return net::resnet34({.channels = given.channels,
                          .base_width = given.base_width.value_or(net::ResNet34Spec{}.base_width),
                          .sex_input = given.sex_input,
                          .outputs = given.outputs});
}

// Where --measure runs a plan.
TrainOptions device_options(const PlanOptions& given) {
    TrainOptions options;
    options.device = given.device;
    options.autotune = given.autotune;
    options.threads = given.threads;
    options.precision = given.precision;
    return options;
}

// Nothing without --measure.
std::unique_ptr<TrainDevice> measuring_device(const PlanOptions& given) {
    return given.measure ? std::make_unique<TrainDevice>(device_options(given)) : nullptr;
}

// Whether a GPU's steps are printed, for which one that is named need not be there.
bool on_gpu(const PlanOptions& given) {
    return named_gpu(given.device) || choose_gpu(given.device);
}

// What it finds, of executors of both kinds, with inputs like an image's.
template <class Executor, class... Params>
plan::Measurement measure(TrainDevice& device, const PlanOptions& given, Executor& executor, const Params&... params) {
    device.prepared();
    for (const plan::ValueId id : executor.plan().inputs) {
        const std::string& name = executor.plan().values[static_cast<size_t>(id)].name;
        const std::span<float> input = executor.input(name);
        if (name == "image") {
            plan::fill_like_an_image(input);
        } else {
            std::ranges::fill(input, name == "weights" ? 1.0F : 0.0F);
        }
    }
    plan::Measurement measurement = executor.measured(params...);
    measurement.on = device.describe();
    if (!device.on_gpu()) {
        measurement.on += ", threads: " + std::to_string(threads_of(device_options(given)));
    }
    return measurement;
}

void print_training(const PlanOptions& given) {
    if (!given.roof.empty()) {
        throw UsageError("--roof models scoring only; leave it out to see a training step");
    }
    plan::TrainingOptions options;
    std::tie(options.height, options.width) = parse_size(given.size);
    options.batch = given.batch;
    options.precision = given.precision;
    options.recompute = given.recompute;
    options.loss = given.net == "unet" ? plan::Loss::segmentation : plan::Loss::absolute_error;
    const net::Graph graph = network(given);
    const std::unique_ptr<TrainDevice> device = measuring_device(given);
    options.traits = device          ? device->backend().traits()
                     : on_gpu(given) ? cudnn::kTrainingTraits
                                     : onednn::make_training_backend(1)->traits();
    const plan::TrainingPlan lowered = plan::lower_training(graph, options);
    std::optional<plan::Measurement> measured;
    if (device) {
        plan::TrainingExecutor executor(lowered, device->backend(), io::initial_parameters(graph, 1),
                                        {.averages = true});
        measured = measure(*device, given, executor, AdamParams{});
    }
    const plan::Measurement* found = measured ? &*measured : nullptr;
    std::cout << (given.json ? plan::as_json(lowered, found) : plan::as_table(lowered, found));
}

ExitCode print_plan(const PlanOptions& given) {
    if (!given.measure && (given.autotune || given.threads > 0)) {
        throw UsageError("--autotune and --threads say how --measure computes; give it too, or leave them out");
    }
    if (given.recompute && !given.train) {
        throw UsageError("--recompute changes a step of training; give --train too, or leave it out");
    }
    if (given.train) {
        print_training(given);
        return ExitCode::all_well;
    }
    plan::Options options;
    std::tie(options.height, options.width) = parse_size(given.size);
    options.batch = given.batch;
    options.precision = given.precision;
    if (given.sex_input) {
        options.rerun = {"sex"};
    }
    const net::Graph graph = network(given);
    const plan::Machine* machine = given.roof.empty() ? nullptr : &plan::machine(given.roof);
    const std::unique_ptr<TrainDevice> device = measuring_device(given);
    options.traits = device          ? device->judge().traits()
                     : on_gpu(given) ? cudnn::kTraits
                                     : onednn::make_backend({})->traits();
    const plan::Plan lowered = plan::lower(graph, options);
    std::optional<plan::Measurement> measured;
    if (device) {
        plan::Executor executor(lowered, device->judge(), io::initial_parameters(graph, 1));
        measured = measure(*device, given, executor);
    }
    const plan::Measurement* found = measured ? &*measured : nullptr;
    std::cout << (given.json ? plan::as_json(lowered, machine, found) : plan::as_table(lowered, machine, found));
    return ExitCode::all_well;
}

}  // namespace

void add_plan(CLI::App& program, Work& work) {
    CLI::App* command =
        add_command(program, kModels, "plan",
                    "Print what a network will do: every step with its shape, arithmetic, bytes moved and "
                    "place in memory",
                    "boneage plan resnet34 --size 224x224 --batch 16\n"
                    "boneage plan unet --size 256x256 --base-width 16 --depth 4 --json\n"
                    "boneage plan resnet34 --train --batch 16 --precision bf16\n"
                    "boneage plan resnet34 --train --batch 64 --precision bf16 --device cuda --measure");
    auto given = std::make_shared<PlanOptions>();
    command->add_option("NETWORK", given->net, "resnet34 or unet")
        ->required()
        ->check(CLI::IsMember({"resnet34", "unet"}));
    command
        ->add_option("--size", given->size,
                     "Height and width of the images in pixels, the HEIGHT first, unlike sizes elsewhere; one number "
                     "for a square")
        ->type_name("HEIGHTxWIDTH")
        ->capture_default_str();
    command->add_option("--batch", given->batch, "Images at once")
        ->type_name("N")
        ->check(whole_number(1, 1024))
        ->capture_default_str();
    add_precision_option(*command, given->precision);
    command->add_option("--channels", given->channels, "Channels of the images")
        ->type_name("N")
        ->check(whole_number(1, 3))
        ->capture_default_str();
    command->add_option("--outputs", given->outputs, "Numbers per image (resnet34) or per pixel (unet)")
        ->type_name("N")
        ->check(whole_number(1, 4096))
        ->capture_default_str();
    command
        ->add_option("--base-width", given->base_width,
                     "Channels of the first stage (resnet34; default 64) or level (unet; default 16)")
        ->type_name("N")
        ->check(whole_number(1, 128));
    command->add_option("--depth", given->depth, "unet: number of poolings (default 4)")
        ->type_name("N")
        ->check(whole_number(1, 7));
    command->add_flag("--sex-input", given->sex_input, "resnet34: with the sex as second input");
    command
        ->add_option("--roof", given->roof,
                     "Add the least time each step can take on an h200, h100, a100 or l40s: a model, no measurement")
        ->type_name("DEVICE");
    add_device_option(*command, given->device,
                      "Whose steps to print; a GPU that is named must be there for --measure only");
    command->add_flag("--train", given->train,
                      "Print a step of training instead: forward, loss and backward, and the memory that it takes");
    command->add_flag("--recompute", given->recompute, "With --train: as `boneage train --recompute` does it");
    command->add_flag(
        "--measure", given->measure,
        "Run the plan with initial weights on the device, and add what computes every step, in the words of "
        "oneDNN or cuDNN, and how long it takes");
    command->add_option("--threads", given->threads, "For --measure on the CPU; 0: one for each processor")
        ->type_name("N")
        ->check(whole_number(0, 1024))
        ->capture_default_str();
    add_autotune_option(*command, given->autotune, "what it computes");
    command->add_flag("--json", given->json, "Print JSON instead of a table");
    command->callback([given, &work] { work = [given] { return print_plan(*given); }; });
}

}  // namespace boneage::tools

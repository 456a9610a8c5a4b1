#include "tools/train_options.h"

#include "engine/errors.h"
#include "engine/net/parameters.h"
#include "tools/convolutions_option.h"
#include "tools/numbers.h"
#include "tools/options.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <type_traits>

namespace boneage::tools {
namespace {

constexpr const char* kRun = "Run";
constexpr const char* kRate = "Learning rate";
constexpr const char* kOptimiser = "Optimiser";
constexpr const char* kAugment = "Augmentation (each sample anew, by the seed)";

class Group {
public:
    Group(CLI::App& command, const char* name) : command_(command), name_(name) {}

    template <class T>
    CLI::Option* number(const char* option, T& value, const char* type, double low, double high,
                        const std::string& description) {
        CLI::Option* added =
            command_.add_option(option, value, description)->type_name(type)->capture_default_str()->group(name_);
        if constexpr (std::is_integral_v<T>) {
            return added->check(whole_number(static_cast<uint64_t>(low), static_cast<uint64_t>(high)));
        } else {
            return added->check(tools::number(low, high));
        }
    }

private:
    CLI::App& command_;
    const char* name_;
};

void add_rate_options(CLI::App& command, TrainOptions& options) {
    Group rate(command, kRate);
    command
        .add_option("--schedule", options.schedule,
                    "How the rate changes: constant, plateau-torch or plateau-keras (lowered when the validation no "
                    "longer improves, by PyTorch's or Keras's rules), cosine, one-cycle")
        ->type_name("RULE")
        ->check(CLI::IsMember({"constant", "plateau-torch", "plateau-keras", "cosine", "one-cycle"}))
        ->capture_default_str()
        ->group(kRate);
    rate.number("--rate", options.rate, "RATE", 1e-9, 10, "The largest learning rate");
    rate.number("--min-rate", options.min_rate, "RATE", 0, 10, "The smallest, for plateau and cosine");
    rate.number("--warmup", options.warmup_epochs, "EPOCHS", 0, 1e6, "Linear rise before; not with one-cycle");
    command.add_option("--factor", options.factor, "What a plateau multiplies the rate by")
        ->type_name("F")
        ->check(number_between(0, 1))
        ->capture_default_str()
        ->group(kRate);
    rate.number("--patience", options.patience, "EPOCHS", 0, 1e6, "Epochs without improvement that make a plateau");
    rate.number("--threshold", options.threshold, "F", 0, 0.999999,
                "What a plateau takes for an improvement: a share of the best with plateau-torch, a difference with "
                "plateau-keras");
    rate.number("--cooldown", options.cooldown, "EPOCHS", 0, 1e6,
                "Epochs after a lowered rate that count for no plateau");
    command
        .add_option("--stop-after", options.stop_after,
                    "End the training after so many epochs without improvement (default: never)")
        ->type_name("EPOCHS")
        ->check(whole_number(0, 1000000))
        ->group(kRate);
    rate.number("--min-delta", options.min_delta, "F", 0, 1e6,
                "What --stop-after, and the choice of the best epoch, take for an improvement: more than this");

    Group optimiser(command, kOptimiser);
    command
        .add_option("--optimiser", options.optimiser,
                    "adam and adamw as PyTorch has them, or keras-adam, whose eps stands elsewhere")
        ->type_name("NAME")
        ->check(CLI::IsMember({"adam", "adamw", "keras-adam"}))
        ->capture_default_str()
        ->group(kOptimiser);
    optimiser.number("--weight-decay", options.weight_decay, "F", 0, 10, "Pulls weights towards 0");
    optimiser.number("--clip", options.clip, "NORM", 0, 1e9,
                     "Gradients longer than this are shortened to it; 0: never");
    optimiser.number("--ema", options.ema, "DECAY", 0, 0.999999,
                     "Judge and keep a moving average of the weights; 0: the weights themselves");
}

void add_augment_options(CLI::App& command, AugmentParams& augment) {
    Group group(command, kAugment);
    group.number("--rotate", augment.rotation_degrees, "DEGREES", 0, 180, "Turned, either way");
    group.number("--shift", augment.shift, "SHARE", 0, 1, "Moved, as a share of the sides, either way");
    group.number("--zoom", augment.zoom, "F", 0, 10, "Scaled between 1/(1+F) and 1+F");
    group.number("--shear", augment.shear, "F", 0, 10, "Columns that a row moves for each row, either way");
    group.number("--flip", augment.flip, "P", 0, 1, "Probability of swapping left and right");
    group.number("--brightness", augment.brightness, "F", 0, 1, "Added to values of 0..1, either way");
    group.number("--contrast", augment.contrast, "F", 0, 10, "Contrast times 1/(1+F) to 1+F");
    group.number("--noise", augment.noise, "F", 0, 1, "Largest standard deviation of noise on values of 0..1");
    group.number("--erase", augment.erase, "P", 0, 1, "Probability of erasing a rectangle");
    group.number("--erase-area", augment.erase_largest_area, "SHARE", 0, 1, "Its largest area");
}

// Whether what leads up to the answer is the same: sex, hidden layer and answers may be others.
bool differ_in_the_head(const io::Architecture& a, const io::Architecture& b) {
    const auto* one = std::get_if<net::ResNet34Spec>(&a);
    const auto* other = std::get_if<net::ResNet34Spec>(&b);
    return one != nullptr && other != nullptr && one->channels == other->channels &&
           one->base_width == other->base_width;
}

// What to do where a model is not of the network to be trained.
std::string remedy(const io::Architecture& given, const io::Architecture& network) {
    if (given.index() != network.index()) {
        return std::string("start from a ") + io::type_name(network);
    }
    if (const auto* unet = std::get_if<net::UnetSpec>(&given)) {
        return "train one of its shape with --depth " + std::to_string(unet->depth) + " --base-width " +
               std::to_string(unet->base_width);
    }
    return "train one of its width with --base-width " + std::to_string(std::get<net::ResNet34Spec>(given).base_width);
}

}  // namespace

void add_train_options(CLI::App& command, TrainOptions& options, int64_t batch, const std::string& start_from) {
    options.batch = batch;
    options.augment = {.rotation_degrees = 20,
                       .shift = 0.08F,
                       .zoom = 0.15F,
                       .shear = 0.05F,
                       .flip = 0.5F,
                       .brightness = 0.1F,
                       .contrast = 0.25F,
                       .noise = 0.02F,
                       .erase = 0,
                       .erase_smallest_area = 0.02F,
                       .erase_largest_area = 0.15F,
                       .erase_stretch = 1};
    command.add_option("cache", options.cache, "The folder that `boneage prepare` made")
        ->type_name("CACHE")
        ->required();
    command.add_option("-o,--out", options.out, "The folder of this run, made where it does not exist")
        ->type_name("RUN")
        ->required();
    command.add_flag("--resume", options.resume,
                     "Continue the run in that folder from its checkpoint. --epochs, --threads, --device and what says "
                     "how the rate changes "
                     "may be others then");
    command.add_option("--start-from", options.start_from, "Begin with the weights of this model, " + start_from)
        ->type_name("FILE");
    command.add_option("--card", options.card, "A sentence for the model's card")->type_name("TEXT");
    Group run(command, kRun);
    run.number("--epochs", options.epochs, "N", 1, 1e6, "Epochs");
    run.number("--batch", options.batch, "N", 2, 4096, "Samples in a step");
    run.number("--seed", options.seed, "N", 0, 1e15, "Decides initial weights, drawing and augmentation");
    run.number("--threads", options.threads, "N", 0, 1024,
               "Threads that compute: their number decides the last bits, so a resumed run keeps it; 0: one for each "
               "processor");
    const std::map<std::string, plan::Precision> precisions{{"f32", plan::Precision::f32},
                                                            {"bf16", plan::Precision::bf16}};
    command
        .add_option("--precision", options.precision,
                    "f32, or bf16: faster on GPUs and on processors that have bf16 instructions, slower on others; "
                    "weights stay float32 (default f32)")
        ->type_name("TYPE")
        ->transform(one_word_of(precisions))
        ->group(kRun);
    add_convolutions_option(command, options.convolutions,
                            "which rounds less; gradients match PyTorch's to 3e-5 of a tensor's largest by either")
        ->group(kRun);
    command
        .add_flag(
            "--recompute", options.recompute,
            "Keep less for the backward pass and make it again there: less memory, a little slower, the same bits")
        ->group(kRun);
    add_device_option(command, options.device);
    add_autotune_option(command, options.autotune, "weights");
    add_rate_options(command, options);
    add_augment_options(command, options.augment);
}

train::TrainerOptions trainer_options(const TrainOptions& options, const std::string& model,
                                      const train::RunSettings& settings, train::Better better) {
    std::error_code problem;
    if (!options.resume) {
        std::filesystem::create_directories(options.out, problem);
    }
    if (problem) {
        throw Error(options.out + " cannot be made: " + problem.message());
    }
    train::TrainerOptions made;
    made.epochs = options.epochs;
    made.folder = options.out;
    made.resume = options.resume;
    made.model = model;
    made.settings = settings;
    made.average_decay = options.ema;
    made.adam.weight_decay = options.weight_decay;
    made.adam.decoupled = options.optimiser == "adamw";
    if (options.optimiser == "keras-adam") {
        made.adam.mode = AdamMode::keras;
        made.adam.eps = 1e-7;
    }
    train::ScheduleParams& schedule = made.schedule;
    schedule.learning_rate = options.rate;
    schedule.better = better;
    schedule.stopping = {.min_delta = options.min_delta, .patience = options.stop_after};
    const auto epochs = [](double amount) { return train::Extent{amount, train::Extent::Unit::epochs}; };
    schedule.warmup.over = epochs(options.warmup_epochs);
    const auto total = static_cast<double>(options.epochs);
    if (options.schedule == "plateau-torch") {
        schedule.rule = train::TorchPlateau{.factor = options.factor,
                                            .patience = options.patience,
                                            .threshold = options.threshold,
                                            .cooldown = options.cooldown,
                                            .min_learning_rate = options.min_rate};
    } else if (options.schedule == "plateau-keras") {
        schedule.rule = train::KerasPlateau{.factor = options.factor,
                                            .patience = options.patience,
                                            .min_delta = options.threshold,
                                            .cooldown = options.cooldown,
                                            .min_learning_rate = options.min_rate};
    } else if (options.schedule == "cosine") {
        schedule.rule = train::Cosine{.total = epochs(total), .min_learning_rate = options.min_rate};
    } else if (options.schedule == "one-cycle") {
        schedule.rule = train::OneCycle{.total = epochs(total)};
    }
    return made;
}

plan::OptimiserOptions optimiser_options(const TrainOptions& options) {
    return {.max_gradient_norm = options.clip, .averages = options.ema > 0};
}

std::string card_of(const TrainOptions& options, const std::string& command, int64_t epochs, const std::string& samples,
                    const std::string& source, const std::string& validation) {
    std::string text = options.card.empty() ? "" : options.card + "\n";
    text.append("Trained by `").append(command).append("` for ").append(std::to_string(epochs));
    text.append(" epochs on ").append(samples).append(" (").append(source).append("). Validation ");
    text.append(validation).append(", from which the epoch was chosen. Research use only; not a medical device.");
    return text;
}

std::string decimals(double value, int places) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", places, value);
    return text;
}

int threads_of(const TrainOptions& options) {
    return options.threads > 0 ? options.threads : available_processors();
}

plan::ParameterSource starting_parameters(const TrainOptions& options, const io::Architecture& network) {
    if (options.start_from.empty()) {
        return io::initial_parameters(io::graph_of(network), options.seed);
    }
    const auto model = std::make_shared<io::ModelFile>(options.start_from);
    const io::Architecture& given = model->card().architecture;
    if (given == network) {
        return [model, source = model->parameters()](std::string_view name) { return source(name); };
    }
    if (!differ_in_the_head(given, network)) {
        throw UsageError(options.start_from + " holds another network than the one to be trained: " +
                         io::to_json(given) + "; " + remedy(given, network));
    }
    std::set<std::string, std::less<>> kept;
    std::string anew;
    const std::vector<net::Parameter> has = net::parameters(io::graph_of(given));
    for (const net::Parameter& wanted : net::parameters(io::graph_of(network))) {
        const auto same = std::ranges::find(has, wanted.name, &net::Parameter::name);
        if (same != has.end() && same->shape == wanted.shape) {
            kept.insert(wanted.name);
        } else {
            anew += (anew.empty() ? "" : ", ") + wanted.name;
        }
    }
    std::fprintf(stderr, "%s has another head; these begin anew: %s\n", options.start_from.c_str(), anew.c_str());
    return [model, kept, source = model->parameters(),
            initial = io::initial_parameters(io::graph_of(network), options.seed)](std::string_view name) {
        return kept.contains(name) ? source(name) : initial(name);
    };
}

}  // namespace boneage::tools

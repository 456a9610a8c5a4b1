#include "tools/train_settings.h"

namespace boneage::tools {
namespace {

constexpr const char* kOtherBits = "its last bits will differ from those of an unbroken run";

template <class Value>
train::RunSetting changeable(const std::string& name, const Value& value, const std::string& effect = "") {
    train::RunSetting made = setting(name, value);
    made.may_change = true;
    made.effect = effect;
    return made;
}

std::string text_of(plan::Precision precision) {
    return precision == plan::Precision::bf16 ? "bf16" : "f32";
}

std::string text_of(onednn::Convolutions convolutions) {
    return convolutions == onednn::Convolutions::direct ? "direct" : "winograd";
}

}  // namespace

train::RunSettings settings_of(const TrainOptions& options, bool on_gpu, const train::RunSettings& own) {
    train::RunSettings all{
        setting("--start-from", options.start_from),
        changeable("--epochs", options.epochs),
        setting("--batch", options.batch),
        setting("--seed", options.seed),
        setting("--precision", text_of(options.precision)),
        changeable("--device", std::string(on_gpu ? "cuda" : "cpu"), kOtherBits),
    };
    if (!on_gpu) {
        all.push_back(changeable("--threads", threads_of(options), kOtherBits));
        all.push_back(
            setting("--convolutions", text_of(options.convolutions.value_or(onednn::Convolutions::winograd))));
    }
    const AugmentParams& augment = options.augment;
    const train::RunSettings rest{
        setting("--schedule", options.schedule),
        changeable("--rate", options.rate),
        changeable("--min-rate", options.min_rate),
        changeable("--warmup", options.warmup_epochs),
        changeable("--factor", options.factor),
        changeable("--patience", options.patience),
        changeable("--threshold", options.threshold),
        changeable("--cooldown", options.cooldown),
        changeable("--stop-after", options.stop_after ? number_text(*options.stop_after) : std::string()),
        changeable("--min-delta", options.min_delta),
        setting("--optimiser", options.optimiser),
        setting("--weight-decay", options.weight_decay),
        setting("--clip", options.clip),
        setting("--ema", options.ema),
        setting("--rotate", augment.rotation_degrees),
        setting("--shift", augment.shift),
        setting("--zoom", augment.zoom),
        setting("--shear", augment.shear),
        setting("--flip", augment.flip),
        setting("--brightness", augment.brightness),
        setting("--contrast", augment.contrast),
        setting("--noise", augment.noise),
        setting("--erase", augment.erase),
        setting("--erase-area", augment.erase_largest_area),
    };
    all.insert(all.end(), rest.begin(), rest.end());
    all.insert(all.end(), own.begin(), own.end());
    return all;
}

void keep_threads(TrainOptions& options) {
    if (!options.resume || options.threads > 0) {
        return;
    }
    const std::string given = train::setting_of_run(options.out, "--threads");
    std::from_chars(given.data() + given.find(' ') + 1, given.data() + given.size(), options.threads);
}

std::string command_line(const std::string& command, const train::RunSettings& settings) {
    std::string line = "boneage " + command + " cache/ -o run/";
    for (const train::RunSetting& each : settings) {
        line += each.given.empty() ? "" : " " + each.given;
    }
    return line;
}

}  // namespace boneage::tools

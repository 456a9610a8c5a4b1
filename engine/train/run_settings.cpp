#include "engine/train/run_settings.h"

#include <nlohmann/json.hpp>

namespace boneage::train {

nlohmann::json to_json(const RunSettings& settings) {
    nlohmann::json json = nlohmann::json::object();
    for (const RunSetting& setting : settings) {
        json[setting.name] = setting.given;
    }
    return json;
}

std::vector<std::string> changes(const RunSettings& settings, const Fields& begun) {
    std::vector<std::string> sentences;
    for (const RunSetting& setting : settings) {
        if (!begun.has(setting.name.c_str())) {
            continue;
        }
        const std::string given = begun.text(setting.name.c_str());
        if (given == setting.given) {
            continue;
        }
        const auto text = [&](const std::string& value) {
            return value.empty() ? "without " + setting.name : "with " + value;
        };
        if (!setting.may_change) {
            begun.fail("the run was begun " + text(given) + " and is to be resumed " + text(setting.given) +
                       "; resume with what it was begun with, or begin another run in another folder");
        }
        sentences.push_back("resuming " + text(setting.given) + " instead of " + text(given) +
                            (setting.effect.empty() ? "" : ": " + setting.effect));
    }
    return sentences;
}

}  // namespace boneage::train

#include "engine/eval/training_log.h"

#include "engine/io/file.h"
#include "kernels/base/error.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

namespace boneage::eval {
namespace {

using nlohmann::json;

std::optional<double> number(const json& line, const char* name) {
    const auto found = line.find(name);
    if (found == line.end() || !found->is_number() || !std::isfinite(found->get<double>())) {
        return std::nullopt;
    }
    return found->get<double>();
}

}  // namespace

TrainingLog read_training_log(const std::filesystem::path& path) {
    const io::MappedFile file(path.string());
    std::string_view rest(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    TrainingLog log;
    std::map<int64_t, Epoch> by_epoch;
    bool of_segmenter = false;
    for (int64_t line_number = 1; !rest.empty(); ++line_number) {
        const size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        const bool cut_short = end == std::string_view::npos;
        rest = cut_short ? std::string_view() : rest.substr(end + 1);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
            continue;
        }
        const std::string where = path.string() + ", line " + std::to_string(line_number) + ": ";
        const json object = json::parse(line, nullptr, false);
        if (!object.is_object()) {
            if (!cut_short) {
                throw UsageError(where + "this is no JSON object; give the log that `boneage train` writes");
            }
            log.notes.push_back(where + "the line is cut short");
            continue;
        }
        const auto epoch = object.find("epoch");
        if (epoch == object.end() || !epoch->is_number_integer()) {
            log.notes.push_back(where + "the line has no epoch");
            continue;
        }
        of_segmenter = of_segmenter || object.contains("val_dice");
        const auto number_of_epoch = epoch->get<int64_t>();
        by_epoch[number_of_epoch] = {number_of_epoch, number(object, "train_loss"), number(object, "val_mae_months"),
                                     number(object, "learning_rate")};
    }
    for (const auto& [number_of_epoch, epoch] : by_epoch) {
        log.epochs.push_back(epoch);
    }
    if (log.epochs.empty()) {
        throw UsageError(path.string() + " has no line with an epoch; give the log that `boneage train` writes");
    }
    if (of_segmenter) {
        throw UsageError(path.string() + " is the log of a segmenter; give the one that `boneage train` writes");
    }
    return log;
}

}  // namespace boneage::eval

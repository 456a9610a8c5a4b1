#include "engine/train/train_log.h"

#include "engine/io/file.h"
#include "engine/train/fields.h"
#include "kernels/base/error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace boneage::train {
namespace {

using Json = nlohmann::ordered_json;

const std::set<std::string, std::less<>> kOwnFields{"epoch",
                                                    "step",
                                                    "train_loss",
                                                    "val_mae_months",
                                                    "val_dice",
                                                    "learning_rate",
                                                    "images_per_second",
                                                    "elapsed_s",
                                                    "draws_per_category"};

double number_or_nan(const Fields& fields, const char* name) {
    return fields.number_or_null(name).value_or(std::numeric_limits<double>::quiet_NaN());
}

EpochRecord record_of(const nlohmann::json& json, const std::string& where) {
    const Fields fields(json, where);
    EpochRecord record;
    record.epoch = fields.count("epoch");
    record.step = fields.count("step");
    record.train_loss = number_or_nan(fields, "train_loss");
    record.learning_rate = number_or_nan(fields, "learning_rate");
    record.images_per_second = number_or_nan(fields, "images_per_second");
    record.elapsed_s = number_or_nan(fields, "elapsed_s");
    if (fields.has("val_mae_months")) {
        record.val_mae_months = number_or_nan(fields, "val_mae_months");
    }
    if (fields.has("val_dice")) {
        record.val_dice = number_or_nan(fields, "val_dice");
    }
    if (fields.has("draws_per_category")) {
        record.draws_per_category = fields.counts("draws_per_category");
    }
    for (const auto& [name, value] : json.items()) {
        if (!kOwnFields.contains(name)) {
            record.more[name] = number_or_nan(fields, name.c_str());
        }
    }
    return record;
}

// Whether a line without an end is the beginning of one of ours; a power cut may leave zero bytes where text was due.
bool is_torn(std::string_view text) {
    constexpr std::string_view kBegin = "{\"epoch\":";
    return text.starts_with(kBegin) || kBegin.starts_with(text.substr(0, text.find('\0')));
}

// Nothing when it is not JSON.
nlohmann::json parsed(std::string_view text) {
    // The parser would take a zero byte for the end.
    const bool whole = text.find('\0') == std::string_view::npos;
    return whole ? nlohmann::json::parse(text, nullptr, false) : nlohmann::json(nlohmann::json::value_t::discarded);
}

std::string_view text_of(const io::MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

std::string to_json(const EpochRecord& record) {
    Json json{{"epoch", record.epoch}, {"step", record.step}, {"train_loss", record.train_loss}};
    if (record.val_mae_months) {
        json["val_mae_months"] = *record.val_mae_months;
    }
    if (record.val_dice) {
        json["val_dice"] = *record.val_dice;
    }
    json["learning_rate"] = record.learning_rate;
    json["images_per_second"] = record.images_per_second;
    json["elapsed_s"] = record.elapsed_s;
    if (!record.draws_per_category.empty()) {
        json["draws_per_category"] = record.draws_per_category;
    }
    for (const auto& [name, value] : record.more) {
        expects(!kOwnFields.contains(name), "a further figure of the log needs a name of its own");
        json[name] = value;
    }
    return json.dump();
}

std::vector<EpochRecord> read_train_log(const std::string& path) {
    const io::MappedFile file(path);
    std::string_view rest = text_of(file);
    std::vector<EpochRecord> records;
    for (int64_t line = 1; !rest.empty(); ++line) {
        const size_t end = rest.find('\n');
        const std::string_view text = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        const nlohmann::json json = parsed(text);
        if (end == std::string_view::npos && json.is_discarded() && is_torn(text)) {
            break;
        }
        const std::string where = path + ", line " + std::to_string(line);
        if (json.is_discarded()) {
            throw UsageError(where +
                             ": it is not JSON, so this is no log of a training or it is damaged; move it away");
        }
        records.push_back(record_of(json, where));
        const int64_t before = records.size() < 2 ? 0 : records[records.size() - 2].epoch;
        if (records.back().epoch <= before) {
            throw UsageError(where + ": epoch " + std::to_string(records.back().epoch) + " comes after epoch " +
                             std::to_string(before) + "; the log is damaged, move it away");
        }
    }
    return records;
}

TrainLog::TrainLog(std::string path, int64_t epochs) : path_(std::move(path)), last_epoch_(epochs) {
    expects(epochs >= 0, "a training has finished 0 epochs or more");
    std::string kept;
    std::error_code ignored;
    if (std::filesystem::exists(path_, ignored)) {
        for (const EpochRecord& record : read_train_log(path_)) {
            if (record.epoch <= epochs) {
                kept += to_json(record) + '\n';
            } else {
                ++epochs_cut_;
            }
        }
    }
    io::AtomicFile whole(path_);
    whole.write(std::as_bytes(std::span(kept)));
    whole.commit();
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (descriptor_ < 0) {
        throw Error(path_ + " cannot be opened: " + std::strerror(errno));
    }
    bytes_ = static_cast<int64_t>(kept.size());
}

TrainLog::~TrainLog() {
    if (descriptor_ >= 0) {
        ::close(descriptor_);
    }
}

void TrainLog::append(const EpochRecord& record) {
    expects(record.epoch > last_epoch_, "a log's epochs ascend");
    const std::string line = to_json(record) + '\n';
    const ssize_t written = ::write(descriptor_, line.data(), line.size());
    if (written != static_cast<ssize_t>(line.size()) || ::fsync(descriptor_) != 0) {
        const std::string why =
            written >= 0 && written < static_cast<ssize_t>(line.size()) ? "the disk is full" : std::strerror(errno);
        // A torn line in the middle would spoil the log for the lines after it.
        const bool undone = ::ftruncate(descriptor_, bytes_) == 0;
        throw Error(path_ + " cannot be written: " + why + (undone ? "" : "; its last line may be torn"));
    }
    bytes_ += static_cast<int64_t>(line.size());
    last_epoch_ = record.epoch;
}

}  // namespace boneage::train

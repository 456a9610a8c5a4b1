#include "engine/train/checkpoint.h"

#include "kernels/base/error.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <libdeflate.h>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

namespace boneage::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "tensors lie in the file as they lie in memory");

constexpr const char* kFormat = "boneage-checkpoint-1";

std::string previous_of(const std::string& path) {
    return path + ".previous";
}

void rename_file(const std::string& from, const std::string& to) {
    std::error_code error;
    fs::rename(from, to, error);
    if (error) {
        throw Error(from + " cannot be renamed to " + to + ": " + error.message());
    }
}

// libdeflate takes a null pointer, which an empty tensor may have, for a new beginning.
uint32_t crc_with(uint32_t crc, std::span<const std::byte> bytes) {
    return bytes.empty() ? crc : libdeflate_crc32(crc, bytes.data(), bytes.size());
}

// The tensors with their names, up to five of them.
std::string listed(const std::vector<std::string>& names) {
    constexpr size_t kShown = 5;
    std::string text;
    for (size_t i = 0; i < std::min(names.size(), kShown); ++i) {
        text +=
            (i == 0 ? "" : ", ") + json(names[i].substr(0, 100)).dump(-1, ' ', true, json::error_handler_t::replace);
    }
    return names.size() <= kShown ? text : text + " and " + std::to_string(names.size() - kShown) + " more";
}

std::string shape_text(const std::vector<int64_t>& shape) {
    return json(shape).dump();
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw UsageError(path + " is not a usable checkpoint: " + why);
}

const std::string& metadata_of(const io::SafetensorsFile& file, const char* key) {
    const std::string* found = file.metadata(key);
    if (found == nullptr) {
        refuse(file.path(), std::string("its metadata has no ") + key);
    }
    return *found;
}

json read_state(const io::SafetensorsFile& file) {
    const std::string& text = metadata_of(file, "state");
    json state = json::parse(text, nullptr, false);
    if (text.find('\0') != std::string::npos || !state.is_object()) {
        refuse(file.path(), "its state is not a JSON object");
    }
    return state;
}

}  // namespace

void write_checkpoint(const std::string& path, const std::vector<NamedValues<const float>>& tensors, const json& state,
                      io::Sync when) {
    expects(state.is_object(), "a checkpoint's state is a JSON object");
    std::error_code ignored;
    const bool replaces = fs::exists(path, ignored);
    if (replaces && !fs::is_regular_file(path, ignored)) {
        throw Error(path + " cannot be written: it exists and is no regular file");
    }
    std::vector<io::StoredTensor> stored;
    uint32_t crc = 0;
    for (const auto& tensor : tensors) {
        stored.push_back({tensor.name, io::StoredType::f32, tensor.shape, std::as_bytes(tensor.values)});
        crc = crc_with(crc, stored.back().bytes);
    }
    const std::string next = path + ".next";
    const std::string state_text = state.dump(-1, ' ', false, json::error_handler_t::replace);
    io::write_safetensors(next, stored,
                          {{"format", kFormat}, {"state", state_text}, {"data_crc32", std::to_string(crc)}}, when);
    // From here on the new one is whole under its first name.
    if (replaces) {
        rename_file(path, previous_of(path));
    }
    rename_file(next, path);
    if (when == io::Sync::now) {
        io::sync_folder_of(path);
    }
}

struct Checkpoint::Contents {
    io::SafetensorsFile file;
    json state;
};

Checkpoint::Checkpoint(const std::string& path) : contents_(new Contents{io::SafetensorsFile(path), {}}) {
    const io::SafetensorsFile& file = contents_->file;
    if (metadata_of(file, "format") != kFormat) {
        refuse(path, std::string("its format is not ") + kFormat);
    }
    contents_->state = read_state(file);
    uint32_t crc = 0;
    for (const io::StoredTensor& tensor : file.tensors()) {
        crc = crc_with(crc, tensor.bytes);
    }
    if (metadata_of(file, "data_crc32") != std::to_string(crc)) {
        refuse(path, "its tensors are damaged: their CRC-32 is not the one it was written with");
    }
}

Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;

const std::string& Checkpoint::path() const {
    return contents_->file.path();
}
const json& Checkpoint::state() const {
    return contents_->state;
}

void Checkpoint::restore(const std::vector<NamedValues<float>>& tensors) const {
    const io::SafetensorsFile& file = contents_->file;
    std::vector<std::string> missing;
    std::vector<std::string> surplus;
    std::set<std::string_view> wanted;
    for (const auto& tensor : tensors) {
        expects(wanted.insert(tensor.name).second, "tensor names must be unique");
        const io::StoredTensor* stored = file.find(tensor.name);
        if (stored == nullptr) {
            missing.push_back(tensor.name);
        } else if (stored->type != io::StoredType::f32) {
            refuse(path(), "tensor " + listed({tensor.name}) + " is " + io::text(stored->type) + " and not F32");
        } else if (stored->shape != tensor.shape) {
            refuse(path(), "tensor " + listed({tensor.name}) + " has shape " + shape_text(stored->shape) + " and not " +
                               shape_text(tensor.shape) + "; it belongs to a training of another network");
        } else {
            expects(stored->bytes.size() == tensor.values.size_bytes(), "a tensor's values must match its shape");
        }
    }
    for (const io::StoredTensor& stored : file.tensors()) {
        if (!wanted.contains(stored.name)) {
            surplus.push_back(stored.name);
        }
    }
    if (!missing.empty()) {
        refuse(path(), "it lacks " + listed(missing) + "; it belongs to a training of another network");
    }
    if (!surplus.empty()) {
        refuse(path(), "it also holds " + listed(surplus) + "; it belongs to a training of another network");
    }
    for (const auto& tensor : tensors) {
        if (!tensor.values.empty()) {
            std::memcpy(tensor.values.data(), file.find(tensor.name)->bytes.data(), tensor.values.size_bytes());
        }
    }
}

NewestCheckpoint newest_checkpoint(const std::string& path) {
    const std::string previous = previous_of(path);
    std::string why;
    try {
        return {Checkpoint(path), ""};
    } catch (const UsageError& error) {
        why = error.what();
    }
    std::error_code ignored;
    if (!fs::exists(previous, ignored)) {
        throw UsageError(why + "; there is no previous one to continue from either");
    }
    try {
        return {Checkpoint(previous), why + "; continuing from the previous one, " + previous};
    } catch (const UsageError& error) {
        throw UsageError(why + "; nor can the previous one be used: " + error.what());
    }
}

}  // namespace boneage::train

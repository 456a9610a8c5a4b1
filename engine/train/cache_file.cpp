#include "engine/train/cache_file.h"

#include "kernels/base/error.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

namespace boneage::train {
namespace {

using nlohmann::json;

// A name from the file, fit for a sentence.
std::string in_quotes(const std::string& name) {
    constexpr size_t kLongest = 100;
    return json(name.substr(0, kLongest)).dump(-1, ' ', true, json::error_handler_t::replace);
}

}  // namespace

CacheFile::CacheFile(const io::SafetensorsFile& file, std::string kind, const std::string& format)
    : file_(file), kind_(std::move(kind)) {
    const std::string& found = entry("format");
    require(found == format, "its format is " + in_quotes(found) + ", and this program reads \"" + format + "\"");
}

void CacheFile::refuse(const std::string& why) const {
    throw UsageError(file_.path() + " is not " + kind_ + " that can be used: " + why +
                     "; make it anew with boneage prepare");
}

void CacheFile::require(bool condition, const std::string& why) const {
    if (!condition) {
        refuse(why);
    }
}

const io::StoredTensor& CacheFile::tensor(const std::string& name, io::StoredType type, size_t dimensions,
                                          int64_t count) const {
    const io::StoredTensor* found = file_.find(name);
    require(found != nullptr, "it has no tensor \"" + name + "\"");
    require(found->type == type && found->shape.size() == dimensions,
            "\"" + name + "\" should be " + io::text(type) + " of " + std::to_string(dimensions) + " dimensions");
    require(count == -1 || found->shape[0] == count,
            "\"" + name + "\" has " + std::to_string(found->shape[0]) + " entries instead of " + std::to_string(count));
    return *found;
}

std::span<const uint8_t> CacheFile::bytes(const io::StoredTensor& tensor) const {
    return {reinterpret_cast<const uint8_t*>(tensor.bytes.data()), tensor.bytes.size()};
}

std::vector<float> CacheFile::floats(const std::string& name, int64_t count) const {
    return io::to_float32(io::StoredType::f32, tensor(name, io::StoredType::f32, 1, count).bytes);
}

std::vector<int64_t> CacheFile::integers(const std::string& name, int64_t count) const {
    const io::StoredTensor& stored = tensor(name, io::StoredType::i64, 1, count);
    std::vector<int64_t> values(static_cast<size_t>(stored.elements()));
    if (!values.empty()) {
        std::memcpy(values.data(), stored.bytes.data(), stored.bytes.size());
    }
    return values;
}

void CacheFile::only(const std::vector<std::string>& names) const {
    for (const io::StoredTensor& tensor : file_.tensors()) {
        require(std::ranges::find(names, tensor.name) != names.end(), "it has a tensor " + in_quotes(tensor.name));
    }
}

const std::string& CacheFile::entry(const std::string& key) const {
    const std::string* found = file_.metadata(key);
    require(found != nullptr, "its metadata lacks \"" + key + "\"");
    return *found;
}

std::vector<std::string> CacheFile::texts(const std::string& key, int64_t count) const {
    const json parsed = json::parse(entry(key), nullptr, false);
    require(parsed.is_array(), "its \"" + key + "\" are no list");
    require(count == -1 || static_cast<int64_t>(parsed.size()) == count,
            "its \"" + key + "\" are " + std::to_string(parsed.size()) + " instead of " + std::to_string(count));
    std::vector<std::string> texts;
    std::set<std::string> seen;
    for (const json& each : parsed) {
        require(each.is_string(), "its \"" + key + "\" are no texts");
        texts.push_back(each.get<std::string>());
        require(seen.insert(texts.back()).second, "its \"" + key + "\" name " + in_quotes(texts.back()) + " twice");
    }
    return texts;
}

pipeline::Recipe CacheFile::recipe() const {
    try {
        return pipeline::recipe_from_json(entry("recipe"));
    } catch (const UsageError& error) {
        refuse(error.what());
    }
}

std::string texts_to_json(const std::vector<std::string>& texts) {
    return json(texts).dump();
}

bool is_utf8(const std::string& text) {
    try {
        static_cast<void>(json(text).dump());
        return true;
    } catch (const json::exception&) {
        return false;
    }
}

std::string as_utf8(const std::string& text) {
    return json::parse(json(text).dump(-1, ' ', true, json::error_handler_t::replace)).get<std::string>();
}

}  // namespace boneage::train

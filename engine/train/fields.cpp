#include "engine/train/fields.h"

#include "kernels/base/error.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace boneage::train {
namespace {

std::optional<int64_t> as_count(const nlohmann::json& value) {
    constexpr uint64_t kLargest = uint64_t{1} << 62U;
    const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= kLargest
                                                 : value.is_number_integer() && value.get<int64_t>() >= 0;
    return fits ? std::optional(value.get<int64_t>()) : std::nullopt;
}

}  // namespace

Fields::Fields(const nlohmann::json& json, std::string where) : json_(&json), where_(std::move(where)) {
    if (!json.is_object()) {
        fail("it is not a JSON object");
    }
}

bool Fields::has(const char* name) const {
    return json_->contains(name);
}

const nlohmann::json& Fields::field(const char* name) const {
    const auto found = json_->find(name);
    if (found == json_->end()) {
        fail(std::string(name) + " is missing");
    }
    return *found;
}

Fields Fields::object(const char* name) const {
    return {field(name), where_ + ": " + name};
}

std::string Fields::text(const char* name) const {
    const nlohmann::json& value = field(name);
    if (!value.is_string()) {
        fail(std::string(name) + " is not text");
    }
    return value.get<std::string>();
}

double Fields::number(const char* name) const {
    const nlohmann::json& value = field(name);
    if (!value.is_number() || !std::isfinite(value.get<double>())) {
        fail(std::string(name) + " is not a number");
    }
    return value.get<double>();
}

std::optional<double> Fields::number_or_null(const char* name) const {
    return field(name).is_null() ? std::nullopt : std::optional(number(name));
}

int64_t Fields::count(const char* name) const {
    const std::optional<int64_t> value = as_count(field(name));
    if (!value) {
        fail(std::string(name) + " is not a whole number of at least 0");
    }
    return *value;
}

std::vector<int64_t> Fields::counts(const char* name) const {
    const nlohmann::json& list = field(name);
    std::vector<int64_t> values;
    for (const nlohmann::json& element : list) {
        const std::optional<int64_t> value = as_count(element);
        if (!list.is_array() || !value) {
            fail(std::string(name) + " is not a list of whole numbers of at least 0");
        }
        values.push_back(*value);
    }
    return values;
}

void Fields::fail(const std::string& what) const {
    throw UsageError(where_ + ": " + what);
}

}  // namespace boneage::train

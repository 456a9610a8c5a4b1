#include "engine/pipeline/recipe.h"

#include "kernels/base/error.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

namespace boneage::pipeline {
namespace {

using Json = nlohmann::ordered_json;

template <class Enum>
struct NamedValue {
    const char* name;
    Enum value;
};
constexpr NamedValue<PolarityMode> kPolarityModes[]{
    {"keep", PolarityMode::keep}, {"invert", PolarityMode::invert}, {"auto", PolarityMode::automatic}};
constexpr NamedValue<CanvasFilter> kFilters[]{{"area", CanvasFilter::area}, {"linear", CanvasFilter::linear}};
constexpr NamedValue<DilateElement> kElements[]{
    {"rect", DilateElement::rect}, {"cross", DilateElement::cross}, {"ellipse", DilateElement::ellipse}};
constexpr NamedValue<SharpenMode> kSharpenModes[]{{"none", SharpenMode::none},
                                                  {"laplacian4", SharpenMode::laplacian4},
                                                  {"laplacian8", SharpenMode::laplacian8},
                                                  {"unsharp", SharpenMode::unsharp}};

// The one list of all fields, with their ranges; `visit` is called for each group with a function that calls back for
// each of the group's fields. Reading, writing and validating are visitors, so none of them can forget a field.
template <class Visitor, class AnyRecipe>
void visit_fields(Visitor& v, AnyRecipe& r) {
    v.group("contrast");
    v.number("threshold", r.contrast.threshold, 0.0, 1.0);
    v.group("polarity");
    v.choice("mode", r.polarity.mode, std::span(kPolarityModes));
    v.group("canvas");
    v.integer("long_side", r.canvas.long_side, 16, 8192);
    v.choice("filter", r.canvas.filter, std::span(kFilters));
    v.group("segment");
    v.integer("long_side", r.segment.long_side, 16, 8192);
    v.integer("patch", r.segment.patch, 16, 4096);
    v.number("step", r.segment.step, 0.05, 1.0);
    v.number("threshold", r.segment.threshold, 0.0, 1.0);
    v.number("mean", r.segment.mean, -10.0, 10.0);
    v.number("deviation", r.segment.deviation, 1e-3, 1e3);
    v.number("min_fraction", r.segment.min_fraction, 0.0, 1.0);
    v.number("max_fraction", r.segment.max_fraction, 0.0, 1.0);
    v.group("contours");
    v.flag("fill", r.contours.fill);
    v.flag("largest", r.contours.largest);
    v.group("dilate");
    v.choice("element", r.dilate.element, std::span(kElements));
    v.integer("width", r.dilate.width, 1, 255);
    v.integer("height", r.dilate.height, 1, 255);
    v.integer("iterations", r.dilate.iterations, 0, 100);
    v.group("overlay");
    v.number("background", r.overlay.background, 0.0, 1.0);
    v.group("clahe");
    v.number("clip_limit", r.clahe.clip_limit, 0.0, 1e6);
    v.integer("tiles_x", r.clahe.tiles_x, 1, 256);
    v.integer("tiles_y", r.clahe.tiles_y, 1, 256);
    v.group("sharpen");
    v.choice("kernel", r.sharpen.kernel, std::span(kSharpenModes));
    v.number("amount", r.sharpen.amount, 0.0, 100.0);
    v.flag("mask_again", r.sharpen.mask_again);
    v.group("input");
    v.integer("width", r.input.width, 32, 4096);
    v.integer("height", r.input.height, 32, 4096);
    v.numbers("mean", r.input.mean, -10.0, 10.0);
    v.numbers("deviation", r.input.deviation, 1e-3, 1e3);
    v.group("age");
    v.number("mean_months", r.age.mean_months, -1e4, 1e4);
    v.number("deviation_months", r.age.deviation_months, 1e-6, 1e4);
}

std::string shown(double value) {
    return Json(value).dump();
}

void check_range(const std::string& field, double value, double low, double high) {
    if (!(value >= low && value <= high)) {
        throw UsageError("recipe: " + field + " must lie between " + shown(low) + " and " + shown(high) + ", not " +
                         shown(value));
    }
}

class Writer {
public:
    void group(const char* name) { group_ = &json_[name]; }
    void number(const char* name, double value, double /*low*/, double /*high*/) { (*group_)[name] = value; }
    void integer(const char* name, int64_t value, int64_t /*low*/, int64_t /*high*/) { (*group_)[name] = value; }
    void flag(const char* name, bool value) { (*group_)[name] = value; }
    void numbers(const char* name, const std::array<double, 3>& values, double /*low*/, double /*high*/) {
        (*group_)[name] = values;
    }
    template <class Enum, size_t n>
    void choice(const char* name, Enum value, std::span<const NamedValue<Enum>, n> names) {
        for (const auto& each : names) {
            if (each.value == value) {
                (*group_)[name] = each.name;
            }
        }
    }
    [[nodiscard]] std::string text() const { return json_.dump(2); }

private:
    Json json_ = Json::object();
    Json* group_ = nullptr;
};

class Validator {
public:
    void group(const char* name) { group_ = name; }
    void number(const char* name, double value, double low, double high) const {
        check_range(group_ + "." + name, value, low, high);
    }
    void integer(const char* name, int64_t value, int64_t low, int64_t high) const {
        number(name, static_cast<double>(value), static_cast<double>(low), static_cast<double>(high));
    }
    void flag(const char* /*name*/, bool /*value*/) const {}
    void numbers(const char* name, const std::array<double, 3>& values, double low, double high) const {
        for (const double value : values) {
            number(name, value, low, high);
        }
    }
    template <class Enum, size_t n>
    void choice(const char* /*name*/, Enum /*value*/, std::span<const NamedValue<Enum>, n> /*names*/) const {}

private:
    std::string group_;
};

// Takes every field out of its group; what is left at the end is unknown.
class Reader {
public:
    explicit Reader(Json json) : json_(std::move(json)) {
        if (!json_.is_object()) {
            throw UsageError("recipe: must be a JSON object");
        }
    }
    void group(const char* name) {
        finish_group();
        if (!json_.contains(name)) {
            throw UsageError(std::string("recipe: ") + name + " is missing");
        }
        group_ = json_[name];
        json_.erase(name);
        group_name_ = name;
        if (!group_.is_object()) {
            throw UsageError("recipe: " + group_name_ + " must be a JSON object");
        }
    }
    void number(const char* name, double& value, double /*low*/, double /*high*/) {
        const Json json = take(name);
        require(json.is_number(), name, "a number");
        value = json.get<double>();
    }
    void integer(const char* name, int64_t& value, int64_t /*low*/, int64_t high) {
        const Json json = take(name);
        require(json.is_number_integer(), name, "a whole number");
        // A number too large for int64_t must not wrap into the valid range.
        value = json.is_number_unsigned() && json.get<uint64_t>() > static_cast<uint64_t>(high) ? high + 1
                                                                                                : json.get<int64_t>();
    }
    void flag(const char* name, bool& value) {
        const Json json = take(name);
        require(json.is_boolean(), name, "true or false");
        value = json.get<bool>();
    }
    void numbers(const char* name, std::array<double, 3>& values, double /*low*/, double /*high*/) {
        const Json json = take(name);
        require(json.is_array() && json.size() == values.size(), name, "three numbers");
        for (size_t i = 0; i < values.size(); ++i) {
            require(json[i].is_number(), name, "three numbers");
            values[i] = json[i].get<double>();
        }
    }
    template <class Enum, size_t n>
    void choice(const char* name, Enum& value, std::span<const NamedValue<Enum>, n> names) {
        const Json json = take(name);
        std::string all;
        for (const auto& each : names) {
            if (json == each.name) {
                value = each.value;
                return;
            }
            all += std::string(all.empty() ? "" : ", ") + each.name;
        }
        throw UsageError("recipe: " + group_name_ + "." + name + " must be one of " + all + ", not " + json.dump());
    }
    void finish() {
        finish_group();
        if (!json_.empty()) {
            throw UsageError("recipe: " + json_.items().begin().key() + " is not a field of this version");
        }
    }

private:
    Json take(const char* name) {
        if (!group_.contains(name)) {
            throw UsageError("recipe: " + group_name_ + "." + name + " is missing");
        }
        Json value = group_[name];
        group_.erase(name);
        return value;
    }
    void require(bool fits, const char* name, const char* what) const {
        if (!fits) {
            throw UsageError("recipe: " + group_name_ + "." + name + " must be " + what);
        }
    }
    void finish_group() const {
        if (!group_.empty()) {
            throw UsageError("recipe: " + group_name_ + "." + group_.items().begin().key() +
                             " is not a field of this version");
        }
    }

    Json json_;
    Json group_ = Json::object();
    std::string group_name_;
};

}  // namespace

void validate(const Recipe& recipe) {
    Validator validator;
    visit_fields(validator, recipe);
    if (recipe.segment.min_fraction > recipe.segment.max_fraction) {
        throw UsageError("recipe: segment.min_fraction must not exceed segment.max_fraction");
    }
}

std::string to_json(const Recipe& recipe) {
    Writer writer;
    visit_fields(writer, recipe);
    return writer.text();
}

Recipe recipe_from_json(std::string_view text) {
    Json json;
    try {
        json = Json::parse(text);
    } catch (const Json::parse_error& e) {
        throw UsageError("recipe: not valid JSON at byte " + std::to_string(e.byte));
    }
    Recipe recipe;
    Reader reader(std::move(json));
    visit_fields(reader, recipe);
    reader.finish();
    validate(recipe);
    return recipe;
}

void check_segmenter_recipe(const Recipe& recipe, const Recipe& segmenter) {
    const Json wanted = Json::parse(to_json(recipe));
    const Json made_for = Json::parse(to_json(segmenter));
    constexpr std::pair<const char*, const char*> kSeen[]{
        {"polarity", "mode"}, {"canvas", "long_side"}, {"canvas", "filter"},    {"segment", "long_side"},
        {"segment", "patch"}, {"segment", "mean"},     {"segment", "deviation"}};
    for (const auto& [group, field] : kSeen) {
        const Json& here = wanted.at(group).at(field);
        const Json& there = made_for.at(group).at(field);
        if (here != there) {
            throw UsageError(std::string("the segmenter was made for ") + group + "." + field + " " + there.dump() +
                             ", but the weights' recipe has " + here.dump() +
                             "; give --segmenter a model of the same recipe, or --segmenter none");
        }
    }
}

}  // namespace boneage::pipeline

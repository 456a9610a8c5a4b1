#include "engine/train/annotations.h"

#include "engine/io/file.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

namespace boneage::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kMostBytes = size_t{1} << 28;
constexpr size_t kMostPoints = 200'000;  // of one image
constexpr int64_t kMostSide = 65'536;
constexpr int64_t kMostPixels = int64_t{1} << 28;
constexpr double kFarthest = 1e6;

// One shape of one image, before labels are compared.
struct Shape {
    std::string label;
    std::vector<Ring> rings;
};

[[noreturn]] void bad(const std::string& what) {
    throw InputError("bad_annotation", what);
}

const json& member(const json& object, const char* key) {
    static const json none;
    const auto found = object.find(key);
    return found == object.end() ? none : *found;
}

double coordinate(const json& value) {
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    if (!(std::abs(number) <= kFarthest)) {
        bad("a point has a coordinate that is no reasonable number");
    }
    return number;
}

// A side that the file may leave out.
int64_t side(const json& value) {
    if (value.is_null()) {
        return 0;
    }
    if (!value.is_number_unsigned() || value.get<uint64_t>() < 1 || value.get<uint64_t>() > kMostSide) {
        bad("the image's height or width is not a number of pixels");
    }
    return value.get<int64_t>();
}

void set_size(Annotation& annotation, const json& height, const json& width) {
    annotation.height = side(height);
    annotation.width = side(width);
    if ((annotation.height == 0) != (annotation.width == 0) || annotation.height * annotation.width > kMostPixels) {
        bad("the image's height and width make no reasonable image");
    }
}

void check_ring(const Ring& ring) {
    if (ring.size() < 3) {
        bad("a polygon has fewer than three points");
    }
}

// Keeps the shapes that count. Throws InputError when the image's shapes do not say what is meant.
void take_shapes(Annotation& annotation, const std::vector<Shape>& shapes, const std::optional<std::string>& label) {
    std::set<std::string> labels;
    size_t points = 0;
    for (const Shape& shape : shapes) {
        labels.insert(shape.label);
        if (!label || shape.label == *label) {
            for (const Ring& ring : shape.rings) {
                points += ring.size();
            }
            annotation.polygons.push_back(shape.rings);
        }
    }
    if (points > kMostPoints) {
        bad("its polygons have more than " + std::to_string(kMostPoints) + " points");
    }
    std::string all;
    for (const std::string& each : labels) {
        all += (all.empty() ? "" : ", ") + each;
    }
    if (!label && labels.size() > 1) {
        throw InputError("several_labels", "it has shapes of the labels " + all + ": choose one with --label");
    }
    if (label && annotation.polygons.empty()) {
        throw InputError("no_such_label", labels.empty() ? "nothing was drawn in it"
                                                         : "it has no shape of label " + *label + ", only of " + all);
    }
}

// Runs `body`, which fills the annotation; what it throws becomes its error.
template <class Body>
void guarded(const fs::path& path, Annotation& annotation, const Body& body) {
    try {
        body();
    } catch (const InputError& error) {
        annotation.polygons.clear();
        annotation.error =
            InputError(error.code(), path.string() + ", image \"" + annotation.id + "\": " + error.what());
    }
}

Shape labelme_shape(const json& shape) {
    const json& label = member(shape, "label");
    const json& type = member(shape, "shape_type");
    const json& points = member(shape, "points");
    if (!label.is_string() || !points.is_array() || !(type.is_string() || type.is_null())) {
        bad("a shape has no label or no points");
    }
    Ring ring;
    for (const json& point : points) {
        if (!point.is_array() || point.size() != 2) {
            bad("a point is not a pair of numbers");
        }
        ring.push_back({coordinate(point[0]), coordinate(point[1])});
    }
    const std::string kind = type.is_null() ? "polygon" : type.get<std::string>();
    if (kind == "rectangle" && ring.size() == 2) {
        ring = {ring[0], {ring[1].x, ring[0].y}, ring[1], {ring[0].x, ring[1].y}};
    } else if (kind != "polygon") {
        throw InputError("unsupported_shape", "a shape is a " + kind + "; polygons and rectangles are read");
    }
    check_ring(ring);
    return {label.get<std::string>(), {std::move(ring)}};
}

Annotation read_labelme(const fs::path& path, const json& file, const std::optional<std::string>& label) {
    Annotation annotation;
    annotation.id = path.stem().string();
    guarded(path, annotation, [&] {
        set_size(annotation, member(file, "imageHeight"), member(file, "imageWidth"));
        std::vector<Shape> shapes;
        for (const json& shape : file["shapes"]) {
            // A shape of another label may be of a kind that has no inside.
            if (!label || member(shape, "label") == *label) {
                shapes.push_back(labelme_shape(shape));
            }
        }
        take_shapes(annotation, shapes, label);
    });
    return annotation;
}

std::vector<Ring> coco_rings(const json& segmentation) {
    if (segmentation.is_object()) {
        throw InputError("unsupported_shape", "a mask is stored as run lengths; polygons are read, export it as such");
    }
    if (!segmentation.is_array() || segmentation.empty()) {
        bad("an annotation has no segmentation");
    }
    std::vector<Ring> rings;
    for (const json& numbers : segmentation) {
        if (!numbers.is_array() || numbers.size() % 2 != 0) {
            bad("a polygon is not a list of pairs of numbers");
        }
        Ring& ring = rings.emplace_back();
        for (size_t i = 0; i < numbers.size(); i += 2) {
            ring.push_back({coordinate(numbers[i]), coordinate(numbers[i + 1])});
        }
        check_ring(ring);
    }
    return rings;
}

// Ids may be numbers or texts.
std::string key_of(const json& value) {
    return value.dump(-1, ' ', true, json::error_handler_t::replace);
}

std::vector<Annotation> read_coco(const fs::path& path, const json& file, const std::optional<std::string>& label) {
    std::map<std::string, std::string> names;
    for (const json& category : member(file, "categories")) {
        const json& name = member(category, "name");
        names[key_of(member(category, "id"))] = name.is_string() ? name.get<std::string>() : key_of(name);
    }
    std::map<std::string, std::vector<const json*>> by_image;
    for (const json& each : file["annotations"]) {
        by_image[key_of(member(each, "image_id"))].push_back(&each);
    }
    std::vector<Annotation> annotations;
    for (const json& image : file["images"]) {
        const auto found = by_image.find(key_of(member(image, "id")));
        const json& name = member(image, "file_name");
        if (found == by_image.end() || !name.is_string()) {
            continue;
        }
        Annotation& annotation = annotations.emplace_back();
        annotation.id = fs::path(name.get<std::string>()).stem().string();
        guarded(path, annotation, [&] {
            set_size(annotation, member(image, "height"), member(image, "width"));
            std::vector<Shape> shapes;
            for (const json* each : found->second) {
                const std::string category = key_of(member(*each, "category_id"));
                const auto known = names.find(category);
                const std::string called = known == names.end() ? category : known->second;
                if (!label || called == *label) {
                    shapes.push_back({called, coco_rings(member(*each, "segmentation"))});
                }
            }
            take_shapes(annotation, shapes, label);
        });
    }
    return annotations;
}

bool list_of_objects(const json& value) {
    return value.is_array() && std::ranges::all_of(value, [](const json& each) { return each.is_object(); });
}

}  // namespace

std::vector<Annotation> read_annotations(const fs::path& path, const std::optional<std::string>& label) {
    json file;
    try {
        const io::MappedFile mapped(path.string());
        if (mapped.bytes().size() > kMostBytes) {
            throw InputError("not_annotations", path.string() + " is too large to hold annotations");
        }
        const auto* text = reinterpret_cast<const char*>(mapped.bytes().data());
        file = json::parse(text, text + mapped.bytes().size(), nullptr, false);
    } catch (const UsageError& error) {
        throw InputError("unreadable", error.what());
    }
    if (file.is_object() && list_of_objects(member(file, "shapes"))) {
        return {read_labelme(path, file, label)};
    }
    if (file.is_object() && list_of_objects(member(file, "images")) && list_of_objects(member(file, "annotations")) &&
        (member(file, "categories").is_null() || list_of_objects(member(file, "categories")))) {
        return read_coco(path, file, label);
    }
    throw InputError("not_annotations", path.string() + " is neither LabelMe's JSON nor COCO's");
}

}  // namespace boneage::train

#include "engine/train/age_cache.h"

#include "engine/pipeline/age_network.h"
#include "engine/train/cache_file.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <cmath>

namespace boneage::train {
namespace {

constexpr const char* kFormat = "boneage-ages-1";
constexpr size_t kMostSplits = 256;

std::vector<std::string> names_of_splits(const std::vector<eval::Label>& labels) {
    std::vector<std::string> names{"train", "val"};
    for (const eval::Label& label : labels) {
        if (std::ranges::find(names, label.split) == names.end()) {
            names.push_back(label.split);
            if (names.size() > kMostSplits) {
                throw UsageError("the labels have more than " + std::to_string(kMostSplits) + " splits");
            }
        }
    }
    return names;
}

io::Metadata metadata_of(const pipeline::Recipe& recipe, const std::string& source,
                         const std::optional<std::string>& segmenter, const std::vector<std::string>& ids,
                         const std::vector<std::string>& splits) {
    io::Metadata metadata{{"format", kFormat},
                          {"recipe", pipeline::to_json(recipe)},
                          {"ids", texts_to_json(ids)},
                          {"splits", texts_to_json(splits)},
                          {"source", source}};
    if (segmenter) {
        metadata["segmenter"] = *segmenter;
    }
    return metadata;
}

// What the header takes at most: that with every label in it, and some room for the tensors.
int64_t header_room(const pipeline::Recipe& recipe, const std::string& source,
                    const std::optional<std::string>& segmenter, const std::vector<eval::Label>& labels,
                    const std::vector<std::string>& splits) {
    constexpr int64_t kTensors = 4096;
    std::vector<std::string> ids;
    ids.reserve(labels.size());
    for (const eval::Label& label : labels) {
        ids.push_back(label.id);
    }
    int64_t room = kTensors;
    for (const auto& [key, value] : metadata_of(recipe, source, segmenter, ids, splits)) {
        // A text within JSON, as an entry of its object.
        room += static_cast<int64_t>(texts_to_json({key, value}).size());
    }
    return room;
}

float network_sex(pipeline::Sex sex) {
    switch (sex) {
        case pipeline::Sex::male:
            return pipeline::kMale;
        case pipeline::Sex::female:
            return pipeline::kFemale;
        case pipeline::Sex::unknown:
            return 0.0F;
    }
    return 0.0F;
}

}  // namespace

AgeCache::AgeCache(const std::string& path) : file_(path) {
    const CacheFile cache(file_, "an age cache", kFormat);
    cache.only({"pictures", "ages_months", "sexes", "splits"});
    recipe_ = cache.recipe();
    const io::StoredTensor& pictures = cache.tensor("pictures", io::StoredType::u8, 3, -1);
    const int64_t n = pictures.shape[0];
    cache.require(n >= 1, "it has no pictures");
    cache.require(pictures.shape[1] == recipe_.input.height && pictures.shape[2] == recipe_.input.width,
                  "its pictures are not of its recipe's size");
    pictures_ = {cache.bytes(pictures).data(), n, pictures.shape[1], pictures.shape[2], 1};

    ages_months_ = cache.floats("ages_months", n);
    cache.require(std::ranges::all_of(ages_months_,
                                      [](float age) {
                                          return age >= static_cast<float>(eval::kMinAgeMonths) &&
                                                 age <= static_cast<float>(eval::kMaxAgeMonths);
                                      }),
                  "an age in it is out of range");
    sexes_ = cache.floats("sexes", n);
    cache.require(
        std::ranges::all_of(
            sexes_, [](float sex) { return sex == 0.0F || sex == pipeline::kMale || sex == pipeline::kFemale; }),
        "a sex in it is none of 1, -1 and 0");
    split_names_ = cache.texts("splits", -1);
    cache.require(split_names_.size() >= 2 && split_names_[kTrainSplit] == "train" && split_names_[kValSplit] == "val",
                  "its first two splits are not train and val");
    splits_ = cache.bytes(cache.tensor("splits", io::StoredType::u8, 1, n));
    cache.require(std::ranges::all_of(splits_, [&](uint8_t split) { return split < split_names_.size(); }),
                  "a picture in it is of no split");
    ids_ = cache.texts("ids", n);
    source_ = cache.entry("source");
    if (const std::string* segmenter = file_.metadata("segmenter")) {
        segmenter_ = *segmenter;
    }
}

std::vector<int64_t> AgeCache::of_split(uint8_t split) const {
    std::vector<int64_t> places;
    for (size_t i = 0; i < splits_.size(); ++i) {
        if (splits_[i] == split) {
            places.push_back(static_cast<int64_t>(i));
        }
    }
    return places;
}

AgeCacheWriter::AgeCacheWriter(const std::string& path, const pipeline::Recipe& recipe, const std::string& source,
                               const std::vector<eval::Label>& most, std::optional<std::string> segmenter)
    : recipe_(recipe),
      source_(as_utf8(source)),
      segmenter_(segmenter ? std::optional(as_utf8(*segmenter)) : std::nullopt),
      split_names_(names_of_splits(most)),
      file_(path, header_room(recipe, source_, segmenter_, most, split_names_)) {}

void AgeCacheWriter::add(const eval::Label& label, Image<const uint8_t, Host> picture) {
    expects(picture.height == recipe_.input.height && picture.width == recipe_.input.width,
            "a picture has the recipe's size");
    expects(picture.stride == picture.width, "a picture's rows are packed");
    const auto split = std::ranges::find(split_names_, label.split);
    expects(split != split_names_.end(), "a label of none of the splits");
    file_.append(std::as_bytes(std::span(picture.data, static_cast<size_t>(picture.pixels()))));
    ids_.push_back(label.id);
    ages_months_.push_back(static_cast<float>(label.age_months));
    sexes_.push_back(network_sex(label.sex));
    splits_.push_back(static_cast<uint8_t>(split - split_names_.begin()));
}

void AgeCacheWriter::commit() {
    expects(count() > 0, "a cache has pictures");
    const auto add = [&]<class T>(const char* name, io::StoredType type, const std::vector<T>& values) {
        file_.append(std::as_bytes(std::span(values)));
        file_.end_tensor(name, type, {count()});
    };
    file_.end_tensor("pictures", io::StoredType::u8, {count(), recipe_.input.height, recipe_.input.width});
    add("ages_months", io::StoredType::f32, ages_months_);
    add("sexes", io::StoredType::f32, sexes_);
    add("splits", io::StoredType::u8, splits_);
    file_.commit(metadata_of(recipe_, source_, segmenter_, ids_, split_names_));
}

}  // namespace boneage::train

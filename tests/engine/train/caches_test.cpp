#include "engine/train/age_cache.h"
#include "engine/train/cache_file.h"
#include "engine/train/mask_cache.h"
#include "kernels/base/error.h"
#include "tests/support/folder.h"

#include <cstring>
#include <gtest/gtest.h>
#include <limits>

namespace boneage::train {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::Folder;

pipeline::Recipe small_recipe() {
    pipeline::Recipe recipe;
    recipe.segment.long_side = 16;
    recipe.input.width = 33;
    recipe.input.height = 35;
    return recipe;
}

HostImage<uint8_t> filled(int64_t height, int64_t width, int from) {
    HostImage<uint8_t> image(height, width);
    for (int64_t i = 0; i < image.view().pixels(); ++i) {
        image.view().data[i] = static_cast<uint8_t>(from + i);
    }
    return image;
}

bool same_pixels(Image<const uint8_t, Host> a, Image<const uint8_t, Host> b) {
    return same_size(a, b) && std::memcmp(a.data, b.data, static_cast<size_t>(a.pixels())) == 0;
}

// A file's parts, to be changed and written again.
struct Parts {
    explicit Parts(const std::string& path) {
        const io::SafetensorsFile file(path);
        metadata = file.metadata();
        for (const io::StoredTensor& tensor : file.tensors()) {
            storage.emplace_back(tensor.bytes.begin(), tensor.bytes.end());
            tensors.push_back(tensor);
        }
        for (size_t i = 0; i < tensors.size(); ++i) {
            tensors[i].bytes = storage[i];
        }
    }
    io::StoredTensor& tensor(const std::string& name) {
        for (io::StoredTensor& each : tensors) {
            if (each.name == name) {
                return each;
            }
        }
        throw std::out_of_range(name);
    }
    // Replaces entry `at` of a tensor.
    template <class T>
    void set(const std::string& name, size_t at, T value) {
        const auto index = static_cast<size_t>(&tensor(name) - tensors.data());
        std::memcpy(storage[index].data() + at * sizeof(T), &value, sizeof(T));
    }

    io::Metadata metadata;
    std::vector<std::vector<std::byte>> storage;
    std::vector<io::StoredTensor> tensors;
};

class AgeCacheTest : public ::testing::Test {
protected:
    AgeCacheTest() {
        labels_ = {{"a", 12.5, pipeline::Sex::male, "val", 0, 0},
                   {"left out", 1, pipeline::Sex::male, "test", 0, 0},
                   {"\xc3\xa9\"b", 0, pipeline::Sex::female, "train", 0, 0},
                   {"c", 240, pipeline::Sex::unknown, "", 0, 0}};
        AgeCacheWriter writer(path(), small_recipe(), "a\xff test", labels_);
        for (const size_t i : {0, 2, 3}) {
            writer.add(labels_[i], filled(35, 33, static_cast<int>(i)).view());
        }
        writer.commit();
    }
    [[nodiscard]] std::string path() const { return (folder_ / kAgeCacheName).string(); }
    // What opening the file says after `change`.
    std::string refusal(const std::function<void(Parts&)>& change) const {
        Parts parts(path());
        change(parts);
        const std::string changed = (folder_ / "changed").string();
        io::write_safetensors(changed, parts.tensors, parts.metadata);
        std::string why = error_of<UsageError>([&] { AgeCache{changed}; });
        EXPECT_EQ(why.rfind(changed + " is not an age cache that can be used: ", 0), 0U) << why;
        return why;
    }
    void expect_refused(const std::string& because, const std::function<void(Parts&)>& change) const {
        EXPECT_NE(refusal(change).find(because), std::string::npos) << refusal(change);
    }

    Folder folder_;
    std::vector<eval::Label> labels_;
};

TEST_F(AgeCacheTest, what_is_written_is_read) {
    const AgeCache cache(path());
    ASSERT_EQ(cache.count(), 3);
    EXPECT_EQ(cache.ids(), (std::vector<std::string>{"a", "\xc3\xa9\"b", "c"}));
    EXPECT_EQ(std::vector<float>(cache.ages_months().begin(), cache.ages_months().end()),
              (std::vector<float>{12.5F, 0.0F, 240.0F}));
    EXPECT_EQ(std::vector<float>(cache.sexes().begin(), cache.sexes().end()), (std::vector<float>{1.0F, -1.0F, 0.0F}));
    EXPECT_EQ(cache.split_names(), (std::vector<std::string>{"train", "val", "test", ""}));
    EXPECT_EQ(std::vector<uint8_t>(cache.splits().begin(), cache.splits().end()), (std::vector<uint8_t>{1, 0, 3}));
    EXPECT_EQ(cache.of_split(kValSplit), (std::vector<int64_t>{0}));
    EXPECT_EQ(cache.of_split(2), std::vector<int64_t>{});
    EXPECT_EQ(cache.recipe(), small_recipe());
    EXPECT_EQ(cache.source(), "a\xef\xbf\xbd test");
    const std::array<int64_t, 4> shape{3, 35, 33, 1};
    EXPECT_EQ(cache.pictures().shape, shape);
    for (const int64_t i : {0, 1, 2}) {
        EXPECT_TRUE(
            same_pixels({cache.pictures().at(i), 35, 33}, filled(35, 33, i == 0 ? 0 : static_cast<int>(i) + 1).view()));
    }
}

TEST_F(AgeCacheTest, without_commit_nothing_is_left) {
    const std::string other = (folder_ / "other").string();
    {
        AgeCacheWriter writer(other, small_recipe(), "", labels_);
        writer.add(labels_[0], filled(35, 33, 0).view());
    }
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(AgeCacheTest, too_many_splits_are_refused) {
    std::vector<eval::Label> labels;
    for (int i = 0; i < 255; ++i) {
        labels.push_back({std::to_string(i), 1, pipeline::Sex::male, "split" + std::to_string(i), 0, 0});
    }
    EXPECT_THROW(AgeCacheWriter((folder_ / "x").string(), small_recipe(), "", labels), UsageError);
}

TEST_F(AgeCacheTest, contradictions_are_refused) {
    expect_refused("lacks \"format\"", [](Parts& p) { p.metadata.erase("format"); });
    expect_refused("format is \"boneage-9\"", [](Parts& p) { p.metadata["format"] = "boneage-9"; });
    expect_refused("lacks \"recipe\"", [](Parts& p) { p.metadata.erase("recipe"); });
    expect_refused("recipe: ", [](Parts& p) { p.metadata["recipe"] = "{}"; });
    expect_refused("not of its recipe's size", [](Parts& p) {
        pipeline::Recipe recipe = small_recipe();
        std::swap(recipe.input.width, recipe.input.height);
        p.metadata["recipe"] = pipeline::to_json(recipe);
    });
    expect_refused("\"ids\" are 2 instead of 3", [](Parts& p) { p.metadata["ids"] = R"(["a","b"])"; });
    expect_refused("name \"a\" twice", [](Parts& p) { p.metadata["ids"] = R"(["a","b","a"])"; });
    expect_refused("are no texts", [](Parts& p) { p.metadata["ids"] = R"(["a","b",3])"; });
    expect_refused("are no list", [](Parts& p) { p.metadata["ids"] = "[[["; });
    expect_refused("not train and val", [](Parts& p) { p.metadata["splits"] = R"(["val","train","","x"])"; });
    expect_refused("not train and val", [](Parts& p) { p.metadata["splits"] = "[]"; });
    expect_refused("of no split", [](Parts& p) { p.set<uint8_t>("splits", 1, 4); });
    for (const float age : {-0.5F, 240.5F, std::numeric_limits<float>::quiet_NaN()}) {
        expect_refused("an age in it", [age](Parts& p) { p.set("ages_months", 2, age); });
    }
    for (const float sex : {0.5F, 2.0F, std::numeric_limits<float>::quiet_NaN()}) {
        expect_refused("a sex in it", [sex](Parts& p) { p.set("sexes", 0, sex); });
    }
    expect_refused("has no tensor \"sexes\"",
                   [](Parts& p) { std::erase_if(p.tensors, [](const auto& t) { return t.name == "sexes"; }); });
    expect_refused("has a tensor \"surplus\"", [](Parts& p) {
        p.tensors.push_back({"surplus", io::StoredType::u8, {0}, {}});
    });
    expect_refused("\"pictures\" should be U8 of 3 dimensions",
                   [](Parts& p) { p.tensor("pictures").shape = {3 * 35 * 33}; });
    expect_refused("\"ages_months\" has 1 entries instead of 3", [](Parts& p) {
        p.tensor("ages_months").shape = {1};
        p.tensor("ages_months").bytes = p.tensor("ages_months").bytes.first(4);
    });
    expect_refused("it has no pictures", [](Parts& p) {
        p.tensor("pictures").shape[0] = 0;
        p.tensor("pictures").bytes = {};
    });
}

TEST_F(AgeCacheTest, truncated_files_are_refused) {
    const std::string whole = testing::read_text(path());
    for (size_t length = 0; length < whole.size(); length += length < 300 ? 1 : 61) {
        const std::string cut = folder_.write("cut", whole.substr(0, length));
        EXPECT_THROW(AgeCache{cut}, UsageError) << length;
    }
}

class MaskCacheTest : public ::testing::Test {
protected:
    MaskCacheTest() {
        MaskCacheWriter writer;
        writer.add("x", filled(16, 11, 0).view(), filled(16, 11, 50).view());
        writer.add("y", filled(3, 16, 9).view(), filled(3, 16, 80).view());
        writer.write(path(), small_recipe(), "two hands");
    }
    [[nodiscard]] std::string path() const { return (folder_ / kMaskCacheName).string(); }
    void expect_refused(const std::string& because, const std::function<void(Parts&)>& change) const {
        Parts parts(path());
        change(parts);
        const std::string changed = (folder_ / "changed").string();
        io::write_safetensors(changed, parts.tensors, parts.metadata);
        const std::string why = error_of<UsageError>([&] { MaskCache{changed}; });
        EXPECT_EQ(why.rfind(changed + " is not a mask cache that can be used: ", 0), 0U) << why;
        EXPECT_NE(why.find(because), std::string::npos) << why;
    }

    Folder folder_;
};

TEST_F(MaskCacheTest, what_is_written_is_read) {
    const MaskCache cache(path());
    ASSERT_EQ(cache.count(), 2);
    EXPECT_EQ(cache.ids(), (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(cache.recipe(), small_recipe());
    EXPECT_EQ(cache.source(), "two hands");
    EXPECT_TRUE(same_pixels(cache.picture(0), filled(16, 11, 0).view()));
    EXPECT_TRUE(same_pixels(cache.mask(0), filled(16, 11, 50).view()));
    EXPECT_TRUE(same_pixels(cache.picture(1), filled(3, 16, 9).view()));
    EXPECT_TRUE(same_pixels(cache.mask(1), filled(3, 16, 80).view()));
}

TEST_F(MaskCacheTest, contradictions_are_refused) {
    constexpr int64_t kHuge = int64_t{1} << 62U;
    for (const int64_t side : {int64_t{0}, int64_t{-16}, int64_t{17}, kHuge}) {
        expect_refused("not of its recipe's size", [side](Parts& p) { p.set("heights", 0, side); });
        expect_refused("not of its recipe's size", [side](Parts& p) { p.set("widths", 1, side); });
    }
    expect_refused("not of its recipe's size", [](Parts& p) { p.set<int64_t>("heights", 0, 15); });
    expect_refused("belong to no picture", [](Parts& p) { p.set<int64_t>("heights", 1, 2); });
    expect_refused("one after another", [](Parts& p) { p.set<int64_t>("heights", 1, 4); });
    for (const int64_t offset : {int64_t{0}, int64_t{-1}, int64_t{177}, kHuge}) {
        expect_refused("one after another", [offset](Parts& p) { p.set("offsets", 1, offset); });
    }
    expect_refused("\"ids\" are 1 instead of 2", [](Parts& p) { p.metadata["ids"] = R"(["x"])"; });
    expect_refused("format is", [](Parts& p) { p.metadata["format"] = "boneage-ages-1"; });
    expect_refused("lacks \"source\"", [](Parts& p) { p.metadata.erase("source"); });
    expect_refused("\"masks\" has", [](Parts& p) {
        p.tensor("masks").shape[0] -= 1;
        p.tensor("masks").bytes = p.tensor("masks").bytes.subspan(1);
    });
}

TEST_F(MaskCacheTest, truncated_files_are_refused) {
    const std::string whole = testing::read_text(path());
    for (size_t length = 0; length < whole.size(); length += 7) {
        const std::string cut = folder_.write("cut", whole.substr(0, length));
        EXPECT_THROW(MaskCache{cut}, UsageError) << length;
    }
}

}  // namespace
}  // namespace boneage::train

// Caches for tests that train: the sixteen small radiographs, and masks that are easy to learn.
#pragma once

#include "engine/eval/labels.h"
#include "engine/io/image_file.h"
#include "engine/pipeline/preparer.h"
#include "engine/train/age_cache.h"
#include "engine/train/mask_cache.h"
#include "kernels/base/rng.h"

#include <filesystem>
#include <string>

namespace boneage::testing {

// Writes a cache of the sixteen small radiographs at 40x48 pixels, each once to train on and once to judge by.
inline void write_small_ages(const std::string& path) {
    const std::filesystem::path folder = std::filesystem::path(BONEAGE_TEST_DATA) / "small";
    pipeline::Recipe recipe;
    recipe.canvas.long_side = 120;
    recipe.input.width = 40;
    recipe.input.height = 48;
    std::vector<eval::Label> labels = eval::read_labels(folder / "labels.csv").rows;
    const size_t count = labels.size();
    for (int copy = 0; copy < 2; ++copy) {
        for (size_t i = 0; i < count; ++i) {
            eval::Label label = labels[i];
            label.id.push_back(static_cast<char>('a' + copy));
            label.split = copy == 0 ? "val" : "train";
            labels.push_back(label);
        }
    }
    train::AgeCacheWriter writer(path, recipe, "sixteen small radiographs", labels);
    pipeline::Preparer preparer(recipe, 1);
    HostImage<uint8_t> picture(recipe.input.height, recipe.input.width);
    for (size_t copy = 1; copy <= 2; ++copy) {
        for (size_t i = 0; i < count; ++i) {
            io::DecodedImage image = io::decode_image((folder / (labels[i].id + ".png")));
            preparer.prepare(image);
            preparer.picture(picture.view());
            writer.add(labels[copy * count + i], picture.view());
        }
    }
    writer.commit();
}

// Writes a cache of bright rectangles on noise, of 32 pixels.
inline void write_small_masks(const std::string& path, int count) {
    pipeline::Recipe recipe;
    recipe.canvas.long_side = 32;
    recipe.segment.long_side = 32;
    recipe.segment.patch = 32;
    train::MaskCacheWriter writer;
    for (int i = 0; i < count; ++i) {
        Rng rng(7, static_cast<uint64_t>(i));
        HostImage<uint8_t> picture(32, 24 + i % 3);
        HostImage<uint8_t> mask(32, 24 + i % 3);
        const auto top = static_cast<int64_t>(rng.uniform() * 10);
        const auto left = static_cast<int64_t>(rng.uniform() * 8);
        for (int64_t y = 0; y < picture.height(); ++y) {
            for (int64_t x = 0; x < picture.width(); ++x) {
                const bool inside = y >= top && y < top + 18 && x >= left && x < left + 14;
                mask.view().at(y, x) = inside ? 255 : 0;
                picture.view().at(y, x) = static_cast<uint8_t>((inside ? 150 : 60) + 60 * rng.uniform());
            }
        }
        writer.add("picture" + std::to_string(i), picture.view(), mask.view());
    }
    writer.write(path, recipe, "rectangles");
}

}  // namespace boneage::testing

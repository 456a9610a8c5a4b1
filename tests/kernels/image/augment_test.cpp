#include "kernels/image/augment.h"

#include "kernels/base/error.h"
#include "tests/support/augment_cases.h"
#include "tests/support/augment_reference.h"
#include "tests/support/images.h"
#include "tests/support/tensors.h"

namespace boneage {
namespace {

using testing::AugmentReference;
using testing::expect_same;
using testing::kEverything;
using testing::kImageNet;
using testing::OwnedTensor;
using testing::PaddedImage;

// A data set of random pictures of one size, and the samples that `indices` ask for.
struct Pictures {
    int64_t count, height, width;
    Buffer<uint8_t, Host> pixels;

    Pictures(int64_t count_, int64_t height_, int64_t width_)
        : count(count_), height(height_), width(width_), pixels(count_ * height_ * width_) {
        Rng rng(5);
        for (uint8_t& pixel : pixels) {
            pixel = static_cast<uint8_t>(rng.next_u32());
        }
    }
    [[nodiscard]] Image<const uint8_t, Host> image(int64_t i) const {
        return {pixels.data() + i * height * width, height, width};
    }
    [[nodiscard]] OwnedTensor<float> augmented(const std::vector<int32_t>& indices, const AugmentDraws& draws,
                                               const AugmentParams& params, int64_t channels = 1,
                                               int threads = 1) const {
        Workers workers(threads);
        HostScratch scratch;
        const auto n = static_cast<int64_t>(indices.size());
        OwnedTensor<float> dst({n, height, width, channels});
        augment(workers, {pixels.data(), count, height, width}, {indices.data(), n}, {&draws, 1}, dst.tensor(), params,
                kImageNet, scratch.bytes(augment_scratch_bytes(n)));
        return dst;
    }
};

// What normalise() makes of images of one size.
OwnedTensor<float> normalised(const std::vector<Image<const uint8_t, Host>>& images, int64_t channels) {
    Workers workers(1);
    const auto n = static_cast<int64_t>(images.size());
    OwnedTensor<float> dst({n, images[0].height, images[0].width, channels});
    normalise<uint8_t, float>(workers, {images.data(), n, images[0].height, images[0].width}, dst.tensor(), kImageNet);
    return dst;
}

TEST(Augment, without_any_change_equals_normalise) {
    for (const auto& [height, width] : testing::awkward_sizes()) {
        const Pictures pictures(3, height, width);
        for (const int64_t channels : {1, 2, 3}) {
            expect_same(
                pictures.augmented({2, 0, 0, 1}, {1, 9}, {}, channels),
                normalised({pictures.image(2), pictures.image(0), pictures.image(0), pictures.image(1)}, channels),
                std::to_string(height) + "x" + std::to_string(width));
        }
    }
}

TEST(Augment, a_certain_flip_equals_normalise_of_mirrored_pictures) {
    for (const auto& [height, width] : testing::awkward_sizes()) {
        const Pictures pictures(1, height, width);
        PaddedImage<uint8_t> mirrored(height, width);
        for (int64_t p = 0; p < height * width; ++p) {
            mirrored.view().at(p / width, p % width) = pictures.image(0).at(p / width, width - 1 - p % width);
        }
        expect_same(pictures.augmented({0}, {1, 0}, {.flip = 1}, 3), normalised({std::as_const(mirrored).view()}, 3),
                    std::to_string(height) + "x" + std::to_string(width));
    }
}

// Each change alone and all together; the width is more than one tile.
TEST(Augment, equals_the_contract_in_double) {
    const AugmentParams each[] = {{.rotation_degrees = 180},
                                  {.shift = 1, .background = 0.7F},
                                  {.zoom = 10},
                                  {.shear = 1},
                                  {.flip = 0.5F},
                                  {.brightness = 0.8F},
                                  {.contrast = 5},
                                  {.noise = 0.3F},
                                  {.erase = 0.5F, .erase_largest_area = 1, .erase_stretch = 10, .erase_level = 1},
                                  kEverything};
    const std::vector<int32_t> indices{0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1};
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{31, 300}, {64, 64}, {5, 1}, {1, 9}}) {
        const Pictures pictures(2, height, width);
        for (const AugmentParams& params : each) {
            const AugmentDraws draws{0x123456789abcdef, 0xfffffffffc};  // counters past 2^40
            const auto got = pictures.augmented(indices, draws, params, 2);
            std::vector<double> want;
            for (size_t i = 0; i < indices.size(); ++i) {
                const AugmentReference reference(draws, static_cast<int64_t>(i), params, kImageNet,
                                                 {height, width, height, width});
                reference.append_values(want, pictures.image(indices[i]), 2);
            }
            testing::expect_close(
                std::vector<float>(got.tensor().data, got.tensor().data + got.size()), want, 2e-4,
                std::to_string(height) + "x" + std::to_string(width) + ", case " + std::to_string(&params - each));
        }
    }
}

TEST(Augment, noise_of_neighbours_and_of_neighbouring_samples_is_unrelated) {
    Pictures pictures(1, 224, 224);
    std::fill(pictures.pixels.begin(), pictures.pixels.end(), 128);
    const auto got = pictures.augmented({0, 0}, {3, 17}, {.noise = 0.1F});
    const auto correlation = [&](int64_t step) {
        double sums[5] = {};
        const int64_t count = got.size() - step;
        for (int64_t i = 0; i < count; ++i) {
            const auto a = static_cast<double>(got[i]);
            const auto b = static_cast<double>(got[i + step]);
            sums[0] += a;
            sums[1] += b;
            sums[2] += a * a;
            sums[3] += b * b;
            sums[4] += a * b;
        }
        const auto n = static_cast<double>(count);
        return (sums[4] / n - sums[0] / n * sums[1] / n) /
               std::sqrt((sums[2] / n - sums[0] / n * sums[0] / n) * (sums[3] / n - sums[1] / n * sums[1] / n));
    };
    EXPECT_NEAR(correlation(0), 1, 1e-9);
    for (const int64_t step : {1, 2, 3, 4, 16, 64, 224, 225, 224 * 224}) {
        EXPECT_NEAR(correlation(step), 0, 0.02) << step;  // more than four standard deviations
    }
}

TEST(Augment, a_sample_depends_on_seed_and_counter_alone) {
    const Pictures pictures(2, 40, 300);
    const auto all = pictures.augmented({0, 1, 0, 0, 1}, {42, 100}, kEverything);
    for (const int threads : {2, 5}) {
        expect_same(pictures.augmented({0, 1, 0, 0, 1}, {42, 100}, kEverything, 1, threads), all, "workers");
    }
    const auto part = pictures.augmented({0, 0}, {42, 102}, kEverything);
    for (int64_t k = 0; k < part.size(); ++k) {
        ASSERT_EQ(part[k], all[2 * 40 * 300 + k]) << k;
    }
    // Another seed, another counter: other pictures.
    const auto different = [&](const AugmentDraws& draws) {
        const auto other = pictures.augmented({0}, draws, kEverything);
        int64_t count = 0;
        for (int64_t k = 0; k < other.size(); ++k) {
            count += other[k] != all[k] ? 1 : 0;
        }
        return count;
    };
    EXPECT_EQ(different({42, 100}), 0);
    EXPECT_GT(different({43, 100}), 40 * 300 / 2);
    EXPECT_GT(different({42, 101}), 40 * 300 / 2);
    EXPECT_GT(different({42, 100 + (uint64_t{1} << 32)}), 40 * 300 / 2);
}

TEST(Augment, refuses_what_no_picture_can_be_made_of) {
    const Pictures pictures(2, 8, 8);
    EXPECT_THROW(pictures.augmented({2}, {}, {}), ContractError);
    EXPECT_THROW(pictures.augmented({-1}, {}, {}), ContractError);
    EXPECT_THROW(pictures.augmented({0}, {}, {}, 4), ContractError);
    for (const AugmentParams& params :
         {AugmentParams{.rotation_degrees = 181}, AugmentParams{.zoom = -0.1F}, AugmentParams{.flip = 1.5F},
          AugmentParams{.noise = std::numeric_limits<float>::quiet_NaN()},
          AugmentParams{.erase_smallest_area = 0.5F, .erase_largest_area = 0.4F}, AugmentParams{.background = 2}}) {
        EXPECT_THROW(pictures.augmented({0}, {}, params), ContractError);
    }
}

// Pictures of several sizes with masks, one of them smaller than a patch.
struct MaskedPictures {
    std::vector<PaddedImage<uint8_t>> pictures, masks;

    MaskedPictures() {
        for (const auto& [h, w] : std::vector<std::pair<int64_t, int64_t>>{{90, 70}, {64, 64}, {41, 100}, {20, 15}}) {
            pictures.push_back(testing::random_image<uint8_t>(h, w, static_cast<uint64_t>(h)));
            masks.push_back(testing::random_mask(h, w, static_cast<uint64_t>(w)));
        }
    }
};

struct Patches {
    OwnedTensor<float> images, targets;
};

constexpr int64_t kPatch = 64;

Patches patches_of(const std::vector<PaddedImage<uint8_t>>& pictures, const std::vector<PaddedImage<uint8_t>>& masks,
                   const std::vector<int32_t>& indices, const AugmentDraws& draws, const AugmentParams& params,
                   const NormaliseParams& normalise, int64_t channels = 1) {
    const auto views = [](const std::vector<PaddedImage<uint8_t>>& images) {
        std::vector<Image<const uint8_t, Host>> all(images.size());
        std::transform(images.begin(), images.end(), all.begin(), [](const auto& image) { return image.view(); });
        return all;
    };
    const auto picture_views = views(pictures);
    const auto mask_views = views(masks);
    Workers workers(2);
    HostScratch scratch;
    const auto n = static_cast<int64_t>(indices.size());
    Patches result{OwnedTensor<float>({n, kPatch, kPatch, channels}), OwnedTensor<float>({n, kPatch, kPatch, 1})};
    augment_patches(workers, {picture_views.data(), static_cast<int64_t>(picture_views.size()), 90, 100},
                    {mask_views.data(), static_cast<int64_t>(mask_views.size()), 90, 100}, {indices.data(), n},
                    {&draws, 1}, result.images.tensor(), result.targets.tensor(), params, normalise,
                    scratch.bytes(augment_scratch_bytes(n)));
    return result;
}

TEST(AugmentPatches, equal_the_contract_in_double) {
    const MaskedPictures data;
    const std::vector<int32_t> indices{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
    for (const AugmentParams& params : {AugmentParams{}, AugmentParams{.flip = 0.5F}, kEverything}) {
        const AugmentDraws draws{11, 3};
        const Patches got = patches_of(data.pictures, data.masks, indices, draws, params, kImageNet, 3);
        std::vector<double> images;
        std::vector<double> targets;
        for (size_t i = 0; i < indices.size(); ++i) {
            const auto& picture = data.pictures[static_cast<size_t>(indices[i])];
            const AugmentReference reference(draws, static_cast<int64_t>(i), params, kImageNet,
                                             {picture.view().height, picture.view().width, kPatch, kPatch});
            reference.append_values(images, picture.view(), 3);
            reference.append_targets(targets, data.masks[static_cast<size_t>(indices[i])].view());
        }
        const auto all = [](const OwnedTensor<float>& t) {
            return std::vector<float>(t.tensor().data, t.tensor().data + t.size());
        };
        testing::expect_close(all(got.images), images, 2e-4, "images");
        testing::expect_close(all(got.targets), targets, 2e-4, "targets");
    }
}

// A mask that is the picture stays the picture, wherever the patch lies and however it is turned.
TEST(AugmentPatches, masks_move_with_their_pictures) {
    const MaskedPictures data;
    const AugmentParams params{.rotation_degrees = 90, .shift = 0.3F, .zoom = 1, .shear = 0.5F, .flip = 0.5F};
    const Patches got = patches_of(data.pictures, data.pictures, {0, 1, 2, 3, 0, 1, 2, 3}, {1, 1}, params, {});
    expect_same(got.images, got.targets, "image and mask");
}

// What is done to values, noise and erased rectangles included, leaves the targets alone.
TEST(AugmentPatches, targets_keep_their_values) {
    const MaskedPictures data;
    const AugmentParams values{
        .brightness = 0.5F, .contrast = 2, .noise = 0.2F, .erase = 1, .erase_largest_area = 1, .erase_level = 0.5F};
    const std::vector<int32_t> indices{0, 1, 2, 0};
    expect_same(patches_of(data.pictures, data.masks, indices, {5, 0}, values, {}).targets,
                patches_of(data.pictures, data.masks, indices, {5, 0}, {}, {}).targets, "targets");
}

TEST(AugmentPatches, start_at_every_place_there_is) {
    std::vector<PaddedImage<uint8_t>> pictures;
    pictures.emplace_back(kPatch + 3, kPatch + 2);
    for (int64_t y = 0; y < kPatch + 3; ++y) {
        for (int64_t x = 0; x < kPatch + 2; ++x) {
            pictures[0].view().at(y, x) = static_cast<uint8_t>(10 * y + x);  // the first pixel names the place
        }
    }
    const std::vector<int32_t> indices(400, 0);
    const Patches got = patches_of(pictures, pictures, indices, {9, 0}, {}, {});
    int places[4][3] = {};
    for (int64_t i = 0; i < 400; ++i) {
        const auto first = std::lround(255.0F * got.images.at(i, 0, 0, 0));
        ASSERT_LT(first % 10, 3);
        ASSERT_LT(first / 10, 4);
        ++places[first / 10][first % 10];
    }
    for (const auto& row : places) {
        for (const int count : row) {
            EXPECT_NEAR(count, 400.0 / 12, 24);  // more than four standard deviations
        }
    }
}

TEST(AugmentPatches, refuse_a_mask_of_another_size) {
    const MaskedPictures data;
    std::vector<PaddedImage<uint8_t>> masks = data.masks;
    masks[1] = PaddedImage<uint8_t>(64, 63);
    EXPECT_NO_THROW(patches_of(data.pictures, masks, {0}, {}, {}, {}));
    EXPECT_THROW(patches_of(data.pictures, masks, {1}, {}, {}, {}), ContractError);
    masks.pop_back();
    EXPECT_THROW(patches_of(data.pictures, masks, {0}, {}, {}, {}), ContractError);
}

}  // namespace
}  // namespace boneage

#include "kernels/image/patches.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "tests/support/images.h"

namespace boneage {
namespace {

using testing::PaddedImage;
using Origins = std::vector<int64_t>;

// Values of nnU-Net's compute_steps_for_sliding_window; sides below a patch are padded by half on each side.
TEST(PatchOriginsTest, equal_nnunets_steps) {
    EXPECT_EQ(patch_origins(256, 256, 0.5), (Origins{0}));
    EXPECT_EQ(patch_origins(257, 256, 0.5), (Origins{0, 1}));
    EXPECT_EQ(patch_origins(384, 256, 0.5), (Origins{0, 128}));
    EXPECT_EQ(patch_origins(400, 256, 0.5), (Origins{0, 72, 144}));
    EXPECT_EQ(patch_origins(512, 256, 0.5), (Origins{0, 128, 256}));
    EXPECT_EQ(patch_origins(301, 64, 0.5), (Origins{0, 30, 59, 89, 118, 148, 178, 207, 237}));
    EXPECT_EQ(patch_origins(512, 256, 1.0), (Origins{0, 256}));
    EXPECT_EQ(patch_origins(100, 64, 0.25), (Origins{0, 12, 24, 36}));
    EXPECT_EQ(patch_origins(60, 64, 0.5), (Origins{-2}));
    EXPECT_EQ(patch_origins(61, 64, 0.5), (Origins{-1}));
    EXPECT_EQ(patch_origins(1, 64, 0.5), (Origins{-31}));
}

TEST(PatchOriginsTest, cover_every_pixel_in_rising_order) {
    for (const double step : {0.1, 0.5, 0.75, 1.0}) {
        for (const int64_t patch : {1, 2, 7, 64}) {
            for (int64_t size = 1; size < 300; ++size) {
                const Origins origins = patch_origins(size, patch, step);
                EXPECT_LE(origins.front(), 0);
                EXPECT_GE(origins.back() + patch, size);
                for (size_t i = 1; i < origins.size(); ++i) {
                    EXPECT_LE(origins[i - 1], origins[i]);
                    EXPECT_LE(origins[i], origins[i - 1] + patch);
                }
            }
        }
    }
    EXPECT_THROW(patch_origins(10, 4, 0.0), ContractError);
    EXPECT_THROW(patch_origins(10, 4, 1.5), ContractError);
    EXPECT_THROW(patch_origins(10, 0, 0.5), ContractError);
}

TEST(PatchPlacesTest, run_top_to_bottom_and_left_to_right) {
    std::vector<PatchPlace> places;
    append_patches(places, 2, 8, 3, 4, 0.5);
    append_patches(places, 5, 4, 6, 4, 0.5);
    const std::vector<PatchPlace> want{{2, 0, 0}, {2, 2, 0}, {2, 4, 0}, {5, 0, 0}, {5, 0, 2}};
    EXPECT_EQ(places, want);
}

// Three images of which one is smaller than a patch, and the table of their patches.
template <class P>
struct Scene {
    static constexpr int64_t kPatch = 16;
    std::vector<PaddedImage<P>> images;
    std::vector<Image<const P, Host>> views;
    std::vector<PatchPlace> places;
    std::vector<int64_t> first{0};

    Scene() {
        for (const auto& [h, w] : std::vector<std::pair<int64_t, int64_t>>{{40, 33}, {9, 50}, {3, 5}, {16, 16}}) {
            append_patches(places, static_cast<int64_t>(images.size()), h, w, kPatch, 0.5);
            first.push_back(static_cast<int64_t>(places.size()));
            images.push_back(testing::random_image<P>(h, w, static_cast<uint64_t>(h)));
        }
        for (const auto& image : images) {
            views.push_back(image.view());
        }
    }
    [[nodiscard]] Batch<const P, Host> batch() const {
        return {views.data(), static_cast<int64_t>(views.size()), 40, 50};
    }
    [[nodiscard]] Tensor<const PatchPlace, Host> table() const { return {places.data(), count()}; }
    [[nodiscard]] Tensor<const int64_t, Host> starts() const {
        return {first.data(), static_cast<int64_t>(first.size())};
    }
    [[nodiscard]] int64_t count() const { return static_cast<int64_t>(places.size()); }
};

template <class P>
class GatherTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(GatherTest, PixelTypes);

TYPED_TEST(GatherTest, patches_hold_normalised_pixels_and_black_outside) {
    const Scene<TypeParam> scene;
    constexpr int64_t kPatch = Scene<TypeParam>::kPatch;
    const NormaliseParams params{{0.5F, 0.25F, 0.1F}, {0.3F, 0.2F, 0.7F}};
    const float max = static_cast<float>(std::numeric_limits<TypeParam>::max());
    for (const int threads : {1, 2, 4}) {
        Workers workers(threads);
        for (const int64_t channels : {1, 3}) {
            const Buffer<float, Host> single(scene.count() * kPatch * kPatch * channels);
            const Buffer<bfloat16, Host> half(single.size());
            gather_patches<TypeParam, float>(workers, scene.batch(), scene.table(),
                                             {single.data(), scene.count(), kPatch, kPatch, channels}, params);
            gather_patches<TypeParam, bfloat16>(workers, scene.batch(), scene.table(),
                                                {half.data(), scene.count(), kPatch, kPatch, channels}, params);
            for (int64_t k = 0; k < single.size(); ++k) {
                const size_t c = static_cast<size_t>(k % channels);
                const PatchPlace& place = scene.places[static_cast<size_t>(k / channels / kPatch / kPatch)];
                const auto& image = scene.views[static_cast<size_t>(place.image)];
                const int64_t y = place.y + k / channels / kPatch % kPatch;
                const int64_t x = place.x + k / channels % kPatch;
                const bool inside = y >= 0 && y < image.height && x >= 0 && x < image.width;
                const volatile float scaled = (inside ? static_cast<float>(image.at(y, x)) : 0.0F) / max;
                const volatile float centred = scaled - params.mean[c];
                const float want = centred / params.deviation[c];
                ASSERT_EQ(single[k], want) << "element " << k;
                ASSERT_EQ(half[k].bits, to_bfloat16(want).bits) << "element " << k;
            }
        }
    }
}

TYPED_TEST(GatherTest, a_part_of_the_table_gives_its_part_of_the_tensor) {
    const Scene<TypeParam> scene;
    constexpr int64_t kPatch = Scene<TypeParam>::kPatch;
    constexpr int64_t kElements = kPatch * kPatch;
    Workers workers(2);
    const Buffer<float, Host> whole(scene.count() * kElements);
    const Buffer<float, Host> pieces(whole.size());
    gather_patches<TypeParam, float>(workers, scene.batch(), scene.table(),
                                     {whole.data(), scene.count(), kPatch, kPatch}, {});
    for (int64_t begin = 0; begin < scene.count(); begin += 3) {
        const int64_t n = std::min<int64_t>(3, scene.count() - begin);
        gather_patches<TypeParam, float>(workers, scene.batch(), {scene.places.data() + begin, n},
                                         {pieces.data() + begin * kElements, n, kPatch, kPatch}, {});
    }
    EXPECT_TRUE(std::equal(whole.begin(), whole.end(), pieces.begin()));
}

TEST(GaussianWindowTest, is_nnunets_bell) {
    for (const int64_t patch : {1, 2, 5, 16, 64, 255}) {
        const std::vector<float> window = gaussian_window(patch);
        ASSERT_EQ(static_cast<int64_t>(window.size()), patch * patch);
        EXPECT_EQ(window[static_cast<size_t>(patch / 2 * patch + patch / 2)], 1.0F);
        for (int64_t k = 0; k < patch * patch; ++k) {
            const double dy = static_cast<double>(k / patch - patch / 2);
            const double dx = static_cast<double>(k % patch - patch / 2);
            const double sigma = static_cast<double>(patch) / 8.0;
            const double want = std::exp(-(dy * dy + dx * dx) / (2.0 * sigma * sigma));
            EXPECT_NEAR(window[static_cast<size_t>(k)], want, 1e-6 * want) << "patch " << patch << ", weight " << k;
            EXPECT_GT(window[static_cast<size_t>(k)], 0.0F);
        }
    }
}

class BlendTest : public ::testing::Test {
protected:
    static constexpr int64_t kPatch = Scene<uint8_t>::kPatch;
    Scene<uint8_t> scene_;
    std::vector<float> window_ = gaussian_window(kPatch);
    Buffer<float, Host> values_{scene_.count() * kPatch * kPatch};

    void fill_with_noise() {
        Rng rng(21);
        for (float& v : values_) {
            v = 20.0F * rng.uniform() - 10.0F;
        }
    }

    std::vector<PaddedImage<float>> blend(int threads) {
        Workers workers(threads);
        std::vector<PaddedImage<float>> images;
        std::vector<Image<float, Host>> views;
        for (const auto& image : scene_.views) {
            images.emplace_back(image.height, image.width);
        }
        for (auto& image : images) {
            views.push_back(image.view());
        }
        blend_patches(workers, {values_.data(), scene_.count(), kPatch, kPatch}, scene_.table(), scene_.starts(),
                      {window_.data(), kPatch, kPatch}, {views.data(), static_cast<int64_t>(views.size()), 40, 50});
        for (const auto& image : images) {
            image.check_padding();
        }
        return images;
    }
};

TEST_F(BlendTest, equals_a_naive_weighted_mean_in_double) {
    fill_with_noise();
    const auto images = blend(1);
    for (size_t i = 0; i < images.size(); ++i) {
        const auto image = images[i].view();
        for (int64_t y = 0; y < image.height; ++y) {
            for (int64_t x = 0; x < image.width; ++x) {
                double sum = 0;
                double weights = 0;
                for (int64_t k = 0; k < scene_.count(); ++k) {
                    const PatchPlace& place = scene_.places[static_cast<size_t>(k)];
                    const int64_t py = y - place.y;
                    const int64_t px = x - place.x;
                    if (place.image == static_cast<int64_t>(i) && py >= 0 && py < kPatch && px >= 0 && px < kPatch) {
                        const double w = static_cast<double>(window_[static_cast<size_t>(py * kPatch + px)]);
                        sum += w * static_cast<double>(values_[(k * kPatch + py) * kPatch + px]);
                        weights += w;
                    }
                }
                ASSERT_NEAR(image.at(y, x), sum / weights, 2e-5) << "image " << i << ", row " << y << ", column " << x;
            }
        }
    }
}

TEST_F(BlendTest, gives_the_same_bits_with_any_number_of_workers_and_alone) {
    fill_with_noise();
    const auto want = blend(1);
    for (const int threads : {2, 4}) {
        auto got = blend(threads);
        for (size_t i = 0; i < want.size(); ++i) {
            testing::expect_equal<float>(want[i].view(), got[i].mat(), "image " + std::to_string(i));
        }
    }
    // The second image by itself, with only its own patches.
    const int64_t begin = scene_.first[1];
    const int64_t n = scene_.first[2] - begin;
    std::vector<PatchPlace> places(scene_.places.begin() + begin, scene_.places.begin() + begin + n);
    for (PatchPlace& place : places) {
        place.image = 0;
    }
    const std::array<int64_t, 2> first{0, n};
    PaddedImage<float> alone(9, 50);
    Workers workers(1);
    blend_patches(workers, {values_.data() + begin * kPatch * kPatch, n, kPatch, kPatch}, {places.data(), n},
                  {first.data(), 2}, {window_.data(), kPatch, kPatch}, one(alone.view()));
    testing::expect_equal<float>(want[1].view(), alone.mat(), "alone");
}

TEST_F(BlendTest, patches_that_agree_blend_to_what_they_agree_on) {
    for (int64_t k = 0; k < scene_.count(); ++k) {
        const PatchPlace& place = scene_.places[static_cast<size_t>(k)];
        for (int64_t y = 0; y < kPatch; ++y) {
            for (int64_t x = 0; x < kPatch; ++x) {
                values_[(k * kPatch + y) * kPatch + x] = static_cast<float>(100 * (place.y + y) + place.x + x);
            }
        }
    }
    const auto images = blend(2);
    for (const auto& image : images) {
        for (int64_t y = 0; y < image.view().height; ++y) {
            for (int64_t x = 0; x < image.view().width; ++x) {
                ASSERT_NEAR(image.view().at(y, x), static_cast<float>(100 * y + x), 1e-3F);
            }
        }
    }
}

TEST_F(BlendTest, an_uncovered_pixel_is_zero_and_a_broken_table_is_refused) {
    const std::array<PatchPlace, 1> place{{{0, 2, 2}}};
    const std::array<int64_t, 2> first{0, 1};
    const std::array<int64_t, 2> past_the_end{0, 2};
    const std::vector<float> values(16, 3.0F);
    const std::vector<float> window = gaussian_window(4);
    PaddedImage<float> image(8, 8);
    Workers workers(1);
    const auto call = [&](const std::array<int64_t, 2>& starts) {
        blend_patches(workers, {values.data(), 1, 4, 4}, {place.data(), 1}, {starts.data(), 2}, {window.data(), 4, 4},
                      one(image.view()));
    };
    call(first);
    EXPECT_EQ(image.view().at(1, 2), 0.0F);
    EXPECT_FLOAT_EQ(image.view().at(2, 2), 3.0F);
    EXPECT_THROW(call(past_the_end), ContractError);
}

}  // namespace
}  // namespace boneage

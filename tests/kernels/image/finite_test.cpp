#include "kernels/image/finite.h"

#include "tests/support/images.h"

namespace boneage {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

uint8_t broken(Image<const float, Host> image, int threads) {
    Workers workers(threads);
    uint8_t answer = 9;
    find_not_finite(workers, one(image), {&answer, 1});
    return answer;
}

TEST(FindNotFinite, finds_one_such_pixel_wherever_it_is) {
    for (const int threads : {1, 3}) {
        for (const auto& [height, width] : testing::awkward_sizes()) {
            auto image = testing::random_image<float>(height, width, 5, -9, 9);
            ASSERT_EQ(broken(image.view(), threads), 0);
            for (const auto& [y, x] : {std::pair<int64_t, int64_t>{0, 0},
                                       {height - 1, width - 1},
                                       {height / 2, width / 3},
                                       {0, width - 1}}) {
                float& pixel = image.view().at(y, x);
                const float before = pixel;
                for (const float value : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                                          -std::numeric_limits<float>::signaling_NaN()}) {
                    pixel = value;
                    EXPECT_EQ(broken(image.view(), threads), 1) << value << " at " << y << ", " << x;
                }
                pixel = before;
            }
        }
    }
}

TEST(FindNotFinite, takes_the_largest_and_the_smallest_numbers_for_numbers) {
    testing::PaddedImage<float> image(1, 4);
    const std::array<float, 4> values{std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(),
                                      std::numeric_limits<float>::denorm_min(), -0.0F};
    std::copy(values.begin(), values.end(), image.view().data);
    EXPECT_EQ(broken(image.view(), 1), 0);
    EXPECT_EQ(broken({nullptr, 0, 0, 0}, 1), 0) << "no pixels";
}

}  // namespace
}  // namespace boneage

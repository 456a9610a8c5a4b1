#include "engine/train/polygons.h"

#include "kernels/base/buffer.h"
#include "kernels/base/rng.h"

#include <gtest/gtest.h>

namespace boneage::train {
namespace {

HostImage<uint8_t> blank(int64_t height, int64_t width) {
    HostImage<uint8_t> mask(height, width);
    std::fill_n(mask.view().data, mask.view().pixels(), uint8_t{0});
    return mask;
}

int64_t inside(const HostImage<uint8_t>& mask) {
    return std::count(mask.view().data, mask.view().data + mask.view().pixels(), 255);
}

Ring square(double from, double to) {
    return {{from, from}, {to, from}, {to, to}, {from, to}};
}

// The textbook test of one point: a ray to the right crosses an odd number of edges.
bool contains(const std::vector<Ring>& rings, double x, double y) {
    bool odd = false;
    for (const Ring& ring : rings) {
        for (size_t i = 0, j = ring.size() - 1; i < ring.size(); j = i++) {
            if ((ring[i].y > y) != (ring[j].y > y) &&
                x < (ring[j].x - ring[i].x) * (y - ring[i].y) / (ring[j].y - ring[i].y) + ring[i].x) {
                odd = !odd;
            }
        }
    }
    return odd;
}

TEST(Polygons, a_square_covers_the_pixels_between_its_corners) {
    const HostImage<uint8_t> mask = blank(6, 8);
    fill_polygon({{{1, 2}, {5, 2}, {5, 4}, {1, 4}}}, mask.view());
    for (int64_t y = 0; y < 6; ++y) {
        for (int64_t x = 0; x < 8; ++x) {
            EXPECT_EQ(mask.view().at(y, x), y >= 2 && y < 4 && x >= 1 && x < 5 ? 255 : 0) << y << " " << x;
        }
    }
}

TEST(Polygons, random_polygons_equal_the_test_of_every_pixel) {
    Rng rng(7);
    const auto coordinate = [&] { return -10.0 + 60.0 * static_cast<double>(rng.uniform()); };
    int64_t compared = 0;
    for (int round = 0; round < 60; ++round) {
        std::vector<Ring> rings(1 + rng.next_u32() % 3);
        for (Ring& ring : rings) {
            ring.resize(3 + rng.next_u32() % 12);
            for (Point& point : ring) {
                point = {coordinate(), coordinate()};
            }
        }
        const HostImage<uint8_t> mask = blank(37, 41);
        fill_polygon(rings, mask.view());
        for (int64_t y = 0; y < 37; ++y) {
            for (int64_t x = 0; x < 41; ++x) {
                const bool in = contains(rings, static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5);
                ASSERT_EQ(mask.view().at(y, x), in ? 255 : 0) << "round " << round << ", " << y << " " << x;
                compared += in ? 1 : 0;
            }
        }
    }
    EXPECT_GT(compared, 10'000);
}

TEST(Polygons, a_ring_within_a_ring_is_a_hole_and_polygons_are_a_union) {
    const HostImage<uint8_t> mask = blank(20, 20);
    fill_polygon({square(2, 12), square(5, 8)}, mask.view());
    EXPECT_EQ(inside(mask), 100 - 9);
    fill_polygon({square(4, 9)}, mask.view());
    EXPECT_EQ(inside(mask), 100) << "another polygon covers the hole and leaves the rest";
}

TEST(Polygons, a_line_that_comes_back_along_itself_makes_a_hole) {
    const HostImage<uint8_t> mask = blank(12, 12);
    fill_polygon({{{0, 0}, {10, 0}, {10, 10}, {0, 10}, {0, 0}, {3, 3}, {3, 6}, {6, 6}, {6, 3}, {3, 3}}}, mask.view());
    EXPECT_EQ(inside(mask), 100 - 9);
}

TEST(Polygons, what_lies_outside_is_cut_off) {
    const HostImage<uint8_t> mask = blank(5, 7);
    fill_polygon({square(-1e6, 1e6)}, mask.view());
    EXPECT_EQ(inside(mask), 35);
    const HostImage<uint8_t> nothing = blank(5, 7);
    fill_polygon({square(8, 20), square(-9, -2), {}, {{1, 1}}, {{1, 1}, {4, 4}}}, nothing.view());
    EXPECT_EQ(inside(nothing), 0);
}

}  // namespace
}  // namespace boneage::train

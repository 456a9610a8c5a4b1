#include "kernels/base/numeric.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace boneage {
namespace {

uint16_t bits_of(float value) {
    return to_float16(value).bits;
}

// The value of binary16 bits, from its definition.
double half_value(uint16_t bits) {
    const int exponent = (bits >> 10) & 31;
    const int mantissa = bits & 1023;
    const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == 31) {
        return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                             : sign * std::numeric_limits<double>::infinity();
    }
    return exponent == 0 ? sign * std::ldexp(mantissa, -24) : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

bool is_nan_half(uint16_t bits) {
    return (bits & 0x7c00U) == 0x7c00U && (bits & 0x3ffU) != 0;
}

TEST(Float16, all_65536_convert_to_their_exact_value_and_back) {
    for (uint32_t i = 0; i < 65536; ++i) {
        const auto bits = static_cast<uint16_t>(i);
        const float value = to_float(float16{bits});
        if (is_nan_half(bits)) {
            EXPECT_TRUE(std::isnan(value)) << i;
            EXPECT_TRUE(is_nan_half(bits_of(value))) << i;
        } else {
            EXPECT_EQ(static_cast<double>(value), half_value(bits)) << i;
            EXPECT_EQ(std::signbit(value), (bits & 0x8000U) != 0) << i;
            EXPECT_EQ(bits_of(value), bits) << i;
        }
    }
}

// Between two neighbouring halves: below the middle down, above it up, the middle itself to the even one.
TEST(Float16, rounds_to_nearest_and_ties_to_even_between_all_neighbours) {
    for (uint32_t i = 0; i < 0x7bffU; ++i) {
        const auto low = static_cast<uint16_t>(i);
        const auto high = static_cast<uint16_t>(i + 1);
        const auto middle = static_cast<float>((half_value(low) + half_value(high)) / 2);
        const uint16_t even = i % 2 == 0 ? low : high;
        for (const uint16_t sign : {uint16_t{0}, uint16_t{0x8000}}) {
            const float signed_middle = sign != 0 ? -middle : middle;
            EXPECT_EQ(bits_of(signed_middle), even | sign) << i;
            EXPECT_EQ(bits_of(std::nextafterf(signed_middle, 0.0F)), low | sign) << i;
            EXPECT_EQ(bits_of(signed_middle * (1 + 0x1p-23F)), high | sign) << i;
        }
    }
}

TEST(Float16, too_large_becomes_infinity_and_too_small_zero) {
    EXPECT_EQ(bits_of(65519.996F), 0x7bff);
    EXPECT_EQ(bits_of(65520.0F), 0x7c00);
    EXPECT_EQ(bits_of(-1e30F), 0xfc00);
    EXPECT_EQ(bits_of(std::numeric_limits<float>::infinity()), 0x7c00);
    EXPECT_EQ(bits_of(0x1p-25F), 0);  // halfway to the smallest, to even
    EXPECT_EQ(bits_of(-0x1p-26F), 0x8000);
    EXPECT_EQ(bits_of(std::numeric_limits<float>::denorm_min()), 0);
    EXPECT_TRUE(is_nan_half(bits_of(std::bit_cast<float>(0x7f800001U))));
}

}  // namespace
}  // namespace boneage

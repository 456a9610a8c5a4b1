#include "engine/io/stored_numbers.h"

#include "kernels/base/error.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

namespace boneage::io {
namespace {

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

TEST(HalfTest, all_65536_convert_to_their_exact_value_and_back) {
    for (uint32_t i = 0; i < 65536; ++i) {
        const auto bits = static_cast<uint16_t>(i);
        const float value = half_to_float(bits);
        if (is_nan_half(bits)) {
            EXPECT_TRUE(std::isnan(value)) << i;
            EXPECT_TRUE(is_nan_half(float_to_half(value))) << i;
        } else {
            EXPECT_EQ(static_cast<double>(value), half_value(bits)) << i;
            EXPECT_EQ(std::signbit(value), (bits & 0x8000U) != 0) << i;
            EXPECT_EQ(float_to_half(value), bits) << i;
        }
    }
}

// Between two neighbouring halves: below the middle down, above it up, the middle itself to the even one.
TEST(HalfTest, rounds_to_nearest_and_ties_to_even_between_all_neighbours) {
    for (uint32_t i = 0; i < 0x7bffU; ++i) {
        const auto low = static_cast<uint16_t>(i);
        const auto high = static_cast<uint16_t>(i + 1);
        const auto middle = static_cast<float>((half_value(low) + half_value(high)) / 2);
        const uint16_t even = i % 2 == 0 ? low : high;
        for (const uint16_t sign : {uint16_t{0}, uint16_t{0x8000}}) {
            const float signed_middle = sign != 0 ? -middle : middle;
            EXPECT_EQ(float_to_half(signed_middle), even | sign) << i;
            EXPECT_EQ(float_to_half(std::nextafterf(signed_middle, 0.0F)), low | sign) << i;
            EXPECT_EQ(float_to_half(signed_middle * (1 + 0x1p-23F)), high | sign) << i;
        }
    }
}

TEST(HalfTest, too_large_becomes_infinity_and_too_small_zero) {
    EXPECT_EQ(float_to_half(65519.996F), 0x7bff);
    EXPECT_EQ(float_to_half(65520.0F), 0x7c00);
    EXPECT_EQ(float_to_half(-1e30F), 0xfc00);
    EXPECT_EQ(float_to_half(std::numeric_limits<float>::infinity()), 0x7c00);
    EXPECT_EQ(float_to_half(0x1p-25F), 0);  // halfway to the smallest, to even
    EXPECT_EQ(float_to_half(-0x1p-26F), 0x8000);
    EXPECT_EQ(float_to_half(std::numeric_limits<float>::denorm_min()), 0);
    EXPECT_TRUE(is_nan_half(float_to_half(std::bit_cast<float>(0x7f800001U))));
}

TEST(Bfloat16Test, all_65536_survive_the_way_through_float32) {
    std::vector<std::byte> stored(65536 * 2);
    for (uint32_t i = 0; i < 65536; ++i) {
        const auto bits = static_cast<uint16_t>(i);
        std::memcpy(&stored[size_t{2} * i], &bits, 2);
    }
    const std::vector<float> values = to_float32(StoredType::bf16, stored);
    const std::vector<std::byte> again = from_float32(StoredType::bf16, values);
    for (uint32_t i = 0; i < 65536; ++i) {
        EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), i << 16U);
        uint16_t bits = 0;
        std::memcpy(&bits, &again[size_t{2} * i], 2);
        EXPECT_EQ(bits, std::isnan(values[i]) ? i | 0x40U : i);
    }
}

TEST(StoredNumbersTest, are_read_at_odd_addresses) {
    const std::vector<float> values{1.5F, -0.0F, 3e38F};
    for (const StoredType type : {StoredType::f32, StoredType::f16, StoredType::bf16}) {
        const std::vector<std::byte> bytes = from_float32(type, values);
        ASSERT_EQ(static_cast<int64_t>(bytes.size()), 3 * size_of(type));
        std::vector<std::byte> shifted(bytes.size() + 1);
        std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
        EXPECT_EQ(to_float32(type, std::span(shifted).subspan(1)), to_float32(type, bytes));
    }
    EXPECT_EQ(to_float32(StoredType::f32, from_float32(StoredType::f32, values)), values);
}

TEST(StoredNumbersTest, counters_are_whole_numbers) {
    const std::vector<float> values{0, 7, -3, 16777216};
    EXPECT_EQ(to_float32(StoredType::i64, from_float32(StoredType::i64, values)), values);
    EXPECT_THROW(to_float32(StoredType::i64, std::vector<std::byte>(12)), ContractError);
    const std::vector<float> bytes{0, 7, 255};
    EXPECT_EQ(to_float32(StoredType::u8, from_float32(StoredType::u8, bytes)), bytes);
}

}  // namespace
}  // namespace boneage::io

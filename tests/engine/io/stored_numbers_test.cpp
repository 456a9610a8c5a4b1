#include "engine/io/stored_numbers.h"

#include "kernels/base/error.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

namespace boneage::io {
namespace {

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

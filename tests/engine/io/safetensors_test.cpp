#include "engine/io/safetensors.h"

#include "kernels/base/error.h"
#include "tests/support/folder.h"
#include "tests/support/safetensors_bytes.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace boneage::io {
namespace {

namespace fs = std::filesystem;
using testing::Folder;
using testing::safetensors_bytes;

constexpr const char* kTwo =
    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I64","shape":[],"data_offsets":[8,16]}})";

class SafetensorsTest : public ::testing::Test {
protected:
    // The error of opening a file of these bytes; "" when it opens.
    std::string refusal(const std::string& bytes) {
        const std::string path = folder_.write("broken.safetensors", bytes);
        try {
            const SafetensorsFile file(path);
            for (const StoredTensor& tensor : file.tensors()) {
                to_float32(tensor.type, tensor.bytes);
            }
            return "";
        } catch (const UsageError& error) {
            EXPECT_EQ(std::string(error.what()).rfind(path, 0), 0U) << error.what();
            EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
            return error.what();
        }
    }
    void expect_refused(const std::string& header, size_t data, const std::string& because) {
        const std::string why = refusal(safetensors_bytes(header, data));
        EXPECT_NE(why.find(because), std::string::npos) << header << "\n-> \"" << why << "\"";
    }
    // One tensor "a" whose description is `entry`, over eight bytes of data.
    void expect_entry_refused(const std::string& entry, const std::string& because) {
        expect_refused("{\"a\":" + entry + "}", 8, because);
    }

    Folder folder_;
};

TEST_F(SafetensorsTest, reads_tensors_and_metadata) {
    const std::string header = R"({"b":{"dtype":"BF16","shape":[1,3],"data_offsets":[8,14]},)"
                               R"("__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   )";
    const SafetensorsFile file(folder_.write("good.safetensors", safetensors_bytes(header, 14)));
    ASSERT_EQ(file.tensors().size(), 2U);
    EXPECT_EQ(file.tensors()[0].name, "a");
    EXPECT_EQ(file.tensors()[1].shape, (std::vector<int64_t>{1, 3}));
    EXPECT_EQ(file.tensors()[1].elements(), 3);
    EXPECT_EQ(file.metadata(), (Metadata{{"k", "v"}}));
    ASSERT_NE(file.metadata("k"), nullptr);
    EXPECT_EQ(*file.metadata("k"), "v");
    EXPECT_EQ(file.metadata("l"), nullptr);
    ASSERT_NE(file.find("b"), nullptr);
    EXPECT_EQ(file.find("b")->type, StoredType::bf16);
    EXPECT_EQ(file.find("c"), nullptr);
}

TEST_F(SafetensorsTest, what_is_written_is_read) {
    const std::vector<float> numbers{1, -2, 0.5F, 1e-8F, 3e4F, -0.0F};
    std::vector<std::vector<std::byte>> storage;
    std::vector<StoredTensor> tensors;
    for (const StoredType type : {StoredType::f16, StoredType::f32, StoredType::bf16}) {
        storage.push_back(from_float32(type, numbers));
        tensors.push_back({text(type), type, {2, 3}, storage.back()});
    }
    storage.push_back(from_float32(StoredType::i64, std::vector<float>{41}));
    tensors.push_back({"scalar", StoredType::i64, {}, storage.back()});
    tensors.push_back({"none", StoredType::f32, {0, 5}, {}});
    const Metadata metadata{{"note", "quotes \" and \xc3\xa9\n"}, {"", ""}};
    const std::string path = (folder_ / "written.safetensors").string();
    write_safetensors(path, tensors, metadata);
    const SafetensorsFile file(path);
    EXPECT_EQ(file.metadata(), metadata);
    ASSERT_EQ(file.tensors().size(), tensors.size());
    for (const StoredTensor& tensor : tensors) {
        const StoredTensor* read = file.find(tensor.name);
        ASSERT_NE(read, nullptr) << tensor.name;
        EXPECT_EQ(read->type, tensor.type);
        EXPECT_EQ(read->shape, tensor.shape);
        EXPECT_EQ(to_float32(read->type, read->bytes), to_float32(tensor.type, tensor.bytes));
    }
    EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensors()[0].bytes.data()) % 64, 0U);
    EXPECT_EQ(to_float32(StoredType::f32, file.find("F32")->bytes), numbers);
}

TEST_F(SafetensorsTest, what_is_streamed_is_read) {
    const std::string path = (folder_ / "streamed.safetensors").string();
    const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
    SafetensorsWriter writer(path, 1000);
    writer.append(bytes("abc"));
    writer.append(bytes("def"));
    writer.end_tensor("letters", StoredType::u8, {2, 3});
    writer.end_tensor("none", StoredType::f32, {0});
    writer.append(bytes("\x01\x02\x03\x04"));
    writer.end_tensor("odd place", StoredType::f32, {1});
    EXPECT_FALSE(fs::exists(path)) << "nothing is there before it is complete";
    writer.commit({{"note", "\xc3\xa9"}});
    const SafetensorsFile file(path);
    EXPECT_EQ(file.metadata(), (Metadata{{"note", "\xc3\xa9"}}));
    ASSERT_EQ(file.tensors().size(), 3U);
    const StoredTensor* letters = file.find("letters");
    ASSERT_NE(letters, nullptr);
    EXPECT_EQ(letters->type, StoredType::u8);
    EXPECT_EQ(letters->shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(to_float32(letters->type, letters->bytes), (std::vector<float>{97, 98, 99, 100, 101, 102}));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(letters->bytes.data()) % 64, 0U);
    EXPECT_EQ(file.find("odd place")->bytes[3], std::byte{4});
}

TEST_F(SafetensorsTest, a_stream_that_does_not_add_up_leaves_nothing) {
    const std::string path = (folder_ / "streamed.safetensors").string();
    const std::vector<std::byte> data(4);
    const auto expect_defect = [&](int64_t room, const auto& write) {
        SafetensorsWriter writer(path, room);
        EXPECT_THROW(write(writer), ContractError);
    };
    expect_defect(1000, [&](SafetensorsWriter& writer) {
        writer.append(data);
        writer.commit({});
    });
    expect_defect(1000, [&](SafetensorsWriter& writer) {
        writer.append(data);
        writer.end_tensor("a", StoredType::u8, {5});
        writer.commit({});
    });
    expect_defect(1000, [](SafetensorsWriter& writer) { writer.commit({{"long", std::string(1000, 'x')}}); });
    EXPECT_TRUE(fs::is_empty(folder_.path()));
    EXPECT_THROW(SafetensorsWriter("/dev/full", 100), Error);
    EXPECT_THROW(SafetensorsWriter((folder_ / "no/such").string(), 100), Error);
}

TEST_F(SafetensorsTest, a_file_without_tensors_is_valid) {
    EXPECT_EQ(refusal(safetensors_bytes("{}", 0)), "");
    EXPECT_EQ(refusal(safetensors_bytes(R"({"__metadata__":{}})", 0)), "");
}

TEST_F(SafetensorsTest, every_truncation_is_refused) {
    const std::string whole = safetensors_bytes(kTwo, 16);
    ASSERT_EQ(refusal(whole), "");
    for (size_t length = 0; length < whole.size(); ++length) {
        EXPECT_NE(refusal(whole.substr(0, length)), "") << length << " bytes";
    }
}

TEST_F(SafetensorsTest, bytes_after_the_end_are_refused) {
    EXPECT_NE(refusal(safetensors_bytes(kTwo, 17)).find("1 bytes at its end belong to no tensor"), std::string::npos);
}

// Whatever one byte becomes, the answer is a file that adds up or a sentence.
TEST_F(SafetensorsTest, any_changed_header_byte_is_refused_or_still_adds_up) {
    const std::string whole = safetensors_bytes(kTwo, 16);
    for (size_t at = 0; at < whole.size() - 16; ++at) {
        for (const char to : std::string("\0 \"9-{}]\x7f\x80\xff", 11)) {
            std::string changed = whole;
            changed[at] = to;
            refusal(changed);
        }
    }
}

TEST_F(SafetensorsTest, declared_header_lengths_are_not_trusted) {
    for (const uint64_t length : {uint64_t{109}, uint64_t{100'000'000}, uint64_t{100'000'001}, uint64_t{1} << 62U,
                                  uint64_t{1} << 63U, ~uint64_t{0}, ~uint64_t{0} - 7}) {
        EXPECT_NE(refusal(safetensors_bytes("{}", 0, length)).find("header"), std::string::npos) << length;
    }
    EXPECT_NE(refusal(safetensors_bytes("{}", 0, 0)).find("does not begin"), std::string::npos);
}

TEST_F(SafetensorsTest, headers_that_are_no_json_object_are_refused) {
    expect_refused("[]", 0, "does not begin with {");
    expect_refused(" {}", 0, "does not begin with {");
    expect_refused("\xef\xbb\xbf{}", 0, "does not begin with {");
    expect_refused("{", 0, "not valid JSON from byte 2");
    expect_refused("{}}", 0, "not valid JSON");
    expect_refused("{\"a\xff\":1}", 0, "not valid JSON");
    expect_refused(std::string("{}\0", 3), 0, "zero byte");
    expect_refused("{\"a\":" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + "}", 0, "not described");
    expect_refused("{\"a\":" + std::string(1'000'000, '['), 0, "not valid JSON");
    expect_refused("{\"a\":1e999}", 0, "not valid JSON");
}

TEST_F(SafetensorsTest, repeated_keys_are_refused) {
    const std::string entry = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
    expect_refused("{\"a\":" + entry + ",\"a\":" + entry + "}", 8, "names \"a\" twice");
    expect_refused(R"({"":1,"":1})", 8, "names \"\" twice");
    expect_refused(R"({"__metadata__":{"k":"1","k":"2"}})", 0, "names \"k\" twice");
    expect_entry_refused(R"({"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]})", "names \"dtype\" twice");
}

TEST_F(SafetensorsTest, entries_that_are_not_of_the_format_are_refused) {
    for (const char* entry :
         {"1", "null", "[]", "{}", R"({"dtype":"F32","shape":[2]})", R"({"dtype":"F32","data_offsets":[0,8]})",
          R"({"dtype":4,"shape":[2],"data_offsets":[0,8]})", R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})",
          R"({"dtype":"F32","shape":[2],"data_offsets":8})", R"({"dtype":"F32","shape":[2],"data_offsets":[0,4,8]})",
          R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1})"}) {
        expect_entry_refused(entry, "tensor \"a\" is not described by dtype, shape and data_offsets");
    }
    expect_entry_refused(R"({"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]})", "type \"F8_E4M3\"");
    expect_entry_refused(R"({"dtype":"f32","shape":[2],"data_offsets":[0,8]})", "type \"f32\"");
    for (const char* side : {"-1", "-0", "1.0", "1e2", "\"2\"", "null", "true", "9223372036854775808",
                             "18446744073709551615", "18446744073709551616"}) {
        expect_entry_refused(R"({"dtype":"F32","shape":[)" + std::string(side) + R"(],"data_offsets":[0,8]})",
                             "not a whole number");
        expect_entry_refused(R"({"dtype":"F32","shape":[2],"data_offsets":[0,)" + std::string(side) + "]}",
                             "not a whole number");
    }
}

TEST_F(SafetensorsTest, shapes_that_overflow_are_refused) {
    expect_entry_refused(R"({"dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,8]})",
                         "too large to exist");
    expect_entry_refused(R"({"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,8]})", "too large");
    expect_entry_refused(R"({"dtype":"I64","shape":[2305843009213693953],"data_offsets":[0,8]})", "too large to exist");
}

TEST_F(SafetensorsTest, data_that_does_not_add_up_is_refused) {
    expect_entry_refused(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})",
                         "needs 12 bytes by its shape and has 8");
    expect_entry_refused(R"({"dtype":"F32","shape":[3],"data_offsets":[0,12]})", "but the file holds 8");
    expect_entry_refused(R"({"dtype":"F32","shape":[1],"data_offsets":[8,4]})", "should lie at bytes 8 to 4");
    expect_entry_refused(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})", "\"a\" follows a gap");
    expect_entry_refused(R"({"dtype":"F32","shape":[0],"data_offsets":[4,4]})", "\"a\" follows a gap");
    const std::string first = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":)";
    expect_refused(first + R"([2],"data_offsets":[4,12]}})", 12, "\"b\" overlaps");
    expect_refused(first + R"([2],"data_offsets":[0,8]}})", 8, "overlaps");
    expect_refused(first + R"([1],"data_offsets":[12,16]}})", 16, "\"b\" follows a gap");
}

TEST_F(SafetensorsTest, metadata_must_be_text) {
    expect_refused(R"({"__metadata__":[]})", 0, "metadata is not an object");
    expect_refused(R"({"__metadata__":{"k":1}})", 0, "metadata entry \"k\" is not text");
}

TEST_F(SafetensorsTest, names_in_messages_are_escaped_and_cut) {
    const std::string why =
        refusal(safetensors_bytes("{\"" + std::string("\\u001b[2J\\n") + std::string(5000, 'x') + "\":1}", 0));
    EXPECT_NE(why.find("\\u001b[2J\\nxxx"), std::string::npos) << why;
    EXPECT_LT(why.size(), 400U);
}

TEST_F(SafetensorsTest, what_is_no_file_is_refused) {
    EXPECT_THROW(SafetensorsFile((folder_ / "missing").string()), UsageError);
    EXPECT_THROW(SafetensorsFile(folder_.path().string()), UsageError);
    EXPECT_THROW(SafetensorsFile{""}, UsageError);
    const std::string pipe = (folder_ / "pipe").string();
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_THROW(SafetensorsFile{pipe}, UsageError);
}

TEST_F(SafetensorsTest, a_failed_write_leaves_what_was_there_and_nothing_beside_it) {
    const std::string file = folder_.write("file", "old");
    EXPECT_THROW(write_safetensors(file + "/below", {}, {}), Error);
    EXPECT_THROW(write_safetensors((folder_ / "no/such/folder").string(), {}, {}), Error);
    EXPECT_THROW(write_safetensors(folder_.path().string(), {}, {}), Error);
    EXPECT_THROW(write_safetensors("/dev/full", {}, {}), Error);
    const std::vector<std::byte> data(4);
    EXPECT_THROW(write_safetensors(file, {{"a", StoredType::f32, {2}, data}}, {}), ContractError);
    EXPECT_EQ(testing::read_text(file), "old");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
    write_safetensors(file, {{"a", StoredType::f32, {1}, data}}, {});
    EXPECT_EQ(SafetensorsFile(file).tensors().size(), 1U);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(SafetensorsTest, the_checksum_is_the_crc32_of_the_file) {
    // zlib.crc32 of the same bytes.
    EXPECT_EQ(SafetensorsFile(folder_.write("empty.safetensors", safetensors_bytes("{}", 0))).checksum(), 0x050015f7U);
}

}  // namespace
}  // namespace boneage::io

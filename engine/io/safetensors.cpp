#include "engine/io/safetensors.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "kernels/base/view.h"

#include <algorithm>
#include <cstring>
#include <libdeflate.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>

namespace boneage::io {
namespace {

using nlohmann::json;

constexpr int64_t kLengthBytes = 8;
constexpr uint64_t kLargestHeader = 100'000'000;  // the format's own limit
constexpr int64_t kDataAlignment = 64;

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
    throw UsageError(path + " is not a usable weights file: " + why);
}

// Names come from the file: control characters must not reach a terminal, nor a megabyte of them a sentence.
std::string in_quotes(const std::string& name) {
    constexpr size_t kLongest = 100;
    const std::string shown = name.size() <= kLongest ? name : name.substr(0, kLongest) + "...";
    return json(shown).dump(-1, ' ', true, json::error_handler_t::replace);
}

StoredType type_named(const std::string& path, const std::string& tensor, const std::string& name) {
    for (const StoredType type :
         {StoredType::f32, StoredType::f16, StoredType::bf16, StoredType::i64, StoredType::u8}) {
        if (name == text(type)) {
            return type;
        }
    }
    refuse(path, "tensor " + in_quotes(tensor) + " has type " + in_quotes(name) +
                     "; F32, F16, BF16, I64 and U8 are supported");
}

// Parses the header, refusing what nlohmann would silently merge: two entries of one name.
json parse_header(const std::string& path, std::string_view header) {
    std::vector<std::set<std::string>> keys_of_open_objects;
    std::optional<std::string> repeated;
    const json::parser_callback_t watch = [&](int, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::object_start) {
            keys_of_open_objects.emplace_back();
        } else if (event == json::parse_event_t::object_end) {
            keys_of_open_objects.pop_back();
        } else if (event == json::parse_event_t::key && !keys_of_open_objects.empty()) {
            const auto key = value.get<std::string>();
            if (!keys_of_open_objects.back().insert(key).second) {
                repeated = key;
            }
        }
        return true;
    };
    if (header.empty() || header.front() != '{') {
        refuse(path, "its header does not begin with {");
    }
    // The parser would take a zero byte for the end of the text, whatever came after it.
    if (header.find('\0') != std::string_view::npos) {
        refuse(path, "its header is not valid JSON: it holds a zero byte");
    }
    json parsed;
    try {
        parsed = json::parse(header, watch);
    } catch (const json::parse_error& error) {
        refuse(path, "its header is not valid JSON from byte " + std::to_string(error.byte) + " on");
    } catch (const json::exception&) {
        refuse(path, "its header is not valid JSON");
    }
    if (repeated) {
        refuse(path, "its header names " + in_quotes(*repeated) + " twice");
    }
    if (!parsed.is_object()) {
        refuse(path, "its header is not a JSON object");
    }
    return parsed;
}

int64_t whole_number(const std::string& path, const std::string& tensor, const json& value, const char* what) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > uint64_t{1} << 62U) {
        refuse(path, "tensor " + in_quotes(tensor) + " has a " + what + " that is not a whole number of at least 0");
    }
    return value.get<int64_t>();
}

StoredTensor read_entry(const std::string& path, const std::string& name, const json& entry,
                        std::span<const std::byte> data) {
    if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
        !entry.contains("data_offsets") || !entry["dtype"].is_string() || !entry["shape"].is_array() ||
        !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2) {
        refuse(path, "tensor " + in_quotes(name) + " is not described by dtype, shape and data_offsets");
    }
    StoredTensor tensor;
    tensor.name = name;
    tensor.type = type_named(path, name, entry["dtype"].get<std::string>());
    int64_t bytes = size_of(tensor.type);
    for (const json& side : entry["shape"]) {
        tensor.shape.push_back(whole_number(path, name, side, "side"));
        if (__builtin_mul_overflow(bytes, tensor.shape.back(), &bytes)) {
            refuse(path, "tensor " + in_quotes(name) + " has a shape too large to exist");
        }
    }
    const int64_t begin = whole_number(path, name, entry["data_offsets"][0], "data offset");
    const int64_t end = whole_number(path, name, entry["data_offsets"][1], "data offset");
    const auto available = static_cast<int64_t>(data.size());
    if (begin > end || end > available) {
        refuse(path, "tensor " + in_quotes(name) + " should lie at bytes " + std::to_string(begin) + " to " +
                         std::to_string(end) + " of the data, but the file holds " + std::to_string(available) +
                         "; it may be truncated");
    }
    if (end - begin != bytes) {
        refuse(path, "tensor " + in_quotes(name) + " needs " + std::to_string(bytes) + " bytes by its shape and has " +
                         std::to_string(end - begin));
    }
    tensor.bytes = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(bytes));
    return tensor;
}

// The header of a file that is being written.
class HeaderText {
public:
    explicit HeaderText(const Metadata& metadata) {
        if (!metadata.empty()) {
            json_["__metadata__"] = metadata;
        }
    }
    void add(const std::string& name, StoredType type, const std::vector<int64_t>& shape, int64_t begin, int64_t end) {
        int64_t bytes = size_of(type);
        for (const int64_t side : shape) {
            bytes *= side;
        }
        expects(bytes == end - begin, "a tensor's bytes must match its shape");
        expects(!json_.contains(name), "tensor names must be unique");
        json_[name] = {{"dtype", text(type)}, {"shape", shape}, {"data_offsets", {begin, end}}};
    }
    // Length and JSON, at least `room` bytes. Spaces are allowed after the JSON; they put the data where vector loads
    // and page maps like it.
    [[nodiscard]] std::string padded(int64_t room) const {
        const std::string json_text = json_.dump();
        const int64_t bytes =
            std::max(room, round_up(kLengthBytes + static_cast<int64_t>(json_text.size()), kDataAlignment));
        const auto length = static_cast<uint64_t>(bytes - kLengthBytes);
        std::string all(reinterpret_cast<const char*>(&length), sizeof(length));
        all += json_text;
        all.resize(static_cast<size_t>(bytes), ' ');
        return all;
    }

private:
    nlohmann::ordered_json json_ = nlohmann::ordered_json::object();
};

}  // namespace

int64_t StoredTensor::elements() const {
    return static_cast<int64_t>(bytes.size()) / size_of(type);
}

struct SafetensorsFile::State {
    MappedFile file;
    Metadata metadata;
    std::vector<StoredTensor> tensors;
    std::unordered_map<std::string_view, size_t> index;
};

SafetensorsFile::SafetensorsFile(const std::string& path) : state_(new State{MappedFile(path), {}, {}, {}}) {
    const std::span<const std::byte> bytes = state_->file.bytes();
    const auto size = static_cast<int64_t>(bytes.size());
    if (size < kLengthBytes) {
        refuse(path, "it has " + std::to_string(size) + " bytes, fewer than the smallest such file");
    }
    uint64_t declared = 0;
    std::memcpy(&declared, bytes.data(), sizeof(declared));
    if (declared > kLargestHeader) {
        refuse(path, "its header would have " + std::to_string(declared) + " bytes, and " +
                         std::to_string(kLargestHeader) + " is the limit; it may be no safetensors file");
    }
    if (static_cast<int64_t>(declared) > size - kLengthBytes) {
        refuse(path, "its header claims " + std::to_string(declared) + " bytes, but the file holds " +
                         std::to_string(size - kLengthBytes) + "; it may be truncated");
    }
    const auto header_bytes = static_cast<size_t>(declared);
    const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, header_bytes);
    const std::span<const std::byte> data = bytes.subspan(static_cast<size_t>(kLengthBytes) + header_bytes);
    const json entries = parse_header(path, header);
    for (const auto& [name, entry] : entries.items()) {
        if (name != "__metadata__") {
            state_->tensors.push_back(read_entry(path, name, entry, data));
            continue;
        }
        if (!entry.is_object()) {
            refuse(path, "its metadata is not an object");
        }
        for (const auto& [key, value] : entry.items()) {
            if (!value.is_string()) {
                refuse(path, "its metadata entry " + in_quotes(key) + " is not text");
            }
            state_->metadata[key] = value.get<std::string>();
        }
    }
    std::stable_sort(state_->tensors.begin(), state_->tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
        return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
    });
    const std::byte* next = data.data();
    for (const StoredTensor& tensor : state_->tensors) {
        if (tensor.bytes.data() != next) {
            refuse(path, "the data of tensor " + in_quotes(tensor.name) + " " +
                             (tensor.bytes.data() < next ? "overlaps the tensor before it" : "follows a gap"));
        }
        next += tensor.bytes.size();
    }
    if (next != data.data() + data.size()) {
        refuse(path, std::to_string(data.data() + data.size() - next) + " bytes at its end belong to no tensor");
    }
    for (size_t i = 0; i < state_->tensors.size(); ++i) {
        state_->index[state_->tensors[i].name] = i;
    }
}

SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;

const std::string& SafetensorsFile::path() const {
    return state_->file.path();
}
const Metadata& SafetensorsFile::metadata() const {
    return state_->metadata;
}

const std::string* SafetensorsFile::metadata(const std::string& key) const {
    const auto found = state_->metadata.find(key);
    return found == state_->metadata.end() ? nullptr : &found->second;
}
const std::vector<StoredTensor>& SafetensorsFile::tensors() const {
    return state_->tensors;
}
uint32_t SafetensorsFile::checksum() const {
    return libdeflate_crc32(0, state_->file.bytes().data(), state_->file.bytes().size());
}
int64_t SafetensorsFile::file_bytes() const {
    return static_cast<int64_t>(state_->file.bytes().size());
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
    const auto found = state_->index.find(name);
    return found == state_->index.end() ? nullptr : &state_->tensors[found->second];
}

void write_safetensors(const std::string& path, const std::vector<StoredTensor>& tensors, const Metadata& metadata,
                       Sync when) {
    HeaderText header(metadata);
    int64_t offset = 0;
    for (const StoredTensor& tensor : tensors) {
        const auto bytes = static_cast<int64_t>(tensor.bytes.size());
        header.add(tensor.name, tensor.type, tensor.shape, offset, offset + bytes);
        offset += bytes;
    }
    const std::string text_bytes = header.padded(0);
    AtomicFile file(path);
    file.write(std::as_bytes(std::span(text_bytes)));
    for (const StoredTensor& tensor : tensors) {
        file.write(tensor.bytes);
    }
    file.commit(when);
}

SafetensorsWriter::SafetensorsWriter(std::string path, int64_t header_room)
    : file_(std::move(path)), header_room_(round_up(header_room, kDataAlignment)) {
    const std::vector<std::byte> room(static_cast<size_t>(header_room_));
    file_.write(room);
}

void SafetensorsWriter::append(std::span<const std::byte> bytes) {
    file_.write(bytes);
    end_ += static_cast<int64_t>(bytes.size());
}

void SafetensorsWriter::end_tensor(const std::string& name, StoredType type, std::vector<int64_t> shape) {
    entries_.push_back({name, type, std::move(shape), begin_, end_});
    begin_ = end_;
}

void SafetensorsWriter::commit(const Metadata& metadata) {
    expects(begin_ == end_, "bytes after the last tensor");
    HeaderText header(metadata);
    for (const Entry& entry : entries_) {
        header.add(entry.name, entry.type, entry.shape, entry.begin, entry.end);
    }
    const std::string text_bytes = header.padded(header_room_);
    expects(static_cast<int64_t>(text_bytes.size()) == header_room_, "the header must fit into its room");
    file_.overwrite(0, std::as_bytes(std::span(text_bytes)));
    file_.commit();
}

}  // namespace boneage::io

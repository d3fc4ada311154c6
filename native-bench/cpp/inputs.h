// The inputs, bit for bit those of bench/support/sequences.ts.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

inline uint32_t Xorshift32(uint32_t x) {
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return x;
}

inline std::vector<int32_t> Shuffled(int32_t count, int32_t base, uint32_t seed) {
  std::vector<int32_t> numbers(count);
  for (int32_t i = 0; i < count; i++) numbers[i] = base + i;
  uint32_t x = seed;
  for (int32_t i = count - 1; i >= 1; i--) {
    x = Xorshift32(x);
    std::swap(numbers[i], numbers[x % static_cast<uint32_t>(i + 1)]);
  }
  return numbers;
}

inline void FillBytes(std::string* target, uint32_t key, uint32_t version) {
  uint32_t x = (key * 0x9e3779b1u + version) | 1u;
  for (size_t i = 0; i < target->size(); i += 4) {
    x = Xorshift32(x);
    for (size_t j = 0; j < 4 && i + j < target->size(); j++) {
      (*target)[i + j] = static_cast<char>(x >> (8 * j));
    }
  }
}

inline uint32_t Fold(uint32_t checksum, double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  uint32_t low = (checksum ^ static_cast<uint32_t>(bits)) * 0x9e3779b1u;
  return (low ^ (low >> 15) ^ static_cast<uint32_t>(bits >> 32)) * 0x85ebca6bu;
}

inline uint32_t GroupOf(uint32_t key) { return (key * 0x9e3779b1u) >> 25; }

inline void PutBigEndian(char* target, uint64_t value) {
  for (int i = 7; i >= 0; i--, value >>= 8) target[i] = static_cast<char>(value);
}

// One of 128 groups first, as streams spread their keys; then the number.
inline std::string RowKey(uint32_t key) {
  std::string row(9, '\0');
  row[0] = static_cast<char>(GroupOf(key));
  PutBigEndian(&row[1], key);
  return row;
}

inline std::string DoubleBytes(double number) {
  uint64_t bits;
  std::memcpy(&bits, &number, sizeof bits);
  std::string value(8, '\0');
  PutBigEndian(&value[0], bits);
  return value;
}

inline double DoubleOf(const std::string& value) {
  uint64_t bits = 0;
  for (int i = 0; i < 8; i++) bits = bits << 8 | static_cast<uint8_t>(value[i]);
  double number;
  std::memcpy(&number, &bits, sizeof number);
  return number;
}

// Group by group: an engine need not merge what comes in order.
inline std::vector<int32_t> KeysByGroup(int32_t count) {
  std::vector<int32_t> starts(129), keys(count);
  for (int32_t key = 0; key < count; key++) starts[GroupOf(key) + 1]++;
  for (int group = 0; group < 128; group++) starts[group + 1] += starts[group];
  for (int32_t key = 0; key < count; key++) keys[starts[GroupOf(key)]++] = key;
  return keys;
}

// Little-endian 32-bit numbers.
inline std::vector<int32_t> NumbersIn(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<int32_t> numbers(static_cast<size_t>(file.tellg()) / 4);
  file.seekg(0);
  file.read(reinterpret_cast<char*>(numbers.data()), static_cast<std::streamsize>(numbers.size() * 4));
  return numbers;
}

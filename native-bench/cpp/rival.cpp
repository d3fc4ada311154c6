// RocksDB or LevelDB as a child process: rival ENGINE. Answers lines of JSON with lines of JSON; see
// native-bench/README.md. Requests are flat objects of strings, numbers and booleans.
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>

#include "engines.h"
#include "inputs.h"

namespace {

using Clock = std::chrono::steady_clock;

double MillisSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A flat object of JSON; escapes but \" and \\ do not come.
class Request {
 public:
  explicit Request(const std::string& line) {
    size_t at = 0;
    while ((at = line.find('"', at)) != std::string::npos) {
      const std::string name = Quoted(line, &at);
      at = line.find(':', at);
      if (at == std::string::npos) throw std::runtime_error("not an object");
      at++;
      if (line[at] == '"') {
        fields_[name] = Quoted(line, &at);
        continue;
      }
      const size_t end = line.find_first_of(",}", at);
      fields_[name] = line.substr(at, end - at);
      at = end;
    }
  }

  const std::string& Text(const std::string& name) const {
    const auto found = fields_.find(name);
    if (found == fields_.end()) throw std::runtime_error("no field " + name);
    return found->second;
  }

  double Number(const std::string& name) const { return std::stod(Text(name)); }

 private:
  static std::string Quoted(const std::string& line, size_t* at) {
    std::string text;
    for ((*at)++; *at < line.size() && line[*at] != '"'; (*at)++) {
      if (line[*at] == '\\') (*at)++;
      text += line[*at];
    }
    (*at)++;
    return text;
  }

  std::map<std::string, std::string> fields_;
};

std::string Timing(int64_t ops, double millis) {
  char text[96];
  std::snprintf(text, sizeof text, "{\"ops\":%lld,\"millis\":%.4f}", static_cast<long long>(ops), millis);
  return text;
}

class Subject {
 public:
  virtual ~Subject() = default;
  virtual std::string Call(const std::string& op, const Request& request) = 0;
};

// Rows of incompressible bytes, most of them not in memory.
class Rows : public Subject {
 public:
  Rows(std::unique_ptr<Engine> engine, const Request& request)
      : engine_(std::move(engine)),
        keys_(static_cast<int32_t>(request.Number("keys"))),
        value_(static_cast<size_t>(request.Number("valueBytes")), '\0') {}

  std::string Call(const std::string& op, const Request& request) override {
    if (op == "load") return Load();
    if (op == "draws") {
      draws_ = NumbersIn(request.Text("path"));
      next_ = 0;
      return "null";
    }
    if (op == "readModifyWrite") return ReadModifyWrite(static_cast<int64_t>(request.Number("calls")));
    if (op == "checksum") return Checksum(static_cast<int32_t>(request.Number("every")));
    throw std::runtime_error("no op " + op);
  }

 private:
  std::string Load() {
    for (const int32_t key : KeysByGroup(keys_)) {
      FillBytes(&value_, key, 0);
      engine_->Put(RowKey(key), value_);
    }
    return "null";
  }

  // The first four bytes count.
  std::string ReadModifyWrite(int64_t calls) {
    const Clock::time_point start = Clock::now();
    for (int64_t call = 0; call < calls; call++) {
      const std::string key = RowKey(draws_[next_]);
      if (++next_ == draws_.size()) next_ = 0;
      if (!engine_->Get(key, &value_)) throw std::runtime_error("a row is lost");
      for (int i = 3; i >= 0; i--) {
        if (++value_[i] != 0) break;
      }
      engine_->Put(key, value_);
    }
    return Timing(calls, MillisSince(start));
  }

  std::string Checksum(int32_t every) {
    uint32_t folded = 0;
    for (int32_t key = 0; key < keys_; key += every) {
      const bool is_there = engine_->Get(RowKey(key), &value_);
      for (const char byte : value_) folded = Fold(folded, is_there ? static_cast<uint8_t>(byte) : -1.5);
    }
    return std::to_string(static_cast<int32_t>(folded));
  }

  std::unique_ptr<Engine> engine_;
  int32_t keys_;
  std::string value_;
  std::vector<int32_t> draws_;
  size_t next_ = 0;
};

// Value operations on numbers: valueGet, valueUpdate, valueRmw500k, valueRmw10k.
class Values : public Subject {
 public:
  Values(std::unique_ptr<Engine> engine, const Request& request)
      : engine_(std::move(engine)),
        operation_(request.Text("operation")),
        order_(OrderOf(static_cast<int32_t>(request.Number("keys")))),
        values_(Shuffled(1000000, 0, 44)) {
    for (size_t key = 0; key < order_.size(); key++) Put(key, operation_ == "valueGet" ? key : 0);
  }

  std::string Call(const std::string& op, const Request& request) override {
    if (op == "runTo") {
      while (next_ < static_cast<int64_t>(request.Number("calls"))) Step();
      return std::to_string(next_);
    }
    if (op == "repetition") return Repetition(request.Number("millis"));
    if (op == "checksum") {
      return Checksum(static_cast<size_t>(request.Number("keys")), request.Number("base"));
    }
    throw std::runtime_error("no op " + op);
  }

 private:
  static constexpr int kRunCalls = 2000;

  static std::vector<int32_t> OrderOf(int32_t keys) { return Shuffled(keys, 0, keys == 10000 ? 45 : 42); }

  double Get(int32_t key) {
    if (!engine_->Get(RowKey(key), &value_)) throw std::runtime_error("a row is lost");
    return DoubleOf(value_);
  }

  void Put(int32_t key, double number) { engine_->Put(RowKey(key), DoubleBytes(number)); }

  void Step() {
    for (int64_t i = next_; i < next_ + kRunCalls; i++) {
      const int32_t key = order_[static_cast<size_t>(i) % order_.size()];
      if (operation_ == "valueGet") {
        sum_ += Get(key);
      } else if (operation_ == "valueUpdate") {
        Put(key, values_[static_cast<size_t>(i) % values_.size()]);
      } else {
        Put(key, Get(key) + 1);
      }
    }
    next_ += kRunCalls;
  }

  std::string Repetition(double millis) {
    const int64_t first = next_;
    const Clock::time_point start = Clock::now();
    double elapsed = 0;
    while (elapsed < millis) {
      Step();
      elapsed = MillisSince(start);
    }
    return Timing(next_ - first, elapsed);
  }

  std::string Checksum(size_t keys, double base) {
    uint32_t state = 0;
    for (size_t i = 0; i < std::min(keys, order_.size()); i++) state = Fold(state, Get(order_[i]) - base);
    char text[96];
    std::snprintf(text, sizeof text, "{\"state\":%d,\"sum\":%.17g}", static_cast<int32_t>(state), sum_);
    return text;
  }

  std::unique_ptr<Engine> engine_;
  std::string operation_;
  std::vector<int32_t> order_;
  std::vector<int32_t> values_;
  std::string value_;
  int64_t next_ = 0;
  double sum_ = 0;
};

std::unique_ptr<Engine> OpenEngine(const std::string& name, const Request& request) {
  const std::string path = request.Text("directory") + "/" + name;
  const size_t managed_bytes = static_cast<size_t>(request.Number("managedBytes"));
  if (name == "rocksdb") return std::make_unique<RocksEngine>(path, managed_bytes);
  if (name == "leveldb") return std::make_unique<LevelEngine>(path, managed_bytes);
  throw std::runtime_error("no engine " + name);
}

std::string Quote(const std::string& text) {
  std::string quoted = "\"";
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') quoted += '\\';
    quoted += byte < ' ' && byte >= 0 ? ' ' : byte;
  }
  return quoted + '"';
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::cerr << "usage: rival ENGINE\n";
    return 2;
  }
  std::unique_ptr<Subject> subject;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::string answer;
    try {
      const Request request(line);
      const std::string& op = request.Text("op");
      std::string value = "null";
      if (op == "open") {
        subject.reset();
        std::unique_ptr<Engine> engine = OpenEngine(arguments[1], request);
        if (request.Text("subject") == "rows") {
          subject = std::make_unique<Rows>(std::move(engine), request);
        } else {
          subject = std::make_unique<Values>(std::move(engine), request);
        }
      } else if (subject == nullptr) {
        throw std::runtime_error("nothing was assigned yet");
      } else {
        value = subject->Call(op, request);
      }
      answer = "{\"value\":" + value + "}";
    } catch (const std::exception& error) {
      answer = "{\"error\":" + Quote(error.what()) + "}";
    }
    std::cout << answer << std::endl;
  }
  return 0;
}

// RocksDB and LevelDB behind one face. No write is synced; RocksDB writes no log, as under Flink, whose
// checkpoints are its durability.
#pragma once

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/table.h>

#include <memory>
#include <stdexcept>
#include <string>

class Engine {
 public:
  virtual ~Engine() = default;
  virtual bool Get(const std::string& key, std::string* value) = 0;
  virtual void Put(const std::string& key, const std::string& value) = 0;
};

template <typename Status>
void Require(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

// The whole budget: two write buffers of an eighth each, and the rest as block cache.
class RocksEngine : public Engine {
 public:
  RocksEngine(const std::string& path, size_t managed_bytes) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = managed_bytes / 8;
    options.max_background_jobs = 2;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(managed_bytes - 2 * options.write_buffer_size);
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* opened = nullptr;
    Require(rocksdb::DB::Open(options, path, &opened));
    database_.reset(opened);
    write_.disableWAL = true;
  }

  bool Get(const std::string& key, std::string* value) override {
    const rocksdb::Status status = database_->Get(rocksdb::ReadOptions(), key, value);
    if (status.IsNotFound()) return false;
    Require(status);
    return true;
  }

  void Put(const std::string& key, const std::string& value) override {
    Require(database_->Put(write_, key, value));
  }

 private:
  std::unique_ptr<rocksdb::DB> database_;
  rocksdb::WriteOptions write_;
};

class LevelEngine : public Engine {
 public:
  LevelEngine(const std::string& path, size_t managed_bytes) {
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = managed_bytes / 8;
    options.max_file_size = 8 << 20;
    options.max_open_files = 10000;
    cache_.reset(leveldb::NewLRUCache(managed_bytes - 2 * options.write_buffer_size));
    options.block_cache = cache_.get();
    leveldb::DB* opened = nullptr;
    Require(leveldb::DB::Open(options, path, &opened));
    database_.reset(opened);
  }

  bool Get(const std::string& key, std::string* value) override {
    const leveldb::Status status = database_->Get(leveldb::ReadOptions(), key, value);
    if (status.IsNotFound()) return false;
    Require(status);
    return true;
  }

  void Put(const std::string& key, const std::string& value) override {
    Require(database_->Put(leveldb::WriteOptions(), key, value));
  }

 private:
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<leveldb::DB> database_;
};

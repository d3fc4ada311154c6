// Four engines behind one face: get, and put of which a thousand make a batch or a transaction. What was put
// and is not written yet is read from the batch.
import { join } from "node:path";

const batchCalls = 1000;
const pieceOfBudget = 8;

class Batched {
  pending = new Map();

  get(key) {
    return this.pending.get(keyText(key)) ?? this.read(key);
  }

  /** A promise where the engine has to be waited for. */
  put(key, value) {
    this.pending.set(keyText(key), value);
    return this.pending.size >= batchCalls ? this.flush() : undefined;
  }

  flush() {
    if (this.pending.size === 0) return undefined;
    const written = this.write([...this.pending.entries()]);
    this.pending = new Map();
    return written;
  }
}

function keyText(key) {
  return key.latin1Slice(0, key.length);
}

function keyBytes(text) {
  return Buffer.from(text, "latin1");
}

class Level extends Batched {
  constructor(database) {
    super();
    this.database = database;
  }

  read(key) {
    return this.database.getSync(key);
  }

  write(entries) {
    const batch = this.database.batch();
    for (const [text, value] of entries) batch.put(keyBytes(text), value);
    return batch.write();
  }

  close() {
    return this.database.close();
  }
}

/** The whole budget: two write buffers, and the rest as block cache. */
async function openLevel(Constructor, location, managedBytes) {
  const writeBufferSize = Math.floor(managedBytes / pieceOfBudget);
  const database = new Constructor(location, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    writeBufferSize,
    cacheSize: managedBytes - 2 * writeBufferSize,
    maxFileSize: 8 * 1_048_576,
    maxOpenFiles: 10_000,
  });
  await database.open();
  return new Level(database);
}

class Lmdb extends Batched {
  constructor(database) {
    super();
    this.database = database;
  }

  read(key) {
    return this.database.getBinary(key);
  }

  write(entries) {
    this.database.transactionSync(() => {
      for (const [text, value] of entries) this.database.putSync(keyBytes(text), value);
    });
  }

  close() {
    return this.database.close();
  }
}

class Sqlite extends Batched {
  constructor(database) {
    super();
    this.database = database;
    database.exec(
      "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID",
    );
    this.select = database.prepare("SELECT value FROM rows WHERE key = ?").pluck();
    this.replace = database.prepare(
      "INSERT INTO rows VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    );
    this.writeAll = database.transaction((entries) => {
      for (const [text, value] of entries) this.replace.run(keyBytes(text), value);
    });
  }

  read(key) {
    return this.select.get(key);
  }

  write(entries) {
    this.writeAll(entries);
  }

  close() {
    this.database.close();
  }
}

/** Without durability for each batch: none of the others syncs either. */
export async function openEngine(name, { directory, managedBytes }) {
  const location = join(directory, name);
  switch (name) {
    case "classic-level":
      return openLevel((await import("classic-level")).ClassicLevel, location, managedBytes);
    case "level":
      return openLevel((await import("level")).Level, location, managedBytes);
    case "memory-level": {
      const { MemoryLevel } = await import("memory-level");
      const database = new MemoryLevel({ keyEncoding: "buffer", valueEncoding: "buffer" });
      await database.open();
      return new Level(database);
    }
    case "lmdb": {
      const { open } = await import("lmdb");
      const options = { encoding: "binary", keyEncoding: "binary", noSync: true };
      return new Lmdb(open({ path: location, ...options }));
    }
    case "better-sqlite3": {
      const { default: Database } = await import("better-sqlite3");
      const database = new Database(location);
      database.pragma("journal_mode = WAL");
      database.pragma("synchronous = OFF");
      database.pragma(`cache_size = -${Math.floor(managedBytes / 1024)}`);
      return new Sqlite(database);
    }
    default:
      throw new Error(`no engine ${name}`);
  }
}

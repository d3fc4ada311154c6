import assert from "node:assert/strict";
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, describe, test } from "vitest";
import {
  type CheckpointPolicy,
  type CheckpointStorage,
  type FileSystem,
  type KeyedStateBackend,
  type ProtectionKey,
  type ProtectionOptions,
  fileSystemStorage,
  openKeyedStateBackend,
  openStateHost,
  protectedStorage,
  utf8,
} from "../../../src/index.ts";
import { memoryEnvironment } from "../../../src/testing/index.ts";
import { environmentWith } from "../../support/other-environments.ts";
import { storageWith } from "../../support/other-storages.ts";
import { storageContract } from "../../support/storage-contract.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const planted = "planted-secret-0123456789-abcdef"; // 32 bytes.
const key: ProtectionKey = { id: "2026", key: new Uint8Array(Buffer.from(planted)) };
const newer: ProtectionKey = { id: "2027", key: new Uint8Array(32).fill(7) };
const modes = ["authenticate", "encrypt"] as const;

function storageIn(
  directory: string,
  mode: ProtectionOptions["mode"],
  keys: readonly ProtectionKey[] = [key],
): CheckpointStorage {
  return protectedStorage(fileSystemStorage(join(directory, "checkpoints")), { mode, keys });
}

/** One for all tests: a host starts threads. */
const host = await openStateHost({ memoryBudgetBytes: 32 * 1_048_576, workers: 1 });
afterAll(() => host.close());

function open(
  directory: string,
  checkpointStorage: CheckpointStorage,
  policy: CheckpointPolicy = "incremental",
  restore: string = "latest-or-new",
): Promise<KeyedStateBackend> {
  return openKeyedStateBackend({
    workingDirectory: join(directory, "working"),
    checkpointStorage,
    restore,
    policy,
    host,
  });
}

function write(backend: KeyedStateBackend, value: string): void {
  const state = backend.valueState({ name: "words", value: utf8 });
  for (let word = 0; word < 200; word++)
    backend.withKey(word, () => state.update(`${value} ${word}`));
}

function read(backend: KeyedStateBackend, word: number): string | undefined {
  const state = backend.valueState({ name: "words", value: utf8 });
  return backend.withKey(word, () => state.value());
}

/** Everything that an error, or what caused it, says. */
async function refusal(opening: Promise<unknown>): Promise<string> {
  try {
    await opening;
  } catch (error) {
    assert.match((error as { code: string }).code, /^VARVE_/u);
    return `${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)}`;
  }
  assert.fail("it was not refused");
}

for (const mode of modes) {
  describe(`a protected storage, ${mode}`, () => {
    test("does what a storage does", async () => {
      const directory = temporaryDirectory();
      const local = temporaryDirectory();
      await storageContract(storageIn(directory, mode), local);
    });

    for (const policy of ["incremental", "changelog"] as const) {
      test(`restores what policy ${policy} stored, also with a newer key beside`, async () => {
        const directory = temporaryDirectory();
        const first = await open(directory, storageIn(directory, mode), policy);
        write(first, "one");
        await first.checkpoint();
        write(first, "two");
        await first.checkpoint();
        await first.close();
        const both = storageIn(directory, mode, [newer, key]);
        const second = await open(directory, both, policy, "latest");
        assert.equal(read(second, 7), "two 7");
        write(second, "three");
        await second.checkpoint();
        await second.close();
        const third = await open(directory, both, policy, "latest");
        assert.equal(read(third, 199), "three 199");
        await third.close();
      });
    }

    test("restores a savepoint, which has the same protection, by its path", async () => {
      const directory = temporaryDirectory();
      const savepoint = join(directory, "savepoint");
      const first = await open(directory, storageIn(directory, mode));
      write(first, "saved");
      await first.savepoint(savepoint);
      await first.close();
      const elsewhere = temporaryDirectory();
      const second = await open(elsewhere, storageIn(elsewhere, mode), "incremental", savepoint);
      assert.equal(read(second, 3), "saved 3");
      await second.close();
      const plain = fileSystemStorage(join(elsewhere, "plain"));
      await refusal(open(elsewhere, plain, "incremental", savepoint));
    });

    test("refuses metadata that was made without the key, or under another number", async () => {
      const directory = temporaryDirectory();
      const plainDirectory = temporaryDirectory();
      for (const [place, storage] of [
        [directory, storageIn(directory, mode)],
        [plainDirectory, fileSystemStorage(join(plainDirectory, "checkpoints"))],
      ] as const) {
        const backend = await open(place, storage);
        write(backend, "good");
        await backend.checkpoint();
        write(backend, "better");
        await backend.checkpoint();
        await backend.close();
      }
      const metadata = (of: string): string => join(of, "checkpoints", "metadata");
      const newest = readdirSync(metadata(directory)).toSorted().at(-1)!;
      const path = join(metadata(directory), newest);
      const genuine = readFileSync(path);
      copyFileSync(join(metadata(plainDirectory), newest), path);
      const latest = (): Promise<unknown> =>
        open(directory, storageIn(directory, mode), "incremental", "latest");
      assert.match(await refusal(latest()), /VARVE_CORRUPTION/u);
      writeFileSync(path, genuine);
      const next = String(Number(newest) + 1).padStart(newest.length, "0");
      writeFileSync(join(metadata(directory), next), genuine);
      assert.match(await refusal(latest()), /VARVE_CORRUPTION/u);
    });

    test("refuses another key, and shows none anywhere", async () => {
      const directory = temporaryDirectory();
      const storage = storageIn(directory, mode);
      const backend = await open(directory, storage);
      write(backend, "secret");
      await backend.checkpoint();
      const shown = [inspect(storage, { depth: 10, showHidden: true }), JSON.stringify(storage)];
      shown.push(inspect(backend, { depth: 10 }), storage.description);
      await backend.close();
      const wrong = { id: key.id, key: new Uint8Array(Buffer.from(planted)).fill(9, 31) };
      for (const keys of [[wrong], [newer]]) {
        const opening = open(directory, storageIn(directory, mode, keys), "incremental", "latest");
        shown.push(await refusal(opening));
      }
      const forms = [
        planted,
        ...(["hex", "base64"] as const).map((as) => Buffer.from(planted).toString(as)),
      ];
      const decimal = Buffer.from(planted.slice(0, 8)).join(", ");
      for (const text of shown) {
        for (const form of [...forms, decimal]) assert.ok(!text.includes(form));
      }
    });

    test("refuses keys that are none before it does anything", () => {
      const inner = fileSystemStorage(join(temporaryDirectory(), "none"));
      const short = { id: "k", key: new Uint8Array(Buffer.from(planted)).subarray(1) };
      for (const keys of [[], [short], [key, key], [{ id: "K!", key: key.key }]]) {
        assert.throws(
          () => protectedStorage(inner, { mode, keys }),
          (error: Error) => {
            assert.equal((error as Error & { code: string }).code, "VARVE_INVALID_ARGUMENT");
            return !error.message.includes(planted.slice(1));
          },
        );
      }
    });
  });
}

/** An inner storage of files in memory, with an object of several chunks in the protected one. */
async function encryptedInMemory(bytes: number) {
  const environment = memoryEnvironment();
  const { fileSystem } = environment;
  await fileSystem.makeDirectory("/local");
  const content = Uint8Array.from({ length: bytes }, (_none, at) => (at * 31) >>> 5);
  await writeFile(fileSystem, "/local/file", content);
  const inner = fileSystemStorage("/store", { transfer: "copy" }, environment);
  const storage = protectedStorage(inner, { mode: "encrypt", keys: [key] }, environment);
  await storage.open();
  return { environment, fileSystem, inner, storage, content };
}

async function writeFile(fileSystem: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const file = await fileSystem.create(path);
  await file.write(bytes);
  await file.close();
}

describe("an encrypted object of several chunks", () => {
  const chunk = 65_536;

  test("is read in any range", async () => {
    const { storage, content } = await encryptedInMemory(2 * chunk + 100);
    await storage.putFile("files/a", "/local/file");
    assert.equal(await storage.size("files/a"), content.length);
    const ends = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, content.length, content.length + 9];
    for (const start of ends) {
      for (const end of ends.filter((one) => one >= start)) {
        const read = await storage.readRange("files/a", start, end - start);
        assert.deepEqual(read, content.slice(start, end), `${start} to ${end}`);
      }
    }
    assert.equal(await storage.readRange("files/b", 0, 1), undefined);
  });

  test("that is deleted while a range of it is read is not there", async () => {
    const { environment, inner, storage: put } = await encryptedInMemory(2 * chunk);
    await put.putFile("files/a", "/local/file");
    let reads = 0;
    const vanishing = storageWith(inner, {
      readRange: async (name, offset, length) =>
        ++reads === 1 ? inner.readRange(name, offset, length) : undefined,
    });
    const storage = protectedStorage(vanishing, { mode: "encrypt", keys: [key] }, environment);
    assert.equal(await storage.readRange("files/a", 0, 10), undefined);
    assert.equal(reads, 2);
  });

  test("comes back as a file, and nothing stays beside it, also after a failure", async () => {
    const { fileSystem, inner, storage, content } = await encryptedInMemory(2 * chunk);
    await storage.putFile("files/a", "/local/file");
    await storage.fetchFile("files/a", "/local/back");
    assert.deepEqual(await fileSystem.readFile("/local/back"), content);
    const stored = (await inner.read("files/a", 4 * chunk))!;
    stored[stored.length - 1]! ^= 1;
    await inner.putBytes("files/damaged", stored);
    const fetched = storage.fetchFile("files/damaged", "/local/damaged");
    await assert.rejects(fetched, { code: "VARVE_CORRUPTION" });
    const names = await fileSystem.readDirectory("/local");
    assert.deepEqual(
      names.filter((name) => name.endsWith(".sealed")),
      [],
    );
  });

  test("of a file that becomes shorter while it is stored is refused", async () => {
    const { environment, fileSystem, inner } = await encryptedInMemory(2 * chunk);
    const shrinking = environmentWith(environment, {
      open: async (path) => {
        const file = await fileSystem.open(path);
        const read = async (offset: number) => file.read(offset, 100);
        return { path, sizeBytes: file.sizeBytes, read, close: () => file.close() };
      },
    });
    const storage = protectedStorage(inner, { mode: "encrypt", keys: [key] }, shrinking);
    await assert.rejects(storage.putFile("files/a", "/local/file"), {
      code: "VARVE_STORAGE",
      message: /became shorter/u,
    });
    assert.equal(await inner.size("files/a"), undefined);
  });

  test("is given up when its signal says so, with the reason that it was given", async () => {
    const { storage, fileSystem } = await encryptedInMemory(3 * chunk);
    await storage.putFile("files/a", "/local/file");
    const reason = new Error("enough");
    const signal = abortedAfter(3, reason);
    const isReason = (error: unknown): boolean => error === reason;
    await assert.rejects(storage.putFile("files/b", "/local/file", { signal: signal() }), isReason);
    const fetched = storage.fetchFile("files/a", "/local/back", { signal: signal() });
    await assert.rejects(fetched, isReason);
    const names = await fileSystem.readDirectory("/local");
    assert.deepEqual(
      names.filter((name) => name.endsWith(".sealed")),
      [],
    );
  });
});

/** Makes signals that are aborted once they were looked at so often. */
function abortedAfter(looks: number, reason: Error): () => AbortSignal {
  return () => {
    const controller = new AbortController();
    const { signal } = controller;
    let left = looks;
    signal.throwIfAborted = () => {
      if (left-- > 0) return;
      controller.abort(reason);
      throw reason;
    };
    return signal;
  };
}

describe("an authenticated storage", () => {
  test("puts and fetches as files only what is below files/", async () => {
    const inner = fileSystemStorage("/store", {}, memoryEnvironment());
    const storage = protectedStorage(inner, { mode: "authenticate", keys: [key] });
    for (const call of ["putFile", "fetchFile"] as const) {
      const refused = async (): Promise<void> => storage[call]("metadata/1", "/local/file");
      await assert.rejects(refused, { code: "VARVE_INVALID_ARGUMENT" });
    }
  });

  test("says of what is shorter than a MAC that it has no bytes, and refuses to read it", async () => {
    const inner = fileSystemStorage("/store", {}, memoryEnvironment());
    await inner.open();
    await inner.replace("latest", new Uint8Array(5));
    const storage = protectedStorage(inner, { mode: "authenticate", keys: [key] });
    assert.equal(await storage.size("latest"), 0);
    assert.equal(await storage.size("metadata/1"), undefined);
    await assert.rejects(storage.readRange("latest", 0, 8), { code: "VARVE_CORRUPTION" });
    assert.equal(await storage.readRange("metadata/1", 0, 8), undefined);
  });

  test("can do no more than the one that it is over", () => {
    const calls = ["pathForAppending", "canLink", "removeUnfinished", "locate", "resolvePath"];
    const whole = fileSystemStorage("/store", {}, memoryEnvironment());
    const bare = Object.fromEntries(
      ["description", "open", "read", "readRange", "size", "list", "delete", "stats"].map(
        (name) => [name, Reflect.get(whole, name) as unknown],
      ),
    ) as unknown as CheckpointStorage;
    for (const mode of modes) {
      const over = (storage: CheckpointStorage): CheckpointStorage =>
        protectedStorage(storage, { mode, keys: [key] });
      for (const call of calls) {
        assert.equal(Reflect.get(over(bare), call), undefined, call);
        const isKept = mode === "authenticate" || !["pathForAppending", "canLink"].includes(call);
        assert.equal(
          typeof Reflect.get(over(whole), call),
          isKept ? "function" : "undefined",
          call,
        );
      }
    }
  });
});

test("an encrypted storage holds nothing of what the job wrote", async () => {
  const directory = temporaryDirectory();
  const backend = await open(directory, storageIn(directory, "encrypt"), "changelog");
  write(backend, "plaintext");
  await backend.checkpoint();
  write(backend, "plaintext again");
  await backend.checkpoint();
  await backend.close();
  const root = join(directory, "checkpoints");
  let files = 0;
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files++;
    const bytes = readFileSync(join(entry.parentPath, entry.name));
    assert.equal(bytes.toString("latin1", 0, 8), "VARVEENC", entry.name);
    for (const word of ["plaintext", "words", "policy"]) {
      assert.ok(!bytes.includes(word), `${entry.name} shows "${word}"`);
    }
  }
  assert.ok(files > 3);
});

test("protection of an unknown mode or with an unknown option is refused by name", () => {
  const inner = fileSystemStorage(join(temporaryDirectory(), "none"));
  const wrong = { mode: "sign", keys: [key] } as unknown as ProtectionOptions;
  assert.throws(() => protectedStorage(inner, wrong), /sign/u);
  const extra = { mode: "encrypt", keys: [key], cipher: "x" } as unknown as ProtectionOptions;
  assert.throws(() => protectedStorage(inner, extra), /cipher/u);
});

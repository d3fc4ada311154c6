// The planted bugs. Each is a mistake that somebody could make, and has made elsewhere.
import type { Mutant } from "./patch.ts";

type Rest = readonly [part: string, seed?: number, seeds?: number];

function mutant(name: string, file: string, find: string, replace: string, ...rest: Rest): Mutant {
  const [part, seed = 1, seeds = 1] = rest;
  return { name, file: `src/${file}`, find, replace, part, seed, seeds };
}

/** What decoders let pass. */
const decoding: readonly Mutant[] = [
  mutant(
    "metadata-of-two-spellings",
    "format/metadata.ts",
    "if (canonicalJson(metadata) !== text) {",
    "if (canonicalJson(metadata).length === 0) {",
    "fuzz",
  ),
  mutant(
    "bigint-keys-of-two-spellings",
    "format/key-codec.ts",
    "if (digits[0] === (isNegative ? 0xff : 0)) throw cut(cursor.offset);",
    "",
    "fuzz",
  ),
  mutant(
    "number-keys-of-two-spellings",
    "format/key-codec.ts",
    "if (Number.isNaN(key) || Object.is(key, -0)) throw cut(cursor.offset);",
    "",
    "fuzz",
  ),
  mutant(
    "a-skipped-key-is-too-long",
    "format/key-codec.ts",
    "(lead < 128 ? 127 - lead : lead - 128)",
    "(lead < 128 ? 128 - lead : lead - 128)",
    "fuzz",
  ),
  mutant(
    "list-row-of-any-length",
    "format/list-row.ts",
    "if (row.length < LIST_PACKED_HEADER_BYTES) throw cut();",
    "",
    "fuzz",
  ),
  mutant(
    "text-that-is-not-utf8",
    "state/byte-source.ts",
    "this._requireUtf8(start, start + length);",
    "text.trim();",
    "fuzz",
  ),
  mutant(
    "numbers-of-a-list-of-two-spellings",
    "format/file-list.ts",
    "if (value > max || !isShortest)",
    "if (value > max)",
    "fuzz",
  ),
  mutant(
    "array-allocated-by-claim",
    "state/serializer-combinators.ts",
    "if (count > (element.fixedBytes === 0 ? EMPTY_ELEMENTS_MAX : source.remaining)) {",
    "if (count > 5_000_000) {",
    "fuzz",
    1,
    4,
  ),
  mutant(
    "object-names-with-two-dots",
    "checkpoint/object-name.ts",
    "if (!isOther && !(isDot && !isSegmentStart)) return false;",
    "if (!isOther && !isDot) return false;",
    "fuzz",
  ),
];

/** What is served without having been looked at. */
const verifying: readonly Mutant[] = [
  mutant(
    "hash-of-files-not-compared",
    "workers/file-tasks.ts",
    "if (sha256 !== request.sha256) {",
    "if (sha256.length !== request.sha256.length) {",
    "bitflip",
    1,
    3,
  ),
  mutant(
    "mismatch-behind-is-swallowed",
    "backend/background-verification.ts",
    "throw status.isOpen ? status.poison(cause) : cause;",
    "void cause;",
    "bitflip",
    1,
    8,
  ),
];

/** What is not durable when it is said to be. */
const syncing: readonly Mutant[] = [
  mutant(
    "metadata-not-synced",
    "checkpoint/whole-files.ts",
    "await writeSynced(this.#fileSystem, temporary, bytes);\n      await this.#fileSystem.link(temporary, path);",
    "await this.#fileSystem.create(temporary).then(async (file) => {\n        await file.write(bytes);\n        await file.close();\n      });\n      await this.#fileSystem.link(temporary, path);",
    "crash-states",
    1,
    2,
  ),
  mutant(
    "bytes-not-synced",
    "environment/write-synced.ts",
    "await file.sync();",
    "",
    "io-errors",
    4,
  ),
  mutant(
    "directory-not-synced",
    "checkpoint/directory-syncs.ts",
    "await this.#fileSystem.syncDirectory(path);",
    "",
    "io-errors",
    4,
  ),
  mutant(
    "name-not-synced",
    "checkpoint/whole-files.ts",
    "await this.#fileSystem.syncDirectory(dirname(path));",
    "",
    "io-errors",
    4,
  ),
  mutant(
    "uploaded-file-not-synced",
    "checkpoint/file-system-storage.ts",
    "await this.#fileSystem.syncFile(path);",
    "",
    "io-errors",
    4,
  ),
  mutant(
    "segment-not-synced",
    "changelog/segment-writer.ts",
    "async () => this.#file?.syncData()",
    "async () => undefined",
    "power-cut",
    4,
    2,
  ),
];

/** What is deleted, or left, or mistaken for another checkpoint. */
const lifeCycle: readonly Mutant[] = [
  mutant(
    "retains-one-less",
    "checkpoint/checkpoint-store.ts",
    "number - this.#options.retainedCheckpoints + 1",
    "number - this.#options.retainedCheckpoints + 2",
    "io-errors",
    4,
  ),
  mutant(
    "files-in-use-are-freed",
    "coordinator/shared-state-registry.ts",
    "if (isUsed) return; // R1",
    "",
    "sim",
    1,
    4,
  ),
  mutant(
    "files-of-attempts-are-freed",
    "coordinator/shared-state-registry.ts",
    "this.#table.get(index, Field.pins) > 0;",
    "false;",
    "model",
  ),
  mutant(
    "pins-of-created-files-stay",
    "coordinator/shared-state-registry.ts",
    "this.#unpin(uses.created);",
    "",
    "sim",
    1,
    4,
  ),
  mutant(
    "visible-metadata-is-failure",
    "checkpoint/completion-sequence.ts",
    'if (isVisible !== true) return { outcome: "failed", isKnown, cause };',
    'return { outcome: "failed", isKnown: true, cause };',
    "sim",
    1,
    20,
  ),
  mutant(
    "overtaken-owner-goes-on",
    "checkpoint/completion-sequence.ts",
    "return newest === undefined || newest <= number ? undefined : newest;",
    "return undefined;",
    "sim",
    1,
    30,
  ),
  mutant(
    "pins-of-users-are-ignored",
    "checkpoint/pins.ts",
    "return (await storage.size(pinName(number))) !== undefined;",
    "return false;",
    "sim",
    1,
    20,
  ),
  mutant(
    "newest-is-what-the-hint-says",
    "checkpoint/checkpoint-reader.ts",
    "while (await this.exists(newest + 1)) newest++;",
    "",
    "sim",
    1,
    20,
  ),
  mutant(
    "leftovers-of-a-killed-owner-stay",
    "job/deletions.ts",
    "await this.#delete(leftovers.files);",
    "",
    "sim",
    1,
    20,
  ),
];

/** What is not in the state, or too much of it. */
const restoring: readonly Mutant[] = [
  mutant(
    "replay-forgets-deletions",
    "backend/log-replay.ts",
    "if (kind === ChangeKind.delete) this.#buffer.remove(row, false);",
    "if (kind === ChangeKind.delete) return;",
    "crash",
    1,
    6,
  ),
  mutant(
    "captured-without-its-drain",
    "backend/lsm-tier.ts",
    "void this.drains.request(boundary);",
    "void boundary;",
    "crash",
    1,
    3,
  ),
  mutant(
    "base-is-one-change-behind",
    "backend/materialization.ts",
    "changeNumber: changeNumberBase + boundary,",
    "changeNumber: changeNumberBase + boundary + 1,",
    "crash",
    1,
    30,
  ),
  mutant(
    "replay-loses-key-groups",
    "backend/log-replay.ts",
    "if (group < first || group > last) return;",
    "if (group < first + 40 || group > last) return;",
    "crash",
    1,
    6,
  ),
  mutant(
    "merged-without-later-batches",
    "workers/segment-tasks.ts",
    "parts.push(bytes.subarray(batch.offset, batch.end));",
    "if (parts.length < 3) parts.push(bytes.subarray(batch.offset, batch.end));",
    "crash",
    1,
    12,
  ),
  mutant(
    "clipped-one-key-group-too-late",
    "workers/table-clipper.ts",
    "({ key }) => !this.#isBeforeFirst(key) && this.#isBeforeEnd(key),",
    "({ key }) => !this.#isBeforeFirst(key),",
    "exactly-once",
    1,
    3,
  ),
];

/** What the options change and should not. */
const different: readonly Mutant[] = [
  mutant(
    "first-of-blind-appends-is-lost",
    "format/list-row.ts",
    "const fresh = appends.filter((append) => append.changeNumber > applied);",
    "const fresh = appends.filter((append) => append.changeNumber > applied).slice(1);",
    "model",
    1,
    2,
  ),
];

/** What is never given back. */
const leaking: readonly Mutant[] = [
  mutant(
    "captures-are-not-removed",
    "backend/lsm-tier.ts",
    "() => removeDirectory(this.#options.environment.fileSystem, directory),",
    "() => undefined,",
    "soak",
  ),
  mutant(
    "retired-files-are-not-deleted",
    "checkpoint/deletion-queue.ts",
    "if (batch.files.length > 0) await this.#storage.delete(batch.files);",
    "",
    "soak",
  ),
];

/** What LevelDB itself says. */
const failing: readonly Mutant[] = [
  mutant(
    "a-failed-batch-is-forgotten",
    "lsm/batch-writer.ts",
    "      this.#hasFailed = true;\n      throw cause;",
    "      void cause;",
    "io-errors",
    7, // And every seventh: those fail calls of LevelDB.
    29,
  ),
];

export const mutants: readonly Mutant[] = [
  ...decoding,
  ...verifying,
  ...syncing,
  ...lifeCycle,
  ...restoring,
  ...different,
  ...leaking,
  ...failing,
];

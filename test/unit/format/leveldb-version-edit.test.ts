import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CorruptionError } from "../../../src/errors.ts";
import {
  EntryType,
  compareInternalKeys,
  encodeInternalKey,
  entryTypeOf,
  sequenceOf,
  userKeyOf,
} from "../../../src/format/leveldb-internal-key.ts";
import {
  LEVELDB_COMPARATOR,
  decodeVersionEdit,
  encodeVersionEdit,
} from "../../../src/format/leveldb-version-edit.ts";
import type { VersionEdit } from "../../../src/format/leveldb-version-edit.ts";

const smallest = encodeInternalKey(Buffer.from("a"), 3, EntryType.value);
const largest = encodeInternalKey(Buffer.from("b"), 2, EntryType.deletion);

const edit: VersionEdit = {
  comparator: LEVELDB_COMPARATOR,
  logNumber: 0,
  prevLogNumber: 0,
  nextFile: 7,
  lastSequence: 300,
  compactPointers: [{ level: 1, key: smallest }],
  deletedFiles: [{ level: 2, number: 4 }],
  newFiles: [{ number: 6, level: 2, sizeBytes: 1000, smallest, largest }],
};

describe("an internal key", () => {
  test("keeps a sequence that exceeds 32 bits and one of 53 bits", () => {
    for (const sequence of [0, 1, 0xff_ffff, 0x100_0000, 2 ** 45 + 1, Number.MAX_SAFE_INTEGER]) {
      const key = encodeInternalKey(Buffer.from("key"), sequence, EntryType.value);
      assert.equal(sequenceOf(key), sequence);
      assert.equal(entryTypeOf(key), EntryType.value);
      assert.equal(Buffer.from(userKeyOf(key)).toString(), "key");
      const trailer = Buffer.from(key).readBigUInt64LE(3);
      assert.equal(trailer, (BigInt(sequence) << 8n) | 1n);
    }
  });

  test("is ordered by user key ascending, then newest first, then by type descending", () => {
    const key = (user: string, sequence: number, type: EntryType): Uint8Array =>
      encodeInternalKey(Buffer.from(user), sequence, type);
    const ordered = [
      key("a", 2 ** 40, EntryType.value),
      key("a", 2, EntryType.value),
      key("a", 2, EntryType.deletion),
      key("a", 1, EntryType.value),
      key("aa", 9, EntryType.value),
      key("b", 1, EntryType.value),
    ];
    for (const [left, a] of ordered.entries()) {
      for (const [right, b] of ordered.entries()) {
        assert.equal(Math.sign(compareInternalKeys(a, b)), Math.sign(left - right));
      }
    }
  });
});

describe("a version edit", () => {
  test("has the bytes that its page shows", () => {
    assert.equal(Buffer.from(encodeVersionEdit(edit)).toString("hex"), GOLDEN_EDIT);
  });

  test("decodes to what was encoded", () => {
    const bytes = encodeVersionEdit(edit);
    assert.deepEqual(decodeVersionEdit(bytes, "MANIFEST", bytes.length), edit);
    const empty = { compactPointers: [], deletedFiles: [], newFiles: [] };
    assert.deepEqual(decodeVersionEdit(new Uint8Array(0), "MANIFEST", 0), empty);
  });

  test("with an unknown or retired tag is corrupt", () => {
    for (const tag of [0, 8, 10, 127]) {
      assert.throws(() => decodeVersionEdit(Uint8Array.of(tag, 1), "MANIFEST", 100), {
        code: "VARVE_CORRUPTION",
        file: "MANIFEST",
        offsetBytes: 98,
      });
    }
  });

  test("that is cut anywhere but between fields is corrupt", () => {
    const bytes = encodeVersionEdit({ ...edit, compactPointers: [], deletedFiles: [] });
    const file = encodeVersionEdit({
      compactPointers: [],
      deletedFiles: [],
      newFiles: edit.newFiles,
    });
    for (let cut = bytes.length - file.length + 1; cut < bytes.length; cut++) {
      assert.throws(() => decodeVersionEdit(bytes.subarray(0, cut), "m", cut), CorruptionError);
    }
  });

  test("gives back a comparator of any bytes", () => {
    const bytes = Buffer.from("0104ff00c3bf", "hex");
    assert.deepEqual(Buffer.from(encodeVersionEdit(decodeVersionEdit(bytes, "m", 6))), bytes);
  });

  test("takes a last sequence of 2^53-1 and refuses a greater one", () => {
    const max = { ...edit, lastSequence: Number.MAX_SAFE_INTEGER };
    const bytes = encodeVersionEdit(max);
    assert.equal(decodeVersionEdit(bytes, "m", 0).lastSequence, Number.MAX_SAFE_INTEGER);
    const tooLarge = Uint8Array.of(4, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10);
    assert.throws(() => decodeVersionEdit(tooLarge, "m", 0), CorruptionError);
  });
});

/** docs/formats/leveldb-directory.md#version-edit */
const GOLDEN_EDIT =
  "011a6c6576656c64622e4279746577697365436f6d70617261746f7202000900030704ac02050109610103000000000000060204070206e8070961010300000000000009620002000000000000";

import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CorruptionError } from "../../../src/errors.ts";
import { validateFileSet } from "../../../src/format/leveldb-file-set.ts";
import type { FileSet, OwnedKeyGroups } from "../../../src/format/leveldb-file-set.ts";
import { EntryType, encodeInternalKey } from "../../../src/format/leveldb-internal-key.ts";
import type { LevelFile } from "../../../src/format/leveldb-version-edit.ts";

const bound = (group: number, key: number, sequence = 5): Uint8Array =>
  encodeInternalKey(Uint8Array.of(group >>> 8, group & 255, key), sequence, EntryType.value);

const file = (number: number, level: number, from: number, to: number): LevelFile => ({
  number,
  level,
  sizeBytes: 100,
  smallest: bound(1, from),
  largest: bound(1, to),
});

const set = (files: readonly LevelFile[], changes: Partial<FileSet> = {}): FileSet => ({
  files,
  lastSequence: 10,
  nextFile: 20,
  logNumber: 0,
  ...changes,
});

function assertRefused(broken: FileSet, rule: string, owned?: OwnedKeyGroups): void {
  assert.throws(
    () => validateFileSet(broken, "here", owned),
    (error: unknown) =>
      error instanceof CorruptionError && error.file === "here" && error.message.startsWith(rule),
    rule,
  );
}

describe("a set of SSTs", () => {
  test("that keeps every rule is accepted", () => {
    const files = [file(1, 0, 1, 9), file(2, 0, 5, 12), file(3, 1, 1, 4), file(4, 1, 5, 9)];
    validateFileSet(set(files), "here", { first: 1, last: 1 });
    validateFileSet(set([]), "here", { first: 0, last: 0 });
    validateFileSet(set([file(5, 6, 3, 3)]), "here");
  });

  test("is refused for each rule it breaks", () => {
    assertRefused(set([file(1, 0, 1, 2), file(1, 1, 3, 4)]), "V1");
    assertRefused(set([file(20, 0, 1, 2)]), "V2");
    assertRefused(set([file(1, 7, 1, 2)]), "V3");
    assertRefused(set([file(1, -1, 1, 2)]), "V3");
    assertRefused(set([{ ...file(1, 0, 1, 2), smallest: new Uint8Array(7) }]), "V3");
    const unknownType = bound(1, 1);
    unknownType[3] = 2;
    assertRefused(set([{ ...file(1, 0, 1, 2), smallest: unknownType }]), "V3");
    assertRefused(set([file(1, 1, 3, 2)]), "V4");
    const older = { ...file(1, 0, 3, 3), smallest: bound(1, 3, 2), largest: bound(1, 3, 4) };
    assertRefused(set([older]), "V4");
    assertRefused(set([], { logNumber: 20 }), "V6");
    assertRefused(set([file(1, 0, 1, 2)], { lastSequence: 4 }), "V7");
    assertRefused(set([], { lastSequence: -1 }), "the last sequence");
    assertRefused(set([], { nextFile: 2 ** 53 }), "the next file number");
    assertRefused(set([{ ...file(1, 0, 1, 2), sizeBytes: 0.5 }]), "a file size");
  });

  test("may overlap in level 0 only, in internal key order", () => {
    for (const level of [1, 2, 6]) {
      assertRefused(set([file(2, level, 4, 9), file(1, level, 1, 4)]), "V5");
    }
    // One user key at the seam: the newer entry ends the first file, the older begins the second.
    const first = { ...file(1, 1, 1, 4), largest: bound(1, 4, 9) };
    const second = { ...file(2, 1, 4, 8), smallest: bound(1, 4, 3) };
    validateFileSet(set([second, first]), "here");
    assertRefused(set([{ ...second, number: 3, smallest: bound(1, 4, 10) }, first]), "V5");
  });

  test("is refused if a bound lies outside the owned key groups", () => {
    const foreign = { ...file(1, 1, 1, 2), largest: bound(300, 0) };
    validateFileSet(set([foreign]), "here", { first: 1, last: 300 });
    assertRefused(set([foreign]), "V8", { first: 1, last: 299 });
    assertRefused(set([foreign]), "V8", { first: 2, last: 300 });
    const short = encodeInternalKey(Uint8Array.of(1), 1, EntryType.value);
    assertRefused(set([{ ...foreign, smallest: short, largest: short }]), "V8", {
      first: 0,
      last: 300,
    });
  });
});

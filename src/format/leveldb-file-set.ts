// The rules a set of SSTs must keep before LevelDB may open it. LevelDB has its asserts compiled in:
// a set that breaks V4, V5 or V6 ends the whole process, one that breaks V2 or V7 loses data.
// Page: docs/formats/leveldb-directory.md#rules.
//
//   V1. No number occurs twice.
//   V2. Every number is below nextFile: a file made later would truncate one of ours, and through
//       the shared inode of a hard link the checkpoint's bytes too.
//   V3. Levels are 0 to 6; bounds are internal keys of values or deletions.
//   V4. A file's smallest key is not after its largest.
//   V5. Files of one level do not overlap in internal key order, except in level 0.
//   V6. logNumber is below nextFile.
//   V7. No bound has a sequence above lastSequence: its entry would be invisible.
//   V8. If the owner's key groups are given, every bound lies in them. Bounds are real entries, so
//       then nothing foreign is in the set.
import { MIB } from "../common/units.ts";
import { CorruptionError } from "../errors.ts";
import {
  EntryType,
  INTERNAL_KEY_TRAILER_BYTES,
  compareInternalKeys,
  entryTypeOf,
  sequenceOf,
  userKeyOf,
} from "./leveldb-internal-key.ts";
import type { LevelFile } from "./leveldb-version-edit.ts";

export const LEVEL_MAX = 6;
/** Table bytes of level 1 above which LevelDB compacts it; ten times as many a level further. */
const LEVEL_1_BYTES: number = 10 * MIB;

/** The lowest level from 1 on that takes tables of so many bytes without a compaction. */
export function levelFor(totalBytes: number): number {
  let level = 1;
  for (let bytes = LEVEL_1_BYTES; bytes < totalBytes && level < LEVEL_MAX; bytes *= 10) level++;
  return level;
}

export interface FileSet {
  readonly files: readonly LevelFile[];
  readonly lastSequence: number;
  readonly nextFile: number;
  readonly logNumber: number;
}

/** Key groups, both ends inclusive. */
export interface OwnedKeyGroups {
  readonly first: number;
  readonly last: number;
}

/** CorruptionError naming `source` and the rule that the set breaks. */
export function validateFileSet(set: FileSet, source: string, owned?: OwnedKeyGroups): void {
  const refuse = (message: string): never => {
    throw new CorruptionError(message, source, 0);
  };
  const counter = (value: number, what: string): void => {
    if (!Number.isSafeInteger(value) || value < 0) refuse(`${what} is ${String(value)}`);
  };
  counter(set.lastSequence, "the last sequence");
  counter(set.nextFile, "the next file number");
  counter(set.logNumber, "the log number");
  if (set.logNumber >= set.nextFile) refuse("V6: the log number is not below the next file number");
  const numbers = new Set<number>();
  for (const file of set.files) {
    counter(file.number, "a file number");
    counter(file.sizeBytes, "a file size");
    if (numbers.has(file.number)) refuse(`V1: file ${file.number} occurs twice`);
    numbers.add(file.number);
    if (file.number >= set.nextFile) refuse(`V2: file ${file.number} is not below the next number`);
    const fault = faultOf(file, set.lastSequence, owned);
    if (fault !== undefined) refuse(`${fault} in file ${file.number}`);
  }
  for (let level = 1; level <= LEVEL_MAX; level++) {
    const files = set.files
      .filter((file) => file.level === level)
      .sort((left, right) => compareInternalKeys(left.smallest, right.smallest));
    for (let index = 1; index < files.length; index++) {
      const [before, after] = [files[index - 1]!, files[index]!];
      if (compareInternalKeys(before.largest, after.smallest) < 0) continue;
      refuse(`V5: files ${before.number} and ${after.number} of level ${level} overlap`);
    }
  }
}

function faultOf(
  file: LevelFile,
  lastSequence: number,
  owned: OwnedKeyGroups | undefined,
): string | undefined {
  if (!Number.isInteger(file.level) || file.level < 0 || file.level > LEVEL_MAX) {
    return `V3: level ${String(file.level)}`;
  }
  for (const bound of [file.smallest, file.largest]) {
    if (bound.length < INTERNAL_KEY_TRAILER_BYTES) return "V3: a bound is cut";
    if (entryTypeOf(bound) > EntryType.value) return "V3: a bound of an unknown type";
    if (sequenceOf(bound) > lastSequence) return "V7: a bound is newer than the last sequence";
    if (owned === undefined) continue;
    const userKey = userKeyOf(bound);
    if (userKey.length < 2) return "V8: a bound has no key group";
    const group = userKey[0]! * 256 + userKey[1]!;
    if (group < owned.first || group > owned.last) {
      return `V8: a bound of key group ${group}, outside ${owned.first} to ${owned.last},`;
    }
  }
  if (compareInternalKeys(file.smallest, file.largest) > 0) return "V4: bounds are reversed";
  return undefined;
}

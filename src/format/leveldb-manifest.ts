// MANIFEST: the version edits since an empty database, in order. Replaying it gives the live set.
// Page: docs/formats/leveldb-directory.md.
import { CorruptionError } from "../errors.ts";
import { readLog, writeLog } from "./leveldb-log.ts";
import type { LogPrefix } from "./leveldb-log.ts";
import {
  LEVELDB_COMPARATOR,
  decodeVersionEdit,
  encodeVersionEdit,
} from "./leveldb-version-edit.ts";
import type { LevelFile, VersionEdit } from "./leveldb-version-edit.ts";

/** What a MANIFEST says after some of its edits. */
export interface ManifestState {
  comparator: string | undefined;
  /** The oldest WAL that is not in SSTs. */
  logNumber: number | undefined;
  prevLogNumber: number;
  nextFile: number | undefined;
  lastSequence: number | undefined;
  readonly files: Map<number, LevelFile>;
}

/** A state in which everything that LevelDB demands is known. */
export interface LiveSet {
  readonly logNumber: number;
  readonly prevLogNumber: number;
  readonly nextFile: number;
  readonly lastSequence: number;
  readonly comparator: string;
  readonly files: ReadonlyMap<number, LevelFile>;
}

export function emptyManifestState(): ManifestState {
  return {
    comparator: undefined,
    logNumber: undefined,
    prevLogNumber: 0,
    nextFile: undefined,
    lastSequence: undefined,
    files: new Map(),
  };
}

/** Applies the whole records of `bytes`, which stand at `startOffset` of `file`. */
export function applyManifest(
  state: ManifestState,
  bytes: Uint8Array,
  startOffset: number,
  file: string,
): LogPrefix {
  const prefix = readLog(bytes, startOffset, file);
  for (const record of prefix.records) {
    applyEdit(state, decodeVersionEdit(record.bytes, file, record.endOffset));
  }
  return prefix;
}

function applyEdit(state: ManifestState, edit: VersionEdit): void {
  state.comparator = edit.comparator ?? state.comparator;
  state.logNumber = edit.logNumber ?? state.logNumber;
  state.prevLogNumber = edit.prevLogNumber ?? state.prevLogNumber;
  state.nextFile = edit.nextFile ?? state.nextFile;
  state.lastSequence = edit.lastSequence ?? state.lastSequence;
  for (const deleted of edit.deletedFiles) {
    if (state.files.get(deleted.number)?.level === deleted.level)
      state.files.delete(deleted.number);
  }
  for (const added of edit.newFiles) state.files.set(added.number, added);
}

/** Refuses what LevelDB would refuse to open. */
export function requireLiveSet(state: ManifestState, file: string): LiveSet {
  const { logNumber, nextFile, lastSequence, comparator } = state;
  if (logNumber === undefined) throw new CorruptionError("no log number", file, 0);
  if (nextFile === undefined) throw new CorruptionError("no next file number", file, 0);
  if (lastSequence === undefined) throw new CorruptionError("no last sequence", file, 0);
  if (comparator !== undefined && comparator !== LEVELDB_COMPARATOR) {
    throw new CorruptionError("another comparator", file, 0);
  }
  return {
    logNumber,
    prevLogNumber: state.prevLogNumber,
    nextFile,
    lastSequence,
    comparator: LEVELDB_COMPARATOR,
    files: state.files,
  };
}

/** The live set of a whole MANIFEST; a torn tail is ignored, as LevelDB does. */
export function replayManifest(bytes: Uint8Array, file: string): LiveSet {
  const state = emptyManifestState();
  applyManifest(state, bytes, 0, file);
  return requireLiveSet(state, file);
}

/** A MANIFEST of one record for a database without WAL. */
export function buildManifest(set: {
  readonly files: readonly LevelFile[];
  readonly lastSequence: number;
  readonly nextFile: number;
}): Uint8Array {
  const edit = encodeVersionEdit({
    comparator: LEVELDB_COMPARATOR,
    logNumber: 0,
    prevLogNumber: 0,
    nextFile: set.nextFile,
    lastSequence: set.lastSequence,
    compactPointers: [],
    deletedFiles: [],
    newFiles: set.files,
  });
  return writeLog([edit]);
}

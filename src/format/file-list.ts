// The files of a base: immutable, hashed, written once. Page: docs/formats/file-list.md.
//   B1. A list names every file by its random id, with length and SHA-256, and no file twice.
//   B2. Files of a level from 1 on do not overlap and stand in the order of their keys: what
//       LevelDB asks of them is checked where they are opened (lsm/), not here.
//   B3. Files of a canonical list ascend in their key groups; a group may go on in the next file.
import { assert } from "../common/assert.ts";
import { KEY_GROUPS_MAX } from "../common/key-group.ts";
import { MIB } from "../common/units.ts";
import { readVarint, varintBytes, writeVarint } from "../common/varint.ts";
import type { Cursor } from "../common/varint.ts";
import { CorruptionError, UnsupportedFormatError } from "../errors.ts";
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { concatenate, decodeFrameSequence, encodeFrameSequence } from "./frame-sequence.ts";
import type { FrameTools } from "./frame.ts";
import { fromHex, isHex, toHex } from "./hex.ts";

export const FILE_LIST_MAGIC = "VARVELST";
export const FILE_LIST_VERSION = 1;
const HEADER_BYTES = 16; // Magic, u32 version, u32 reserved.
/** On disk: never renumber, only add. */
const Kind = { sstSet: 1, dump: 2, canonical: 3 } as const;

export const FILE_ID_BYTES = 16;
const HASH_BYTES = 32;
export const FILE_LIST_FILES_MAX = 1_000_000;
/** Largest encoded list; a million files of the largest keys would not fit, and need not. */
export const FILE_LIST_BYTES_MAX: number = 256 * MIB;
const LEVEL_MAX = 6;
/** Largest row key, and the 8 bytes LevelDB adds. */
const INTERNAL_KEY_BYTES_MAX = 12_296;
const FILE_BYTES_MAX = 1_099_511_627_776; // 1 TiB.

/** One SST, as LevelDB's MANIFEST describes it. */
export interface SstListEntry extends SharedFile {
  readonly level: number;
  /** LevelDB's number when it was captured. Not an identity: numbers are reused after a restore. */
  readonly number: number;
  /** Internal keys, both inclusive. */
  readonly smallest: Uint8Array;
  readonly largest: Uint8Array;
}

export interface SstSetList {
  readonly kind: "sst-set";
  /** Highest LevelDB sequence number in the files. */
  readonly lastSequence: number;
  /** Above every number in use when the set was captured. */
  readonly nextFile: number;
  readonly files: readonly SstListEntry[];
}

export interface DumpListEntry extends SharedFile {
  readonly rowCount: number;
}

export interface DumpList {
  readonly kind: "dump";
  /** In the order of their rows. */
  readonly files: readonly DumpListEntry[];
}

/** Like one of a dump, and which key groups its rows are of: both ends inclusive. */
export interface CanonicalListEntry extends DumpListEntry {
  readonly firstKeyGroup: number;
  readonly lastKeyGroup: number;
}

export interface CanonicalList {
  readonly kind: "canonical";
  /** In the order of their rows. */
  readonly files: readonly CanonicalListEntry[];
}

export type FileList = SstSetList | DumpList | CanonicalList;

/** The stored bytes of a list. */
export function encodeFileList(list: FileList, tools: FrameTools): Uint8Array {
  assert(list.files.length <= FILE_LIST_FILES_MAX, "more files than a list may name");
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(FILE_LIST_MAGIC, 0, "latin1");
  header.writeUInt32LE(FILE_LIST_VERSION, 8);
  return concatenate([header, encodeFrameSequence(encodeBody(list), tools)]);
}

function encodeBody(list: FileList): Uint8Array {
  const parts: Uint8Array[] = [];
  if (list.kind === "sst-set") {
    parts.push(Uint8Array.of(Kind.sstSet), varint(list.files.length));
    parts.push(varint(list.lastSequence), varint(list.nextFile));
    for (const file of list.files) {
      parts.push(sharedPart(file), Uint8Array.of(file.level), varint(file.number));
      parts.push(varint(file.smallest.length), file.smallest);
      parts.push(varint(file.largest.length), file.largest);
    }
  } else if (list.kind === "dump") {
    parts.push(Uint8Array.of(Kind.dump), varint(list.files.length));
    for (const file of list.files) parts.push(sharedPart(file), varint(file.rowCount));
  } else {
    parts.push(Uint8Array.of(Kind.canonical), varint(list.files.length));
    for (const file of list.files) {
      parts.push(sharedPart(file), varint(file.rowCount));
      parts.push(varint(file.firstKeyGroup), varint(file.lastKeyGroup));
    }
  }
  return concatenate(parts);
}

function sharedPart(file: SharedFile): Uint8Array {
  assert(isHex(file.id, FILE_ID_BYTES * 2), "file id is not 32 hexadecimal digits");
  assert(isHex(file.sha256, HASH_BYTES * 2), "SHA-256 is not 64 hexadecimal digits");
  return concatenate([fromHex(file.id), varint(file.lengthBytes), fromHex(file.sha256)]);
}

function varint(value: number): Uint8Array {
  assert(Number.isSafeInteger(value) && value >= 0, "a number of a file list is no safe integer");
  const bytes = new Uint8Array(varintBytes(value));
  writeVarint(bytes, 0, value);
  return bytes;
}

/** The list in stored bytes, whose hash the caller has verified. `file` names them in errors. */
export function decodeFileList(bytes: Uint8Array, tools: FrameTools, file: string): FileList {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, HEADER_BYTES));
  if (header.length < HEADER_BYTES || header.toString("latin1", 0, 8) !== FILE_LIST_MAGIC) {
    throw new CorruptionError("not a file list", file, 0);
  }
  const version = header.readUInt32LE(8);
  if (version !== FILE_LIST_VERSION) {
    throw new UnsupportedFormatError(`file list ${file}`, `version ${version}`, "version 1");
  }
  if (header.readUInt32LE(12) !== 0) {
    throw new CorruptionError("reserved bytes of a file list are not zero", file, 12);
  }
  const body = decodeFrameSequence(bytes, HEADER_BYTES, FILE_LIST_BYTES_MAX, tools, file);
  const reader = new BodyReader(body, file);
  const list = reader.list();
  reader.finish();
  return list;
}

/** Offsets in its errors count decompressed bytes. */
class BodyReader {
  readonly #bytes: Uint8Array;
  readonly #file: string;
  readonly #cursor: Cursor = { offset: 0 };
  readonly #ids = new Set<string>();

  constructor(bytes: Uint8Array, file: string) {
    this.#bytes = bytes;
    this.#file = file;
  }

  list(): FileList {
    const kind = this.#take(1)[0];
    if (kind !== Kind.sstSet && kind !== Kind.dump && kind !== Kind.canonical) {
      throw new UnsupportedFormatError(`file list ${this.#file}`, `kind ${kind}`, "kinds 1 to 3");
    }
    const count = this.#number(FILE_LIST_FILES_MAX, "file count");
    if (kind === Kind.dump) {
      return { kind: "dump", files: this.#repeat(count, () => this.#dumpEntry()) };
    }
    if (kind === Kind.canonical) {
      let group = 0; // B3
      const read = (): CanonicalListEntry => {
        const entry = this.#canonicalEntry(group);
        group = entry.lastKeyGroup;
        return entry;
      };
      return { kind: "canonical", files: this.#repeat(count, read) };
    }
    const lastSequence = this.#number(Number.MAX_SAFE_INTEGER, "sequence number");
    const nextFile = this.#number(Number.MAX_SAFE_INTEGER, "next file number");
    const files = this.#repeat(count, () => this.#sstEntry(nextFile));
    return { kind: "sst-set", lastSequence, nextFile, files };
  }

  finish(): void {
    if (this.#cursor.offset !== this.#bytes.length) this.#fail("bytes follow the last file");
  }

  /** Grows with what is there: `count` is not trusted. */
  #repeat<T>(count: number, read: () => T): T[] {
    const entries: T[] = [];
    for (let index = 0; index < count; index++) entries.push(read());
    return entries;
  }

  #dumpEntry(): DumpListEntry {
    return { ...this.#shared(), rowCount: this.#number(Number.MAX_SAFE_INTEGER, "row count") };
  }

  #canonicalEntry(from: number): CanonicalListEntry {
    const entry = this.#dumpEntry();
    const firstKeyGroup = this.#number(KEY_GROUPS_MAX - 1, "first key group");
    const lastKeyGroup = this.#number(KEY_GROUPS_MAX - 1, "last key group");
    if (firstKeyGroup < from || lastKeyGroup < firstKeyGroup) {
      this.#fail("key groups of files do not ascend");
    }
    return { ...entry, firstKeyGroup, lastKeyGroup };
  }

  #sstEntry(nextFile: number): SstListEntry {
    const shared = this.#shared();
    const level = this.#take(1)[0]!;
    if (level > LEVEL_MAX) this.#fail("a level is above 6");
    const number = this.#number(Number.MAX_SAFE_INTEGER, "file number");
    if (number >= nextFile) this.#fail("a file number is not below the next one");
    return { ...shared, level, number, smallest: this.#key(), largest: this.#key() };
  }

  #shared(): SharedFile {
    const id = toHex(this.#take(FILE_ID_BYTES));
    if (this.#ids.has(id)) this.#fail("a file is named twice"); // B1
    this.#ids.add(id);
    const lengthBytes = this.#number(FILE_BYTES_MAX, "file length");
    return { id, lengthBytes, sha256: toHex(this.#take(HASH_BYTES)) };
  }

  #key(): Uint8Array {
    const length = this.#number(INTERNAL_KEY_BYTES_MAX, "key length");
    if (length < 8) this.#fail("an internal key has less than 8 bytes");
    return this.#take(length).slice();
  }

  #take(length: number): Uint8Array {
    const start = this.#cursor.offset;
    if (this.#bytes.length - start < length) this.#fail("the list is cut");
    this.#cursor.offset = start + length;
    return this.#bytes.subarray(start, start + length);
  }

  #number(max: number, what: string): number {
    const start = this.#cursor.offset;
    let value: number;
    try {
      value = readVarint(this.#bytes, this.#cursor, this.#bytes.length);
    } catch (cause) {
      throw new CorruptionError(`${what} is cut or too long`, this.#file, start, { cause });
    }
    // One encoding for one number: the shortest.
    const isShortest = this.#cursor.offset - start === varintBytes(value);
    if (value > max || !isShortest) this.#fail(`${what} is out of range`);
    return value;
  }

  #fail(message: string): never {
    throw new CorruptionError(message, this.#file, this.#cursor.offset);
  }
}

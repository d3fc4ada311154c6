// Keys, rows and values.
import type { Serializer } from "../../../src/index.ts";
import {
  array,
  bigint64,
  bool,
  bytes as bytesSerializer,
  f64,
  i64,
  json,
  optional,
  struct,
  tuple,
  u32,
  utf8,
  v8,
} from "../../../src/index.ts";
import { CorruptionError } from "../../../src/errors.ts";
import type { Key } from "../../../src/index.ts";
import { concatenate } from "../../../src/format/frame-sequence.ts";
import { decodeKey, encodeKeyPayload, keyTagOf, skipKey } from "../../../src/format/key-codec.ts";
import {
  type ListDirectory,
  decodeListDirectory,
  encodeListChunk,
  encodeListDirectory,
  encodePackedList,
  listChunkElements,
  mergeAppends,
  splitIntoChunks,
} from "../../../src/format/list-row.ts";
import {
  EntryPosition,
  type MapRoot,
  childFor,
  decodeMapRoot,
  encodeMapRoot,
  findEntry,
  firstKey,
  readEntry,
  splitEntries,
  writeEntry,
} from "../../../src/format/map-row.ts";
import { checkRowHeader } from "../../../src/format/row-value.ts";
import { ScratchSink } from "../../../src/state/byte-sink.ts";
import { ScratchSource } from "../../../src/state/byte-source.ts";
import { type Target, textBytes } from "./target.ts";

const keys: readonly Key[] = [
  0,
  1,
  -1.5,
  1e300,
  Infinity,
  "",
  "abc",
  "Z\u00fcrich\u0000x",
  0n,
  1n,
  -1n,
  10n ** 40n,
  -(2n ** 77n),
  new Uint8Array([0, 255, 0, 1]),
  new Uint8Array(0),
];

function keyBytes(key: Key): Uint8Array {
  return concatenate([Uint8Array.of(keyTagOf(key)), encodeKeyPayload(key)]);
}

const keyTarget: Target = {
  name: "key",
  corpus: keys.map(keyBytes),
  decode(bytes) {
    const cursor = { offset: 0 };
    const key = decodeKey(bytes, cursor);
    if (skipKey(bytes, 0) !== cursor.offset) throw new Error("skipped to another place");
    if (cursor.offset !== bytes.length) throw new CorruptionError("bytes follow", "row key", 0);
    return key;
  },
  encode: keyBytes,
  isCanonical: true,
};

const elements = concatenate([Uint8Array.of(3, 1, 2, 3), Uint8Array.of(0), Uint8Array.of(1, 9)]);
const lists = [
  encodePackedList(7, elements),
  encodeListDirectory({ appliedChange: 2 ** 33, chunkCount: 3 }),
  encodeListChunk(elements),
];

const listTargets: readonly Target[] = [
  {
    name: "list-directory",
    corpus: lists,
    decode: decodeListDirectory,
    encode: (directory: ListDirectory) => encodeListDirectory(directory),
    isCanonical: true,
  },
  {
    name: "list-rows",
    corpus: lists,
    decode(row) {
      checkRowHeader(row);
      const appends = [{ changeNumber: 2 ** 40, elements }];
      const { root, chunks } = mergeAppends(row, appends);
      for (const { row: chunk } of chunks) splitIntoChunks(listChunkElements(chunk));
      return root;
    },
  },
];

const mapRoot = encodeMapRoot({
  nextNode: 9,
  height: 2,
  children: ["", "abcd", "abcdefgh", "x".repeat(200)].map((key, node) => ({
    node,
    key: textBytes(key),
  })),
});

function mapEntries(): Uint8Array {
  const data = new Uint8Array(4096);
  const position = new EntryPosition();
  let at = 0;
  for (const key of ["a", "abcd", "abcdefgh1", "x".repeat(150)]) {
    writeEntry(data, at, textBytes(key), key.length, textBytes("value"), 5);
    readEntry(data, at, data.length, position);
    at = position.end;
  }
  return data.slice(0, at);
}

const mapTargets: readonly Target[] = [
  {
    name: "map-root",
    corpus: [mapRoot],
    decode(data) {
      const root = decodeMapRoot(data);
      childFor(data, 5, data.length, textBytes("abcdefg"), 7);
      return root;
    },
    encode: (root: MapRoot) => encodeMapRoot(root),
  },
  {
    name: "map-entries",
    corpus: [mapEntries()],
    decode(data) {
      if (data.length === 0) return undefined;
      const position = new EntryPosition();
      for (let at = 0; at < data.length; at = position.end) {
        readEntry(data, at, data.length, position);
      }
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      for (const key of ["abcdefgh1", "b", "zz"].map(textBytes)) {
        findEntry(data, view, 0, data.length, key, 0, key.length, position);
      }
      firstKey(data);
      const parts = splitEntries(data, 64);
      if (Buffer.compare(Buffer.concat(parts), data) !== 0) throw new Error("split loses bytes");
      return data;
    },
  },
];

interface Case {
  readonly serializer: Serializer<unknown>;
  readonly values: readonly unknown[];
  /** Whether one value has one spelling. */
  readonly isExact: boolean;
}

function one<T>(serializer: Serializer<T>, isExact: boolean, ...values: readonly T[]): Case {
  return { serializer: serializer as Serializer<unknown>, values, isExact };
}

const record = struct({
  a: i64,
  b: optional(utf8),
  c: tuple(u32, bool),
  d: array(bigint64),
  __proto_: bytesSerializer,
});
const cases: readonly Case[] = [
  one(f64, false, 0, -1.5, NaN),
  one(i64, true, 0, -1, 2 ** 53 - 1),
  one(u32, true, 0, 0xffff_ffff),
  one(bigint64, true, 0n, -(2n ** 63n)),
  one(bool, true, true, false),
  one(utf8, true, "", "abc", "Z\u00fcrich \ud83d\ude00"),
  one(bytesSerializer, true, new Uint8Array([1, 2, 3])),
  one(json<unknown>(), false, { __proto__: null, a: [1, { b: null }] }, "x", 1e99),
  one(array(tuple()), false, [[], [], []]),
  one(optional(utf8), false, undefined, "x"),
  one(array(array(utf8)), false, [["a"], [], ["bcd", ""]]),
  one(record, false, {
    a: 1,
    b: "x",
    c: [2, true],
    d: [1n, -1n],
    __proto_: new Uint8Array([4]),
  }),
];

function serialized(serializer: Serializer<unknown>, value: unknown): Uint8Array {
  const sink = new ScratchSink();
  serializer.serialize(value, sink);
  return new Uint8Array(sink.written());
}

function deserialized(serializer: Serializer<unknown>, data: Uint8Array): unknown {
  const source = new ScratchSource(data).seek(0, data.length);
  const value = serializer.deserialize(source);
  if (source.remaining !== 0) throw new CorruptionError("bytes follow a value", "value", 0);
  return value;
}

const serializerTargets: readonly Target[] = cases.map(({ serializer, values, isExact }) => ({
  name: `serializer-${serializer.fingerprint.replace(/[^a-z0-9]+/g, "-").slice(0, 24)}`,
  corpus: values.map((value) => serialized(serializer, value)),
  decode: (data) => deserialized(serializer, data),
  encode: (value) => serialized(serializer, value),
  isCanonical: isExact,
}));

/** Its format is V8's own: only what it throws is asked. */
const v8Target: Target = {
  name: "serializer-v8",
  corpus: [new Map([[1, { a: [1n, /x/] }]]), "text", [1.5, null]].map((value) =>
    serialized(v8<unknown>(), value),
  ),
  decode: (data) => deserialized(v8<unknown>(), data),
};

export const rowTargets: readonly Target[] = [
  keyTarget,
  ...listTargets,
  ...mapTargets,
  ...serializerTargets,
  v8Target,
];

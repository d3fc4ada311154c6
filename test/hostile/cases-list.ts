// File lists whose hash is right, in metadata that fits them.
import type { ErrorCode } from "../../src/errors.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import { fromHex } from "../../src/format/hex.ts";
import type { HostileCase, Objects } from "./case-files.ts";
import { type Bases, UNSUPPORTED, crafted } from "./case-spec.ts";
import {
  type Base,
  OVERFLOWING_VARINT,
  ascii,
  fileListOf,
  frame,
  header,
  sha256,
  sharedEntry,
  varint,
} from "./craft.ts";
import { SEQUENCE, type SstBody, dumpBody, intactRows, sstBody } from "./craft-rows.ts";
import { internalKey } from "./craft-table.ts";

type Row = readonly [string, string, Objects, ErrorCode?];

/** What a list says of rows that a search finds all the same. */
const unseen = ["row-count", "row-count-huge", "groups-narrow", "groups-foreign"];

function named(base: "lsm" | "memory" | "canonical", rows: readonly Row[]): HostileCase[] {
  return rows.map(([name, reason, objects, code]) =>
    crafted(base, `list-${name}`, reason, objects, code, { scanMayPass: unseen.includes(name) }),
  );
}

const rows = intactRows();
const smallest = internalKey(rows[0]!.key, SEQUENCE);
const largest = internalKey(rows.at(-1)!.key, SEQUENCE);

function bodyCases(base: Base): HostileCase[] {
  const shared = sharedEntry(base.dataId, base.data);
  const file = { shared, smallest, largest };
  const body = (changes: Partial<SstBody> | Partial<SstBody["files"][number]>): Objects =>
    base.withList(fileListOf(sstBody({ files: [{ ...file, ...changes }], ...changes } as SstBody)));
  const id = fromHex(base.dataId);
  const hash = fromHex(sha256(base.data));
  const sharedOf = (length: Uint8Array, digest: Uint8Array = hash): Uint8Array =>
    concatenate([id, length, digest]);
  const twice = { files: [file, { ...file, number: 6, level: 2 }] };
  const middle = internalKey(rows[2]!.key, SEQUENCE);
  const otherId = concatenate([fromHex("2".repeat(32)), shared.subarray(16)]);
  const overlapping = {
    files: [file, { ...file, shared: otherId, number: 6, smallest: middle }],
  };
  const both = 2 * base.data.length;
  const foreign = (group: number): Uint8Array => {
    const key = Uint8Array.from(largest);
    key[0] = group >> 8;
    key[1] = group & 255;
    return key;
  };
  return named("lsm", [
    ["varint-overflow", "a length of ten bytes", body({ shared: sharedOf(OVERFLOWING_VARINT) })],
    [
      "varint-long",
      "a length in more bytes than it takes",
      body({ shared: sharedOf(Uint8Array.of(0x81, 0x00)) }),
    ],
    ["length-huge", "a file of 2 TiB", body({ shared: sharedOf(varint(2 ** 41)) })],
    [
      "length-other",
      "a file longer than what is stored",
      base.withList(
        fileListOf(
          sstBody({ files: [{ ...file, shared: sharedOf(varint(base.data.length + 1)) }] }),
        ),
        base.data.length + 1,
      ),
    ],
    [
      "hash-other",
      "another hash than the file's",
      body({ shared: sharedOf(varint(base.data.length), new Uint8Array(32)) }),
    ],
    [
      "count-large",
      "a million files, one entry",
      base.withList(
        fileListOf(sstBody({ files: [file], count: varint(1_000_000) })),
        base.data.length,
        1_000_000,
      ),
    ],
    ["count-beyond", "more files than a list may name", body({ count: varint(1_000_001) })],
    ["count-zero", "no file, and an entry all the same", body({ count: varint(0) })],
    [
      "file-twice",
      "one file under two numbers",
      base.withList(fileListOf(sstBody(twice)), both, 2),
    ],
    [
      "overlap",
      "two files of a level that overlap",
      base.withList(fileListOf(sstBody(overlapping)), both, 2),
    ],
    ["level", "level 7", body({ level: 7 })],
    ["number", "a number that is not below the next", body({ number: 9 })],
    [
      "number-huge",
      "a number of 2^53",
      body({ nextFile: Number.MAX_SAFE_INTEGER, number: Number.MAX_SAFE_INTEGER }),
    ],
    [
      "bound-short",
      "a bound that is shorter than a trailer",
      body({ smallest: smallest.subarray(0, 7) }),
    ],
    [
      "bound-long",
      "a bound that is longer than keys can be",
      body({ smallest: new Uint8Array(12_297) }),
    ],
    [
      "bound-cut",
      "a bound without a key group",
      body({ smallest: internalKey(Uint8Array.of(0), SEQUENCE) }),
    ],
    [
      "bound-type",
      "a bound of an unknown type",
      body({ largest: internalKey(rows.at(-1)!.key, SEQUENCE, 2) }),
    ],
    ["bound-sequence", "a bound newer than the list", body({ lastSequence: SEQUENCE - 1 })],
    ["bounds-reversed", "bounds that are reversed", body({ smallest: largest, largest: smallest })],
    ["bounds-foreign", "a bound outside the handle's key groups", body({ largest: foreign(128) })],
    ["bytes-follow", "bytes after the last entry", body({ tail: ascii("more") })],
    [
      "cut",
      "a list that is cut",
      base.withList(fileListOf(sstBody({ files: [file] }).subarray(0, -3))),
    ],
    ["kind", "an unknown kind", body({ kind: 9 }), UNSUPPORTED],
    ["kind-other", "a list of rows for a set of tables", body({ kind: 2 })],
  ]);
}

function formCases(base: Base): HostileCase[] {
  const body = sstBody({
    files: [{ shared: sharedEntry(base.dataId, base.data), smallest, largest }],
  });
  const listOf = (...parts: readonly Uint8Array[]): Objects => base.withList(concatenate(parts));
  const start = header("VARVELST");
  const tokens = Buffer.alloc(64, 0xff);
  const far = Uint8Array.of(0x10, 0x61, 0xff, 0xff, 0x00);
  const beyond = Uint8Array.of(0xf0, 0xff, 0xff, 0xff, 0x61);
  return named("lsm", [
    ["empty", "a list of one byte", listOf(Uint8Array.of(0))],
    ["magic", "another magic", listOf(header("VARVELSX"), frame(body))],
    ["version", "a later version", listOf(header("VARVELST", 2), frame(body)), UNSUPPORTED],
    ["reserved", "reserved bytes in use", listOf(header("VARVELST", 1, 1), frame(body))],
    ["no-frame", "no frame", listOf(start)],
    ["frame-after-short", "a frame after a short one", listOf(start, frame(body), frame(body))],
    [
      "frame-bomb",
      "16 bytes that say to be 1 MiB",
      listOf(start, frame(tokens.subarray(0, 16), { codec: 1, rawLength: 1_048_576 })),
    ],
    [
      "frame-over-maximum",
      "a frame of more than 1 MiB",
      listOf(start, frame(tokens, { codec: 1, rawLength: 1_048_577 })),
    ],
    [
      "lz4-garbage",
      "a block that is not LZ4",
      listOf(start, frame(tokens, { codec: 1, rawLength: 1000 })),
    ],
    [
      "lz4-far",
      "a copy from before the block's start",
      listOf(start, frame(far, { codec: 1, rawLength: 20 })),
    ],
    [
      "lz4-beyond",
      "a literal beyond the block's end",
      listOf(start, frame(beyond, { codec: 1, rawLength: 900 })),
    ],
    [
      "lz4-short",
      "a block that holds less than it says",
      listOf(start, frame(Uint8Array.of(0x20, 0x61, 0x62), { codec: 1, rawLength: 100 })),
    ],
    [
      "frame-empty-compressed",
      "a compressed frame of no byte",
      listOf(start, frame(new Uint8Array(0), { codec: 1, rawLength: 255 })),
    ],
  ]);
}

function rowCases({ memory, canonical }: Bases): HostileCase[] {
  const memoryFile = { id: memory.dataId, dump: memory.data, rowCount: rows.length };
  const file = { ...memoryFile, id: canonical.dataId, dump: canonical.data };
  const list = (base: Base, ...files: Parameters<typeof dumpBody>[1]): Objects =>
    base.withList(fileListOf(dumpBody(base, files)), base.data.length * files.length, files.length);
  return [
    ...named("memory", [
      [
        "row-count",
        "another number of rows than the file's",
        list(memory, { ...memoryFile, rowCount: 4 }),
      ],
      ["file-twice", "one file twice", list(memory, memoryFile, memoryFile)],
      [
        "row-count-huge",
        "2^53-1 rows",
        list(memory, { ...memoryFile, rowCount: Number.MAX_SAFE_INTEGER }),
      ],
    ]),
    ...named("canonical", [
      [
        "row-count",
        "another number of rows than the file's",
        list(canonical, { ...file, rowCount: 4, groups: [23, 126] }),
      ],
      [
        "groups-reversed",
        "key groups that are reversed",
        list(canonical, { ...file, groups: [126, 23] }),
      ],
      [
        "groups-narrow",
        "narrower key groups than the file's rows",
        list(canonical, { ...file, groups: [23, 100] }),
      ],
      [
        "groups-foreign",
        "key groups outside the handle's",
        list(canonical, { ...file, groups: [23, 200] }),
      ],
      [
        "groups-beyond",
        "key groups beyond all",
        list(canonical, { ...file, groups: [23, 32_768] }),
      ],
    ]),
  ];
}

export function listCases(bases: Bases): HostileCase[] {
  return [...bodyCases(bases.lsm), ...formCases(bases.lsm), ...rowCases(bases)];
}

// LevelDB's tables: whole files as a restore walks through them, and their parts.
import { CorruptionError } from "../../../src/errors.ts";
import { concatenate } from "../../../src/format/frame-sequence.ts";
import { stateIdOf } from "../../../src/format/key-codec.ts";
import { crc32c, maskCrc } from "../../../src/format/leveldb-crc32c.ts";
import { EntryType, encodeInternalKey } from "../../../src/format/leveldb-internal-key.ts";
import {
  type DecodeBlock,
  locateTableEnd,
  readTableEnd,
} from "../../../src/format/leveldb-table-end.ts";
import { TableWalk } from "../../../src/format/leveldb-table-walk.ts";
import {
  BLOCK_TRAILER_BYTES,
  decodeBlock,
  decodeHashedBlock,
  encodeDataBlock,
  encodeTableEnd,
  readEntries,
  readFooter,
  readIndex,
} from "../../../src/format/leveldb-table.ts";
import { rowKeyOf } from "../../support/changelog-segments.ts";
import type { Target } from "./target.ts";

const ROWS_PER_BLOCK = 20;
const rows = Array.from({ length: 60 }, (_none, index) => ({
  key: encodeInternalKey(
    rowKeyOf("value", `key-${String(index).padStart(4, "0")}`, 8, { group: index >> 3 }),
    100 + index,
    index % 9 === 0 ? EntryType.deletion : EntryType.value,
  ),
  value: index % 9 === 0 ? new Uint8Array(0) : new Uint8Array(1 + (index % 30)).fill(1),
}));
const blocks = [0, 1, 2].map((number) => {
  const entries = rows.slice(number * ROWS_PER_BLOCK, (number + 1) * ROWS_PER_BLOCK);
  return {
    content: encodeDataBlock(entries).slice(0, -BLOCK_TRAILER_BYTES),
    last: entries.at(-1)!,
  };
});
const claims = {
  smallest: rows[0]!.key,
  largest: rows.at(-1)!.key,
  lastSequence: 1000,
  keyGroups: { first: 0, last: 7 },
  stateIds: [stateIdOf("value")],
};

function sealed(content: Uint8Array, type: number): Uint8Array {
  const typed = concatenate([content, Uint8Array.of(type)]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(maskCrc(crc32c(typed, 0, typed.length)));
  return concatenate([typed, sum]);
}

/** The middle block of a table is what was changed; all else agrees with it. */
function tableAround(content: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let offset = 0;
  const index = blocks.map(({ content: clean, last }, number) => {
    const stored = sealed(number === 1 ? content : clean, 0);
    const handle = { offset, length: stored.length - BLOCK_TRAILER_BYTES };
    parts.push(stored);
    offset += stored.length;
    return { key: last.key, handle };
  });
  return concatenate([...parts, encodeTableEnd(index, offset)]);
}

function walk(bytes: Uint8Array, decode: DecodeBlock): number {
  const handles = readFooter(bytes.subarray(Math.max(0, bytes.length - 48)), bytes.length, "table");
  const dataEnd = locateTableEnd(bytes, bytes.length, handles, decode, "table");
  const end = readTableEnd(bytes, bytes.length, dataEnd, handles.index, decode, "table");
  const table = new TableWalk(end, claims, "table");
  while (table.next()) {
    const { offset, length } = table.index;
    if (offset + length + BLOCK_TRAILER_BYTES > bytes.length) {
      throw new CorruptionError("a block is cut", "table", offset);
    }
    table.block(bytes, offset);
  }
  return table.entryCount;
}

const whole = tableAround(blocks[1]!.content);
const indexContent = (() => {
  const { index } = readFooter(whole.subarray(-48), whole.length, "table");
  return whole.slice(index.offset, index.offset + index.length);
})();

export const tableTargets: readonly Target[] = [
  {
    name: "table-data",
    corpus: [blocks[1]!.content],
    seal: tableAround,
    decode: (bytes) => walk(bytes, decodeHashedBlock),
  },
  {
    name: "table-file",
    corpus: [whole],
    decode: (bytes) => walk(bytes, decodeHashedBlock),
  },
  {
    name: "table-block",
    corpus: blocks.map(({ content }) => content),
    seal: (content) => sealed(content, content.length % 7 === 0 ? 1 : 0),
    decode(stored) {
      const handle = { offset: 0, length: Math.max(0, stored.length - BLOCK_TRAILER_BYTES) };
      return readEntries(decodeBlock(stored, handle, "table"), 0, "table").length;
    },
  },
  {
    name: "table-index",
    corpus: [indexContent],
    seal: (content) => sealed(content, 0),
    decode(stored) {
      const handle = { offset: 5000, length: Math.max(0, stored.length - BLOCK_TRAILER_BYTES) };
      return readIndex(decodeBlock(stored, handle, "table"), handle, "table").length;
    },
  },
  {
    name: "table-footer",
    corpus: [whole.slice(-48)],
    decode: (footer) => readFooter(footer, 4000, "table"),
  },
];

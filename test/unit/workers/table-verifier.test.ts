// Goal: a table is walked through whole, however its bytes come, and no damage gives anything but a
// typed error. What crafted tables get is in test/hostile.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import type { ReadableFile } from "../../../src/api/environment.ts";
import { tableClaims } from "../../../src/checkpoint/base-reader.ts";
import { CorruptionError, UnsupportedFormatError } from "../../../src/errors.ts";
import { type SstSetList, decodeFileList } from "../../../src/format/file-list.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { stateIdOf } from "../../../src/format/key-codec.ts";
import { BUILT_SEQUENCE, TableBuilder } from "../../../src/format/leveldb-table-builder.ts";
import type { TableClaims } from "../../../src/format/leveldb-table-walk.ts";
import { decodeBlock } from "../../../src/format/leveldb-table.ts";
import { decodeMetadata } from "../../../src/format/metadata.ts";
import { loadCodec } from "../../../src/workers/codec.ts";
import {
  TABLE_END_BYTES,
  checkTableEnd,
  openTableVerifier,
  readLastBytes,
} from "../../../src/workers/table-verifier.ts";
import { isLong } from "../../support/long-tests.ts";

interface Table {
  readonly bytes: Uint8Array;
  readonly claims: TableClaims;
}

function fileOf(bytes: Uint8Array): ReadableFile {
  return {
    path: "table",
    sizeBytes: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
    close: () => Promise.resolve(),
  };
}

/** Rows of every length up to beyond a block, so that blocks are of many sizes. */
function builtTable(rows: number, blockBytes: number): Table {
  const pieces: Uint8Array[] = [];
  const builder = new TableBuilder(blockBytes, (bytes) => pieces.push(bytes.slice()));
  const id = stateIdOf("walked");
  for (let at = 0; at < rows; at++) {
    const row = Buffer.alloc(17 + ((at * at) % 700), at % 251);
    row.writeUInt16BE(Math.floor((at / rows) * 128), 0);
    row.writeUInt32BE(id, 2);
    row.writeUInt16BE(16, 6);
    row.writeDoubleBE(at + 1, 8);
    row[16] = 1;
    builder.add(row, 0, 16, 16, row.length);
  }
  const bounds = builder.finish()!;
  const keyGroups = { first: 0, last: 127 };
  const claims = { ...bounds, lastSequence: BUILT_SEQUENCE, keyGroups, stateIds: [id] };
  return { bytes: Buffer.concat(pieces), claims };
}

/** What LevelDB wrote: compressed blocks, keys that share, a filter, shortened keys in the index. */
async function goldenTable(): Promise<Table> {
  const root = "test/fixtures/checkpoints/0.1/lsm";
  const checksum = await loadFrameChecksum();
  const [name] = readdirSync(join(root, "metadata"));
  const bytes = readFileSync(join(root, "metadata", name!));
  const [handle] = decodeMetadata(bytes, checksum, name!).handles;
  const { id } = handle!.base.fileList;
  const tools = { checksum, codec: loadCodec() };
  const list = decodeFileList(readFileSync(join(root, "files", id)), tools, id) as SstSetList;
  const [entry] = list.files;
  const claims = tableClaims(list, handle)(entry!)!;
  return { bytes: readFileSync(join(root, "files", entry!.id)), claims };
}

async function walk({ bytes, claims }: Table, pieceBytes: number): Promise<void> {
  const verifier = await openTableVerifier(fileOf(bytes), claims, "table");
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    verifier.add(bytes.subarray(at, at + pieceBytes), at);
  }
  verifier.finish();
}

describe("a table", () => {
  test.each([1, 13, 1000, 4096, 1_000_000])("is walked in pieces of %i bytes", async (piece) => {
    await walk(builtTable(300, 1024), piece);
    await walk(await goldenTable(), piece);
  });

  test("whose index and filter are longer than what is read at first is walked", async () => {
    const table = builtTable(60_000, 1);
    await walk(table, 524_288);
    await checkTableEnd(fileOf(table.bytes), new Uint8Array(TABLE_END_BYTES), "table");
  });

  test("whose end has any bit flipped is refused before a row of it is read", async () => {
    const { bytes } = builtTable(300, 1024);
    const scratch = new Uint8Array(TABLE_END_BYTES);
    const { dataEnd } = await readLastBytes(fileOf(bytes), decodeBlock, "table");
    for (let bit = dataEnd * 8; bit < bytes.length * 8; bit++) {
      const dirty = Uint8Array.from(bytes);
      dirty[bit >> 3]! ^= 1 << (bit & 7);
      const checking = checkTableEnd(fileOf(dirty), scratch, `bit ${bit} of ${bytes.length * 8}`);
      await assert.rejects(checking, (error) => {
        return error instanceof CorruptionError || error instanceof UnsupportedFormatError;
      });
    }
  });

  test("that changes between the reading of its end and of its bytes is refused", async () => {
    const { bytes, claims } = builtTable(300, 1024);
    const verifier = await openTableVerifier(fileOf(bytes), claims, "table");
    const other = Uint8Array.from(bytes);
    other[other.length - 60]! ^= 1;
    assert.throws(() => verifier.add(other, 0), CorruptionError);
  });

  test("whose bytes end too early is refused", async () => {
    const { bytes, claims } = builtTable(300, 1024);
    const verifier = await openTableVerifier(fileOf(bytes), claims, "table");
    verifier.add(bytes.subarray(0, 5000), 0);
    assert.throws(() => verifier.finish(), CorruptionError);
  });

  test("with any bit flipped gives a typed error, or differs in its rows alone", async () => {
    let refused = 0;
    const table = await goldenTable();
    const built = builtTable(40, 1024);
    for (const { bytes, claims } of [built, table]) {
      // Steps that are odd meet every bit of a byte.
      const step = (bytes.length > 20_000 ? 11 : 1) * (isLong ? 1 : 5);
      for (let bit = 0; bit < bytes.length * 8; bit += step) {
        const dirty = Uint8Array.from(bytes);
        dirty[bit >> 3]! ^= 1 << (bit & 7);
        try {
          await walk({ bytes: dirty, claims }, 1_000_000);
        } catch (error) {
          refused++;
          const isTyped =
            error instanceof CorruptionError || error instanceof UnsupportedFormatError;
          assert.ok(isTyped, `bit ${bit}: ${String(error)}`);
        }
      }
    }
    assert.ok(refused > (isLong ? 5000 : 1000), `${refused} refused`);
  });

  test("that claims other bounds, groups, states or sequences is refused", async () => {
    const table = await goldenTable();
    const { claims } = table;
    const wrong: readonly Partial<TableClaims>[] = [
      { smallest: claims.largest },
      { largest: claims.smallest },
      { lastSequence: 1 },
      { keyGroups: { first: 0, last: 3 } },
      { stateIds: claims.stateIds.slice(1) },
    ];
    for (const change of wrong) {
      const changed = { ...table, claims: { ...claims, ...change } };
      await assert.rejects(walk(changed, 4096), { code: "VARVE_CORRUPTION" });
    }
  });
});

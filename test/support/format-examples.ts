// The examples of the format pages, as objects. Their bytes stand in test/fixtures/formats.
import { readFileSync } from "node:fs";
import type { DumpList, SstSetList } from "../../src/format/file-list.ts";
import type { CheckpointMetadata } from "../../src/format/metadata.ts";

/** Compiled tests lie one level deeper than their sources: the folder is found from the root. */
export function fixture(name: string): Uint8Array {
  return new Uint8Array(
    readFileSync(new URL(`../../../test/fixtures/formats/${name}`, import.meta.url)),
  );
}

export const exampleSstSet: SstSetList = {
  kind: "sst-set",
  lastSequence: 1000,
  nextFile: 12,
  files: [
    {
      id: "000102030405060708090a0b0c0d0e0f",
      lengthBytes: 300,
      sha256: "aa".repeat(32),
      level: 1,
      number: 7,
      smallest: Buffer.from("6101000000000000ff", "hex"),
      largest: Buffer.from("7a01000000000000ff", "hex"),
    },
  ],
};

export const exampleDumpList: DumpList = {
  kind: "dump",
  files: [
    { id: "11".repeat(16), lengthBytes: 500, sha256: "bb".repeat(32), rowCount: 3 },
    { id: "22".repeat(16), lengthBytes: 400, sha256: "cc".repeat(32), rowCount: 2 },
  ],
};

export const exampleMetadata: CheckpointMetadata = {
  checkpointId: 5,
  completionNumber: 3,
  oldestRetained: 2,
  writerEpoch: { id: "0123456789abcdef0123456789abcdef", number: 2 },
  createdAtMs: 1_700_000_000_000,
  policy: "incremental",
  backendKind: "lsm",
  handles: [
    {
      keyGroups: { max: 128, first: 0, last: 127 },
      changeNumber: 9,
      base: {
        kind: "sst-set",
        fileList: { id: "33".repeat(16), lengthBytes: 150, sha256: "dd".repeat(32) },
        totalBytes: 300,
        fileCount: 1,
      },
      states: [
        { name: "total", id: 123_456, type: "value", serializers: ["f64"], namespaces: false },
      ],
    },
  ],
  segments: [],
  userMetadata: { offsets: { "flights-0": "184467" } },
  extensions: undefined,
};

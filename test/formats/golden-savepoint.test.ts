// Goal: canonical savepoints of every version stay readable (G10), and this version writes the same.
import assert from "node:assert/strict";
import { cpSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { MIB, fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import { readDump } from "../../src/format/dump.ts";
import { decodeFileList } from "../../src/format/file-list.ts";
import { loadFrameChecksum } from "../../src/format/frame-checksum.ts";
import { decodeMetadata } from "../../src/format/metadata.ts";
import { loadCodec } from "../../src/workers/codec.ts";
import {
  checkGoldenSavepoint,
  goldenSavepoint,
  writeGoldenSavepoint,
} from "../support/golden-savepoint.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const checksum = await loadFrameChecksum();

/** The objects by what they are: files are named at random. */
function sorted(objects: Iterable<readonly [string, Uint8Array]>) {
  const found = new Map<string, Uint8Array>();
  for (const [, bytes] of objects) {
    found.set(Buffer.from(bytes.subarray(0, 8)).toString("latin1"), bytes);
  }
  assert.equal(found.size, 3);
  const metadata = decodeMetadata(found.get("VARVECHK")!, checksum, "metadata");
  const list = decodeFileList(found.get("VARVELST")!, { checksum }, "list");
  return { rows: found.get("VARVEDMP")!, list, metadata };
}

/** As on the page: key groups 23, 23 and 126. */
const exampleRows = [
  "0b00177749c0370030610001" + "0901000000000000f83f",
  "0b0017bc138efb0030610001" + "0b0201000000000000000178",
  "10007e7749c0370010bff0000000000000" + "0901000000000000f83f",
].join("");

function rawRows(file: Uint8Array): string {
  const rows: string[] = [];
  readDump(file, { checksum, codec: loadCodec() }, "rows", (frame) => {
    rows.push(Buffer.from(frame).toString("hex"));
  });
  return rows.join("");
}

function fixtureObjects(): [string, Uint8Array][] {
  return ["files", "metadata"].flatMap((folder) =>
    readdirSync(join(goldenSavepoint, folder)).map((name): [string, Uint8Array] => {
      return [`${folder}/${name}`, readFileSync(join(goldenSavepoint, folder, name))];
    }),
  );
}

describe("the golden canonical savepoint", () => {
  test("is what this version writes, but for random ids", async () => {
    const old = sorted(fixtureObjects());
    const now = sorted(await writeGoldenSavepoint());
    assert.equal(rawRows(now.rows), exampleRows);
    assert.equal(rawRows(old.rows), exampleRows);
    // Versions of an LZ4 library may write different blocks.
    const withoutIds = (value: unknown): unknown =>
      JSON.parse(
        JSON.stringify(value)
          .replaceAll(/"(id|sha256)":"[0-9a-f]+"/g, '"$1":""')
          .replaceAll(/"(lengthBytes|totalBytes)":\d+/g, '"$1":0'),
      );
    assert.deepEqual(withoutIds(now.list), withoutIds(old.list));
    assert.deepEqual(withoutIds(now.metadata), withoutIds(old.metadata));
  });

  test.each(["lsm", "memory"] as const)("is restored by %s, with any key groups", async (kind) => {
    for (const max of [128, 3]) {
      const root = temporaryDirectory();
      cpSync(goldenSavepoint, join(root, "copy"), { recursive: true });
      const backend = await openKeyedStateBackend({
        backend: kind,
        workingDirectory: join(root, "work"),
        checkpointStorage: fileSystemStorage(join(root, "checkpoints")),
        memoryBudgetBytes: 32 * MIB,
        restore: join(root, "copy"),
        keyGroups: { max },
      });
      checkGoldenSavepoint(backend);
      await backend.checkpoint();
      await backend.close();
    }
  });
});

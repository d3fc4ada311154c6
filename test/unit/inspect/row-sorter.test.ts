import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { memoryEnvironment } from "../../../src/environment/memory-environment.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { RUNS_MAX, RowSorter } from "../../../src/inspect/row-sorter.ts";

/** Rows of random keys, in the order in which they come. */
function randomRows(count: number, seed: number): [Buffer, Buffer][] {
  const { random } = memoryEnvironment({ seed });
  return Array.from({ length: count }, (_none, index) => {
    const bytes = random.bytes(6);
    // Some share long beginnings, and one is the beginning of another.
    const key = Buffer.concat([Buffer.alloc(bytes[0]! % 3, 7), bytes.subarray(0, 1 + (index % 5))]);
    const number = Buffer.alloc(4);
    number.writeUInt32BE(index);
    return [Buffer.concat([key, number]), Buffer.alloc(1 + (bytes[5]! % 90), index)];
  });
}

describe("a row sorter", () => {
  for (const memoryBytes of [200, 3000, 10_000_000]) {
    test(`gives all rows back in order, ${memoryBytes} bytes of memory`, async () => {
      const { fileSystem } = memoryEnvironment();
      await fileSystem.makeDirectory("/sort");
      const frames = { checksum: await loadFrameChecksum() };
      const tools = { fileSystem, frames, directory: "/sort", name: "a", throwIfStopped: () => {} };
      const sorter = new RowSorter(tools, memoryBytes);
      const rows = randomRows(3000, 5);
      let files = 0;
      for (const [key, row] of rows) {
        if (!sorter.fits(key.length, row.length)) await sorter.makeRoom();
        sorter.copy(Buffer.concat([key, Buffer.alloc(3)]), key.length, row, 0, row.length);
        files = Math.max(files, (await fileSystem.readDirectory("/sort")).length);
      }
      const found: [string, string][] = [];
      for await (const batch of sorter.sorted()) {
        assert.ok(batch.length > 0);
        for (const { key, row } of batch) {
          found.push([Buffer.from(key).toString("hex"), Buffer.from(row).toString("hex")]);
        }
      }
      rows.sort(([a], [b]) => Buffer.compare(a, b));
      assert.deepEqual(
        found,
        rows.map(([key, row]) => [key.toString("hex"), row.toString("hex")]),
      );
      assert.equal(sorter.rowCount, rows.length);
      assert.deepEqual(await fileSystem.readDirectory("/sort"), []);
      // S2: runs of one rank become one of the next.
      assert.ok(files <= RUNS_MAX * 4, `${files} runs at a time`);
      if (memoryBytes === 200) assert.ok(files > 1);
      if (memoryBytes > 1_000_000) assert.equal(files, 0);
    });
  }

  test("gives nothing of nothing", async () => {
    const { fileSystem } = memoryEnvironment();
    const frames = { checksum: await loadFrameChecksum() };
    const tools = { fileSystem, frames, directory: "/sort", name: "a", throwIfStopped: () => {} };
    for await (const batch of new RowSorter(tools).sorted()) assert.fail(`${batch.length} rows`);
  });
});

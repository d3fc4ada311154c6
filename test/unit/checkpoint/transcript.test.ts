// Pins the order of file operations of one checkpoint: durability is this order.
import assert from "node:assert/strict";
import { test } from "vitest";
import { MemoryFileSystem } from "../../../src/environment/memory-file-system.ts";
import { Job } from "../../support/checkpoints.ts";

test("a checkpoint syncs data, then names, then metadata, then the hint, and deletes last", async () => {
  const fileSystem = new MemoryFileSystem();
  const job = await Job.open(fileSystem, 1, 1);
  await job.checkpoint(1);
  job.confirmed = new Map([...job.confirmed].filter(([number]) => number === 3));
  const { result } = await job.snapshot(2); // Outside of the transcript: local files exist then.
  job.store.abort(2, result.newFileIds);
  await job.store.close();
  const again = await Job.open(fileSystem, 2, 1);
  again.confirmed = job.confirmed;

  const labels = new Map<string, string>();
  const label = (path: string): string => {
    const short = path
      .replace(/\.temporary-[0-9a-f]+/, "TEMPORARY")
      .replace(/^\/work-[^/]+\//, "local/")
      .replace(/^\/store/, "");
    return short.replace(/files\/[0-9a-f]{32}/, (name) => {
      if (!labels.has(name)) labels.set(name, `files/${"ABCDEFGH"[labels.size]}`);
      return labels.get(name)!;
    });
  };
  const transcript: string[] = [];
  fileSystem.onOperation = (operation, path) => {
    if (path.startsWith("/store")) transcript.push(`${operation} ${label(path) || "/"}`);
  };
  await again.checkpoint(2);
  const acknowledgedAt = transcript.length;
  await again.close();
  const created = transcript.indexOf("link /metadata/0000000002");
  const position = (line: string): number => {
    const index = transcript.indexOf(line);
    assert.notEqual(index, -1, line);
    return index;
  };
  assert.deepEqual(
    transcript.slice(position("create /metadata/TEMPORARY"), position("rename /latest") + 2),
    [
      "create /metadata/TEMPORARY",
      "write /metadata/TEMPORARY",
      "sync /metadata/TEMPORARY",
      "link /metadata/0000000002",
      "unlink /metadata/TEMPORARY",
      "syncDirectory /metadata",
      "open /latest",
      "create /TEMPORARY",
      "write /TEMPORARY",
      "sync /TEMPORARY",
      "rename /latest",
      "syncDirectory /",
    ],
  );
  // Files 2 and 4 are uploaded, 3 is reused; then the list; all before the metadata.
  assert.deepEqual(
    transcript
      .slice(position("link /files/A"), created - 3)
      // Syncs of a directory are shared by whoever waits: one or two for the two files.
      .filter((line, index, lines) => !line.startsWith("make") && line !== lines[index - 1])
      .filter((line) => line !== "syncDirectory /"),
    [
      "link /files/A",
      "link /files/B",
      "syncFile /files/A",
      "syncFile /files/B",
      "syncDirectory /files",
      "create /files/C",
      "write /files/C",
      "sync /files/C",
      "syncDirectory /files",
    ],
  );
  // Deletion: metadata, durably, then files.
  const deletions = transcript.slice(position("rename /latest") + 2);
  assert.equal(deletions[0], "unlink /metadata/0000000001");
  assert.equal(deletions[1], "syncDirectory /metadata");
  assert.ok(deletions.slice(2, -1).every((line) => line.startsWith("unlink /files/")));
  assert.equal(deletions.at(-1), "syncDirectory /files");
  assert.ok(acknowledgedAt >= position("rename /latest") + 2);
});

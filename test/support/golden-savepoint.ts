// The example of docs/formats/savepoint.md, and what writes its fixture, once, by hand:
// node dist/test/support/golden-savepoint.js write
import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { MIB, f64, fileSystemStorage, openKeyedStateBackend, utf8 } from "../../src/index.ts";
import type { KeyedStateBackend } from "../../src/index.ts";
import { memoryEnvironment } from "../../src/testing/index.ts";

export const goldenSavepoint = "test/fixtures/savepoints/canonical-v1";

function statesOf(backend: KeyedStateBackend) {
  return {
    total: backend.valueState({ name: "total", value: f64 }),
    tags: backend.listState({ name: "tags", element: utf8 }),
  };
}

/** The objects of the savepoint as this version writes it, by name. */
export async function writeGoldenSavepoint(): Promise<Map<string, Uint8Array>> {
  const environment = memoryEnvironment({ seed: 5 });
  const backend = await openKeyedStateBackend({
    backend: "memory",
    workingDirectory: "/work",
    checkpointStorage: fileSystemStorage("/checkpoints", {}, environment),
    restore: "latest-or-new",
    memoryBudgetBytes: 16 * MIB,
    environment,
  });
  const { total, tags } = statesOf(backend);
  for (const key of [1, "a"]) backend.withKey(key, () => total.update(1.5));
  backend.withKey("a", () => tags.add("x"));
  await backend.savepoint("/save", { metadata: { offset: 3 } });
  await backend.close();
  const objects = new Map<string, Uint8Array>();
  for (const folder of ["files", "metadata"]) {
    for (const name of await environment.fileSystem.readDirectory(`/save/${folder}`)) {
      const path = `${folder}/${name}`;
      objects.set(path, await environment.fileSystem.readFile(`/save/${path}`));
    }
  }
  return objects;
}

export function checkGoldenSavepoint(backend: KeyedStateBackend): void {
  assert.deepEqual(backend.restored?.metadata, { offset: 3 });
  const { total, tags } = statesOf(backend);
  backend.withKey(1, () => {
    assert.equal(total.value(), 1.5);
    assert.deepEqual(tags.get(), []);
  });
  backend.withKey("a", () => {
    assert.equal(total.value(), 1.5);
    assert.deepEqual(tags.get(), ["x"]);
  });
}

if (process.argv[2] === "write" && basename(process.argv[1] ?? "") === "golden-savepoint.js") {
  if (existsSync(goldenSavepoint)) throw new Error(`${goldenSavepoint} exists`);
  for (const [name, bytes] of await writeGoldenSavepoint()) {
    const path = join(goldenSavepoint, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
  }
}

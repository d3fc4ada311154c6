// The intact checkpoints that every case differs from. Written once: node dist/test/hostile/make-fixtures.js
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB, f64, fileSystemStorage, i64, openKeyedStateBackend, utf8 } from "../../src/index.ts";
import type { KeyedStateBackend, ListState, MapState, ValueState } from "../../src/index.ts";
import { BASE_NAMES, baseDirectory } from "./case-files.ts";

export interface HostileStates {
  readonly total: ValueState<number>;
  readonly tags: ListState<string>;
  readonly by: MapState<string, number>;
  readonly window: ValueState<number>;
}

export function declareStates(backend: KeyedStateBackend): HostileStates {
  return {
    total: backend.valueState({ name: "total", value: f64 }),
    tags: backend.listState({ name: "tags", element: utf8 }),
    by: backend.mapState({ name: "by", key: utf8, value: f64 }),
    window: backend.valueState({ name: "window", value: i64, namespaces: true }),
  };
}

export async function writeBases(): Promise<void> {
  for (const name of BASE_NAMES) {
    const target = baseDirectory(name);
    if (existsSync(target)) continue; // Ids are random: cases refer to those that are there.
    const work = mkdtempSync(join(tmpdir(), "varve-hostile-base-"));
    const isSavepoint = name === "canonical";
    const storage = isSavepoint ? join(work, "checkpoints") : target;
    const backend = await openKeyedStateBackend({
      backend: name === "lsm" ? "lsm" : "memory",
      workingDirectory: join(work, "work"),
      checkpointStorage: fileSystemStorage(storage, { transfer: "copy" }),
      memoryBudgetBytes: 32 * MIB,
      restore: "latest-or-new",
    });
    const states = declareStates(backend);
    backend.withKey(1, () => states.total.update(1.5));
    backend.withKey("a", () => {
      states.total.update(2.5);
      states.tags.update(["x", "y"]);
      states.by.put("m", 1);
      states.window.setCurrentNamespace(7);
      states.window.update(5);
    });
    if (isSavepoint) await backend.savepoint(target, { metadata: { offset: 3 } });
    else await backend.checkpoint({ offset: 3 });
    await backend.close();
    rmSync(work, { recursive: true });
  }
}

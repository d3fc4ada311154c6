// Backends with policy "changelog" for tests: each test has a folder, and what it opened is closed.
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { MIB, f64, fileSystemStorage, i64, openKeyedStateBackend } from "../../src/index.ts";
import type {
  ChangelogOptions,
  CompletedCheckpoint,
  KeyedStateBackend,
  KeyedStateBackendOptions,
} from "../../src/index.ts";
import { quickDirectory } from "./subjects.ts";

/** The folder of the test under way. */
export let root = "";
export const opened: KeyedStateBackend[] = [];

beforeEach(() => {
  root = quickDirectory("varve-changelog-");
});

afterEach(async () => {
  for (const backend of opened.splice(0)) await backend.close();
  rmSync(root, { recursive: true, force: true });
});

export async function open(
  options: Partial<KeyedStateBackendOptions> = {},
  changelog: ChangelogOptions = {},
): Promise<KeyedStateBackend> {
  const { environment } = options;
  const backend = await openKeyedStateBackend({
    workingDirectory: join(root, "work"),
    checkpointStorage: fileSystemStorage(join(root, "checkpoints"), {}, environment),
    memoryBudgetBytes: 32 * MIB,
    policy: "changelog",
    changelog,
    restore: "latest-or-new",
    ...options,
  });
  opened.push(backend);
  return backend;
}

export async function close(backend: KeyedStateBackend): Promise<void> {
  opened.splice(opened.indexOf(backend), 1);
  await backend.close();
}

/** Keys from `first` on get this value; a list gets it as well. */
export function write(backend: KeyedStateBackend, value: number, first = 0, count = 100): void {
  const total = backend.valueState({ name: "total", value: f64 });
  const list = backend.listState({ name: "list", element: i64 });
  for (let key = first; key < first + count; key++) {
    backend.withKey(key, () => {
      total.update(value);
      list.add(value);
    });
  }
}

export function read(
  backend: KeyedStateBackend,
  key: number,
): readonly [number | undefined, number[]] {
  const total = backend.valueState({ name: "total", value: f64 });
  const list = backend.listState({ name: "list", element: i64 });
  return backend.withKey(key, () => [total.value(), [...(list.get() ?? [])]] as const);
}

/** What `read` gives of the first keys. */
export function readMany(backend: KeyedStateBackend, keys: number): unknown[] {
  return Array.from({ length: keys }, (_, key) => read(backend, key));
}

/** Of the newest checkpoint, in a backend that was opened anew. */
export async function reopened(
  backend: KeyedStateBackend,
  options: Partial<KeyedStateBackendOptions> = {},
): Promise<KeyedStateBackend> {
  await close(backend);
  return open({ restore: "latest", ...options });
}

/** Whether the checkpoint made a base of its own. */
export function madeBase({ phases, newFileCount }: CompletedCheckpoint): boolean {
  return phases.syncMs === 0 && newFileCount > 0;
}

export function isOwn(backend: KeyedStateBackend, key: number): boolean {
  try {
    return backend.withKey(key, () => true);
  } catch {
    return false; // Of a key group of another task.
  }
}

/** Names of the changelog segments in a folder. */
export function segmentsIn(folder: string): string[] {
  const isSegment = (name: string): boolean =>
    readFileSync(join(folder, name)).toString("latin1", 0, 8) === "VARVESEG";
  return readdirSync(folder).filter(isSegment);
}

/** What a checkpoint that the storage refused rejects with. */
export const isAborted: { readonly code: string; readonly reason: string } = {
  code: "VARVE_CHECKPOINT_ABORTED",
  reason: "storage",
};

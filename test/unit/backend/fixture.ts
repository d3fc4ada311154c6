// What the tests of src/backend share: folders and backends that are closed when the test ends.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { MIB, f64, fileSystemStorage, openKeyedStateBackend } from "../../../src/index.ts";
import type {
  CheckpointStorage,
  KeyedStateBackend,
  KeyedStateBackendOptions,
  ValueStateDescriptor,
} from "../../../src/index.ts";

export const total: ValueStateDescriptor<number> = { name: "total", value: f64 };

export class Workplace {
  readonly root: string;
  readonly workingDirectory: string;
  readonly checkpoints: string;

  constructor(parent: string = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()) {
    this.root = mkdtempSync(join(parent, "varve-backend-"));
    this.workingDirectory = join(this.root, "work");
    this.checkpoints = join(this.root, "checkpoints");
    onTestFinished(() => rmSync(this.root, { recursive: true, force: true }));
  }

  get storage(): CheckpointStorage {
    return fileSystemStorage(this.checkpoints);
  }

  options(options: Partial<KeyedStateBackendOptions> = {}): KeyedStateBackendOptions {
    return {
      ...(options.host === undefined ? { memoryBudgetBytes: 32 * MIB } : {}),
      workingDirectory: this.workingDirectory,
      checkpointStorage: this.storage,
      restore: "latest-or-new",
      ...options,
    };
  }

  async open(options: Partial<KeyedStateBackendOptions> = {}): Promise<KeyedStateBackend> {
    const backend = await openKeyedStateBackend(this.options(options));
    onTestFinished(() => backend.close().catch(() => undefined));
    return backend;
  }
}

/** Writes `value` under the keys from 0 on. */
export function writeAll(backend: KeyedStateBackend, count: number, value: number): void {
  const state = backend.valueState(total);
  for (let key = 0; key < count; key++) backend.withKey(key, () => state.update(value));
}

export function readOne(backend: KeyedStateBackend, key: number): number | undefined {
  const state = backend.valueState(total);
  return backend.withKey(key, () => state.value());
}

export function codeOf(error: unknown): string | undefined {
  return (error as { readonly code?: string } | undefined)?.code;
}

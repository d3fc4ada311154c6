// restoreVerification: "behind".
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, test } from "vitest";
import {
  type KeyedStateBackend,
  type KeyedStateBackendOptions,
  MIB,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
  openStateHost,
} from "../../../src/index.ts";
import type { OpenStateHost } from "../../../src/backend/state-host.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const rows = 6000;
const valueOf = (key: number) => Buffer.alloc(1000, `${key}-`);

class Place {
  readonly root = temporaryDirectory();

  open(options: Partial<KeyedStateBackendOptions> = {}): Promise<KeyedStateBackend> {
    return openKeyedStateBackend({
      workingDirectory: join(this.root, "work"),
      checkpointStorage: fileSystemStorage(join(this.root, "checkpoints")),
      restore: "latest",
      memoryBudgetBytes: 24 * MIB,
      lsm: { fileSizeBytes: MIB, compression: false },
      restoreVerification: "behind",
      ...options,
    });
  }

  async fill(): Promise<void> {
    const backend = await this.open({ restore: "latest-or-new" });
    const state = backend.valueState({ name: "value", value: bytes });
    for (let key = 0; key < rows; key++) {
      backend.setCurrentKey(key);
      state.update(valueOf(key));
      if (backend.needsDrain) await backend.drained();
    }
    await backend.checkpoint();
    await backend.close();
  }

  /** Stored table files, the largest first. */
  tables(): string[] {
    const directory = join(this.root, "checkpoints", "files");
    const paths = readdirSync(directory).map((name) => join(directory, name));
    return paths.sort((a, b) => statSync(b).size - statSync(a).size).slice(0, -1);
  }

  damage(path: string, change: (data: Buffer) => Buffer): void {
    const data = change(readFileSync(path));
    unlinkSync(path); // Not through the link that others may have.
    writeFileSync(path, data);
  }
}

function readAll(backend: KeyedStateBackend): void {
  const state = backend.valueState({ name: "value", value: bytes });
  for (let key = 0; key < rows; key += 7) {
    backend.setCurrentKey(key);
    assert.deepEqual(Buffer.from(state.value()!), valueOf(key));
  }
}

describe('restoreVerification "behind"', () => {
  test("serves every row, then a checkpoint completes and nothing is left behind", async () => {
    const place = new Place();
    await place.fill();
    const backend = await place.open();
    assert.ok(backend.stats().unverifiedFiles >= 0);
    readAll(backend);
    await backend.checkpoint();
    assert.equal(backend.stats().unverifiedFiles, 0);
    while (readdirSync(join(place.root, "work")).some((name) => name.startsWith("fetch-"))) {
      await delay(5);
    }
    await backend.close();
    const again = await place.open({ restoreVerification: "before" });
    readAll(again);
    await again.close();
  });

  test("a flipped byte in a row poisons, and no checkpoint completes", async () => {
    const place = new Place();
    await place.fill();
    const path = place.tables()[0]!;
    place.damage(path, (data) => {
      data[1000]! ^= 1;
      return data;
    });
    const checkpoints = readdirSync(join(place.root, "checkpoints", "metadata"));
    const backend = await place.open();
    backend.valueState({ name: "value", value: bytes });
    const stopped = new Promise<unknown>((resolve) => {
      const { signal } = backend;
      if (signal.aborted) resolve(signal.reason);
      signal.addEventListener("abort", () => resolve(signal.reason));
    });
    const failure = await backend.checkpoint().catch((error: unknown) => error);
    assert.equal((failure as { code: string }).code, "VARVE_POISONED");
    const reason = (await stopped) as Error & { code: string };
    assert.equal(reason.code, "VARVE_POISONED");
    assert.match(String((reason.cause as Error).message), /SHA-256/);
    assert.throws(() => backend.setCurrentKey(1), { code: "VARVE_POISONED" });
    await backend.close();
    assert.deepEqual(readdirSync(join(place.root, "checkpoints", "metadata")), checkpoints);
    assert.deepEqual(
      readdirSync(join(place.root, "work")).filter((name) => name.startsWith("fetch-")),
      [],
    );
  });

  test("a table that reaches beyond the backend's key groups is clipped, and verified whole behind", async () => {
    const place = new Place();
    await place.fill();
    const halfOf = (name: string, first = 0): Partial<KeyedStateBackendOptions> => ({
      keyGroups: { max: 128, first, last: first + 63 },
      workingDirectory: join(place.root, `half-${name}`),
      checkpointStorage: fileSystemStorage(join(place.root, `own-${name}`)),
      restore: join(place.root, "checkpoints"),
    });
    const intact = await place.open(halfOf("intact"));
    assert.ok(intact.stats().clippedFiles > 0);
    intact.valueState({ name: "value", value: bytes });
    await intact.checkpoint();
    await intact.close();
    let clipped = 0;
    for (const [index, path] of place.tables().entries()) {
      const flip = (data: Buffer): Buffer => {
        data[1000]! ^= 1;
        return data;
      };
      place.damage(path, flip);
      const outcomes = new Set<string>();
      for (const first of [0, 64]) {
        outcomes.add(await outcomeOf(place.open(halfOf(`${index}-${first}`, first))));
      }
      assert.ok(outcomes.has("VARVE_POISONED") || outcomes.has("VARVE_CORRUPTION"), path);
      if (!outcomes.has("completed")) clipped++; // The row is of one half, and the file of both.
      place.damage(path, flip);
    }
    assert.ok(clipped > 0);
  });

  async function outcomeOf(opening: Promise<KeyedStateBackend>): Promise<string> {
    let backend: KeyedStateBackend | undefined;
    try {
      backend = await opening;
      backend.valueState({ name: "value", value: bytes });
      await backend.checkpoint();
      return "completed";
    } catch (error) {
      return (error as { readonly code: string }).code;
    } finally {
      await backend?.close();
    }
  }

  test.each(["canonical", "native"] as const)(
    "a flipped byte in a row never gets into a %s savepoint",
    async (format) => {
      const place = new Place();
      await place.fill();
      place.damage(place.tables()[0]!, (data) => {
        data[1000]! ^= 1;
        return data;
      });
      const backend = await place.open();
      backend.valueState({ name: "value", value: bytes });
      const directory = join(place.root, "savepoint");
      await assert.rejects(backend.savepoint(directory, { format }), { code: "VARVE_POISONED" });
      await backend.close();
      await assert.rejects(place.open({ restore: directory }), {
        code: "VARVE_CHECKPOINT_NOT_FOUND",
      });
    },
  );

  test.each<[string, (backend: KeyedStateBackend, root: string) => Promise<unknown>]>([
    ["checkpoint", (backend) => backend.checkpoint()],
    ["snapshot", (backend) => backend.snapshot(9).result],
    ["native savepoint", (backend, root) => backend.savepoint(root, { format: "native" })],
    ["canonical savepoint", (backend, root) => backend.savepoint(root, { format: "canonical" })],
  ])("no %s ends while a file is unverified", async (_what, take) => {
    const place = new Place();
    await place.fill();
    await using host = (await openStateHost({ memoryBudgetBytes: 24 * MIB })) as OpenStateHost;
    // Method: verification waits at a gate, everything else goes on.
    const { workers } = host;
    const submit = workers.submit.bind(workers);
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    workers.submit = async (name, request, options) => {
      if (name === "verifyFile") await gate;
      return submit(name, request, options);
    };
    await using backend = await place.open({ host, memoryBudgetBytes: undefined });
    backend.valueState({ name: "value", value: bytes });
    const taken = take(backend, join(place.root, "savepoint")).then(() => "ended");
    const first = await Promise.race([taken, delay(700, "waits")]);
    open();
    assert.equal(first, "waits");
    assert.equal(await taken, "ended");
    assert.equal(backend.stats().unverifiedFiles, 0);
  });

  test.each<[string, (data: Buffer) => Buffer]>([
    ["cut", (data) => data.subarray(0, -1)],
    [
      "with a damaged footer",
      (data) => {
        data[data.length - 1]! ^= 1;
        return data;
      },
    ],
    [
      "with a damaged index",
      (data) => {
        data[data.length - 100]! ^= 1;
        return data;
      },
    ],
  ])("a table %s is refused before the first read", async (_what, change) => {
    const place = new Place();
    await place.fill();
    place.damage(place.tables()[0]!, change);
    await assert.rejects(place.open(), { code: "VARVE_CORRUPTION" });
    const left = readdirSync(join(place.root, "work")).filter((name) => !name.startsWith("lock"));
    assert.deepEqual(left, []);
  });

  test("closing before all is verified waits for nothing", async () => {
    const place = new Place();
    await place.fill();
    const backend = await place.open();
    backend.valueState({ name: "value", value: bytes });
    const checkpoint = backend.checkpoint().catch((error: unknown) => error);
    await backend.close();
    const outcome = (await checkpoint) as { code?: string };
    assert.ok(outcome.code === undefined || outcome.code === "VARVE_CHECKPOINT_ABORTED");
    const left = readdirSync(join(place.root, "work")).filter((name) => !name.startsWith("lock"));
    assert.deepEqual(left, []);
  });

  test("is refused for the memory backend", async () => {
    const place = new Place();
    await assert.rejects(
      place.open({ backend: "memory", policy: "full", restore: "latest-or-new" }),
      { code: "VARVE_INVALID_ARGUMENT", message: /restoreVerification/ },
    );
  });

  test("a branch copies nothing and disturbs neither the job nor the checkpoint", async () => {
    const place = new Place();
    await place.fill();
    const job = await place.open({ restoreVerification: "before" });
    readAll(job);
    const branch = await place.open({
      workingDirectory: join(place.root, "branch-work"),
      checkpointStorage: fileSystemStorage(join(place.root, "branch")),
      restore: join(place.root, "checkpoints"),
    });
    readAll(branch);
    const state = branch.valueState({ name: "value", value: bytes });
    for (let key = 0; key < rows; key++) {
      branch.setCurrentKey(key);
      state.update(Buffer.from("other"));
    }
    await branch.checkpoint();
    assert.equal(branch.stats().copiedFiles, 0);
    // The job goes on, and deletes the checkpoint that the branch came from.
    for (let round = 0; round < 3; round++) await job.checkpoint();
    readAll(job);
    for (let key = 0; key < rows; key += 7) {
      branch.setCurrentKey(key);
      assert.equal(Buffer.from(state.value()!).toString(), "other");
    }
    await branch.close();
    await job.close();
    const again = await place.open();
    readAll(again);
    await again.close();
  });
});

// A backend whose cold tier is a map: real states, write buffer, tier and drain code over a store
// that does each step of a drain or prefetch only when the test says so. No threads, no disk.
import { nodeEnvironment } from "../../src/environment/node-environment.ts";
import { BackendStatus } from "../../src/backend/backend-status.ts";
import { BufferedKeyedStateBackend } from "../../src/backend/keyed-backend.ts";
import { LsmTier } from "../../src/backend/lsm-tier.ts";
import { StateCatalog } from "../../src/backend/state-catalog.ts";
import type { Key } from "../../src/api/state.ts";
import type { StateSchema } from "../../src/api/keyed-state-backend.ts";
import { Drain } from "../../src/lsm/drain.ts";
import type { DrainRequest, DrainResult } from "../../src/lsm/drain-request.ts";
import type { LevelDatabase } from "../../src/lsm/level-database.ts";
import type { LsmStore } from "../../src/lsm/lsm-store.ts";
import { readPackedRows } from "../../src/lsm/prefetch.ts";
import { ChunkPool } from "../../src/memory/chunk-pool.ts";
import { Epochs } from "../../src/memory/epochs.ts";
import { WriteBuffer } from "../../src/memory/write-buffer.ts";
import { ScratchSink } from "../../src/state/byte-sink.ts";
import { ScratchSource } from "../../src/state/byte-source.ts";
import { KeyContext } from "../../src/state/key-context.ts";
import { CHUNK_BYTES } from "../../src/format/row-record.ts";

export const keyGroups = { max: 8, first: 0, last: 7 };

/** Stored rows by their key as latin1. */
export type Rows = Map<string, Uint8Array>;

interface Step {
  readonly kind: "drain" | "prefetch";
  isApplied: boolean;
  apply(): Promise<void>;
  resolve(): void;
}

/** As LsmStore, with steps that are taken one by one. */
class SteppedStore {
  readonly rows: Rows;
  readonly steps: Step[] = [];
  readonly failure = undefined;
  drainedBoundary = 0;
  readonly #drain: Drain;

  constructor(rows: Rows, arena: SharedArrayBuffer) {
    this.rows = rows;
    const database = {
      getSync: (key: Uint8Array) => this.get(key),
      status: "open",
      batch: () => new FakeBatch(rows),
    };
    this.#drain = new Drain(database as unknown as LevelDatabase, arena);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.rows.get(Buffer.from(key).toString("latin1"))?.slice();
  }

  drain(request: DrainRequest): Promise<DrainResult> {
    return this.#enqueue("drain", async () => {
      const result = await this.#drain.run(request, () => undefined);
      this.drainedBoundary = request.boundary;
      return result;
    });
  }

  prefetch(keys: Uint8Array): Promise<Uint8Array> {
    return this.#enqueue("prefetch", async () => readPackedRows(keys, (key) => this.get(key)));
  }

  #enqueue<T>(kind: Step["kind"], work: () => Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      let result: T;
      const step: Step = {
        kind,
        isApplied: false,
        async apply() {
          result = await work();
          step.isApplied = true;
        },
        resolve: () => resolve(result),
      };
      this.steps.push(step);
    });
  }

  waitDrained(): boolean {
    throw new Error("the test let the buffer fill up");
  }
}

/** The half of a chained batch that `reusableBatch` uses. */
class FakeBatch {
  readonly #rows: Rows;
  readonly #changes: (readonly [string, Uint8Array | undefined])[] = [];

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  _put(key: Uint8Array, row: Uint8Array): void {
    this.#changes.push([Buffer.from(key).toString("latin1"), row.slice()]);
  }

  _del(key: Uint8Array): void {
    this.#changes.push([Buffer.from(key).toString("latin1"), undefined]);
  }

  async _write(): Promise<void> {
    for (const [key, row] of this.#changes) {
      if (row === undefined) this.#rows.delete(key);
      else this.#rows.set(key, row);
    }
  }

  _clear(): void {
    this.#changes.length = 0;
  }
}

/** What a restart hands on. */
export interface RigImage {
  readonly rows: Rows;
  readonly states: readonly StateSchema[];
  readonly changeNumberBase: number;
}

export class Rig {
  readonly backend: BufferedKeyedStateBackend;
  readonly buffer: WriteBuffer;
  readonly store: SteppedStore;
  readonly #catalog: StateCatalog;
  readonly #tier: LsmTier;
  readonly #pool: ChunkPool;
  readonly #changeNumberBase: number;

  constructor(chunks: number, image?: RigImage) {
    const epochs = new Epochs();
    const context = new KeyContext(keyGroups, epochs);
    this.#pool = new ChunkPool(chunks * CHUNK_BYTES + 65_536);
    this.#changeNumberBase = image?.changeNumberBase ?? 0;
    this.#catalog = new StateCatalog(image?.states ?? []);
    const store = new SteppedStore(new Map(image?.rows ?? []), this.#pool.arena);
    this.store = store;
    const status = new BackendStatus(() => context.refuse(status.refusal));
    const cold = {
      get isEmpty(): boolean {
        return image === undefined && buffer.ledger.requested === 0;
      },
      getSync: (key: Uint8Array) => store.get(key),
    };
    const owner = {
      generationSealed: (boundary: number) => this.#tier.drains.sealed(boundary),
      exhausted: (): never => {
        throw new Error("the buffer is exhausted");
      },
    };
    const buffer: WriteBuffer = new WriteBuffer(this.#pool, cold, owner, epochs);
    this.buffer = buffer;
    const common = { buffer, status, keyGroups, changeNumberBase: this.#changeNumberBase };
    this.#tier = new LsmTier({
      ...common,
      environment: nodeEnvironment(),
      store: store as unknown as LsmStore,
      prefetchTargets: (keys: readonly Key[]) =>
        this.#catalog.prefetchTargets(keys, new KeyContext(keyGroups)),
    } as unknown as ConstructorParameters<typeof LsmTier>[0]);
    const states = {
      context,
      buffer,
      sink: new ScratchSink(),
      keySink: new ScratchSink(),
      source: new ScratchSource(buffer.u8),
      changeNumberBase: this.#changeNumberBase,
      scanKeys: (): never => {
        throw new Error("not in this test");
      },
    };
    this.backend = new BufferedKeyedStateBackend({
      ...common,
      context,
      states,
      catalog: this.#catalog,
      tier: this.#tier,
    } as unknown as ConstructorParameters<typeof BufferedKeyedStateBackend>[0]);
  }

  /** Seals, as a checkpoint does, and requests the drain. */
  cut(): void {
    void this.#tier.drains.request(this.buffer.seal());
  }

  /** Does the work of the next step that is not done yet; nobody on this side knows of it. */
  async apply(): Promise<void> {
    await this.store.steps.find((step) => !step.isApplied)?.apply();
  }

  /** Lets this side know of the oldest step of a kind, if it is done. */
  async resolve(kind: Step["kind"]): Promise<void> {
    const { steps } = this.store;
    const index = steps.findIndex((step) => step.kind === kind);
    if (steps[index]?.isApplied !== true) return;
    steps.splice(index, 1)[0]!.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Makes room, as a caller who awaits `drained` does. */
  async relieve(): Promise<void> {
    if (!this.buffer.isPressed && !this.backend.needsDrain) return;
    await this.finishDrains();
    if (!this.buffer.isPressed && !this.backend.needsDrain) return;
    this.cut();
    await this.finishDrains();
  }

  async finishDrains(): Promise<void> {
    while (this.store.steps.some((step) => step.kind === "drain")) {
      await this.apply();
      await this.resolve("drain");
    }
  }

  /** Everything drained, as a checkpoint would have it; the rig stays usable. */
  async image(): Promise<RigImage> {
    this.cut();
    await this.finishDrains();
    return {
      rows: new Map(this.store.rows),
      states: this.#catalog.schemas(),
      changeNumberBase: this.#changeNumberBase + this.buffer.ledger.drained,
    };
  }

  /** What the buffer owns must add up (the ledger's G2). */
  checkAccounts(): void {
    const { ledger, i32, index } = this.buffer;
    const live = new Map<number, number>();
    let indexed = 0;
    for (let at = 0; at < index.slots.length; at += 2) {
      if (index.slots[at + 1] !== 0) indexed++;
    }
    for (const { chunk, usedUnits } of ledger.extents(0, ledger.active)) {
      let units = 0;
      for (let unit = chunk << 16; unit < (chunk << 16) + usedUnits;) {
        const size = i32[unit * 2 + 2]! >>> 16;
        if (size === 0) throw new Error("a record has no size");
        if (i32[unit * 2 + 3] === 0) units += size;
        unit += size;
      }
      live.set(chunk, units);
    }
    for (const [chunk, units] of live) {
      if (ledger.liveUnits[chunk] !== units) throw new Error(`live units of chunk ${chunk}`);
    }
    if (live.size !== ledger.ownedCount) throw new Error("owned chunks");
    if (indexed !== index.count) throw new Error("index count");
  }
}

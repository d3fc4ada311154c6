// Every damage of small checkpoints of each kind: noticed before a value is served; in mode "behind" before
// a checkpoint completes. All are tried on what a restore reads and verifies, some on whole backends.
import { Child } from "../../../bench/support/child.ts";
import { StateBackendError } from "../../../src/errors.ts";
import type { RestoreVerification } from "../../../src/index.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";
import { type Damage, Damages } from "./damages.ts";
import { GoldenStore } from "./golden-store.ts";
import { type Golden, goldens, objectsOf } from "./goldens.ts";
import type { RestoreReply, RestoreRequest } from "./restore.process.ts";

const DAMAGES_PER_SEED = 1000;
/** Of those, with a whole backend that verifies before, and behind. */
const WHOLE_EVERY = 1000;
const BEHIND_EVERY = 1000;

interface Subject {
  readonly index: number;
  readonly golden: Golden;
  readonly objects: ReadonlyMap<string, Buffer>;
  readonly damages: Damages;
}

const subjects: readonly Subject[] = goldens.map((golden, index) => {
  const objects = objectsOf(golden);
  return { index, golden, objects, damages: new Damages(objects) };
});
const damageCount = subjects.reduce((sum, { damages }) => sum + damages.count, 0);
const seedCount = Math.ceil(damageCount / DAMAGES_PER_SEED);
/** Has nothing in common with what divides the numbers: another place of every file each time. */
const WHOLE_STEP = 37;

interface Opened {
  readonly store: GoldenStore;
  readonly digest: string;
}

class BitflipRun implements PartRun {
  readonly #opened = new Map<Subject, Opened>();
  #child: Child | undefined;

  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    // Far apart: each seed has some of every file.
    for (let number = seed - 1; number < damageCount; number += seedCount) {
      const { subject, damage } = damageAt(number);
      await this.#read(subject, damage, tally);
      // Spread over all bits of a byte and all kinds.
      const turn = Math.floor(number / seedCount) + seed * WHOLE_STEP;
      if (turn % WHOLE_EVERY === 0) {
        await this.#whole(subject, damage, "before", tally);
      }
      const isOfTables = subject.golden.options.backend !== "memory";
      if (isOfTables && turn % BEHIND_EVERY === 1) {
        await this.#whole(subject, damage, "behind", tally);
      }
    }
    return tally;
  }

  async #storeOf(subject: Subject): Promise<Opened> {
    const known = this.#opened.get(subject);
    if (known !== undefined) return known;
    const store = new GoldenStore();
    await store.open(subject.objects);
    const opened = { store, digest: await store.digest() };
    this.#opened.set(subject, opened);
    return opened;
  }

  async #read(subject: Subject, damage: Damage, tally: Tally): Promise<void> {
    const { store, digest } = await this.#storeOf(subject);
    const what = `${subject.golden.name}, ${damage.text}`;
    tally.trials++;
    tally.count(damage.kind);
    const isNeeded = needs(store, subject, damage);
    try {
      const found = await store.whileDamaged(damage.names, damage.bytes, subject.objects, () =>
        store.digest(),
      );
      if (found !== digest) tally.fail("served", what);
      else if (isNeeded) tally.fail("unnoticed", what);
      else tally.count("harmless");
    } catch (error) {
      const isTyped = error instanceof StateBackendError && error.code !== "VARVE_INVARIANT";
      if (!isTyped) tally.fail("untyped", `${what}: ${String(error)}`);
      else if (isNeeded) tally.count("refused");
      else tally.fail("refusedInVain", `${what}: ${error.message}`);
    }
  }

  async #whole(
    subject: Subject,
    damage: Damage,
    verification: RestoreVerification,
    tally: Tally,
  ): Promise<void> {
    const { store } = await this.#storeOf(subject);
    const isNeeded = needs(store, subject, damage);
    const request: RestoreRequest = {
      golden: subject.index,
      names: damage.names,
      bytes: damage.bytes.map((bytes) => bytes?.toString("base64") ?? null),
      verification,
    };
    this.#child ??= new Child(new URL("restore.process.js", import.meta.url));
    tally.trials++;
    tally.count(verification === "before" ? "wholeBefore" : "wholeBehind");
    let reply: RestoreReply;
    try {
      reply = await this.#child.call<RestoreReply>("restore", request);
    } catch (error) {
      this.#child = undefined;
      // Unverified bytes may end the process (docs/guarantees.md, G4): no checkpoint has completed then.
      const mayEnd = verification === "behind" && isNeeded;
      if (mayEnd && String(error).includes("process ended")) tally.count("endedProcess");
      else tally.fail("untyped", `${subject.golden.name}, ${damage.text}: ${String(error)}`);
      return;
    }
    const isGood = isNeeded ? reply.outcome === "refused" : reply.outcome === intact[verification];
    if (isGood) return;
    const what = `${subject.golden.name}, ${damage.text}, ${verification}`;
    tally.fail(
      reply.outcome === "untyped" ? "untyped" : "served",
      `${what}: ${reply.outcome}, ${reply.detail}`,
    );
  }

  async close(): Promise<void> {
    await this.#child?.close();
    for (const { store } of this.#opened.values()) await store.close();
  }
}

const intact = { before: "right", behind: "completed" } as const;

function damageAt(number: number): { subject: Subject; damage: Damage } {
  let index = number;
  for (const subject of subjects) {
    if (index < subject.damages.count) return { subject, damage: subject.damages.at(index) };
    index -= subject.damages.count;
  }
  throw new RangeError(`there are ${damageCount} damages`);
}

/** Whether it changes bytes that a restore depends on. What follows in a segment is not looked at. */
function needs(store: GoldenStore, { objects }: Subject, damage: Damage): boolean {
  return damage.names.some((name, index) => {
    const length = store.dependsOn.get(name) ?? 0;
    const clean = objects.get(name)!;
    const bytes = damage.bytes[index];
    if (bytes === undefined) return length > 0;
    const isSegment = clean.subarray(0, 8).toString("latin1") === "VARVESEG";
    const isLonger = length > 0 && bytes.length > clean.length && !isSegment;
    return isLonger || Buffer.compare(bytes.subarray(0, length), clean.subarray(0, length)) !== 0;
  });
}

export const bitflip: Part = {
  name: "bitflip",
  what: "every damage of small checkpoints of each kind",
  unit: "damages",
  asked: 1_000_000,
  sliceSeeds: 4,
  lastSeed: seedCount,
  open: async () => new BitflipRun(),
};

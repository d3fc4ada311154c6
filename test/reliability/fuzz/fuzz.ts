// Every decoder: returns or throws a typed error, quickly, in little memory, and changes no prototype.
import { isDeepStrictEqual } from "node:util";
import { seededRandom } from "../../../src/environment/seeded-random.ts";
import {
  CorruptionError,
  IncompatibleSerializerError,
  UnsupportedFormatError,
} from "../../../src/errors.ts";
import { type Part, type PartRun, Tally, type TrialResult } from "../part.ts";
import { type Random, mutated } from "./mutator.ts";
import type { Target } from "./target.ts";
import { checkpointTargets } from "./targets-checkpoint.ts";
import { fileTargets } from "./targets-files.ts";
import { rowTargets } from "./targets-rows.ts";

/** Of each decoder, with one seed. */
const INPUTS_PER_SEED = 2000;
const INPUTS_PER_MEMORY_CHECK = 250;
const MILLISECONDS_MAX = 50;
const MEMORY_KIB_MAX = 65_536;
/** So many of the sealed and unsealed inputs together must get past checksums. */
const PAST_CHECKSUM_MIN = 0.2;
const checksumRefusals = /checksum|SHA-256 of/;

const targets: readonly Target[] = [...checkpointTargets, ...fileTargets, ...rowTargets];

interface Counts {
  inputs: number;
  pastChecksum: number;
  accepted: number;
  ms: number;
}

class FuzzRun implements PartRun {
  readonly #counts = new Map<string, Counts>();

  async trial(seed: number): Promise<TrialResult> {
    const tally = new Tally();
    for (const [index, target] of targets.entries()) {
      const next = seededRandom(seed * 1009 + index);
      const random: Random = (below) => Math.floor(next() * below);
      this.#fuzz(target, random, tally);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return tally;
  }

  #fuzz(target: Target, random: Random, tally: Tally): void {
    const counts = { inputs: 0, pastChecksum: 0, accepted: 0, ms: 0 };
    const shapes = prototypeShapes();
    let peak = process.resourceUsage().maxRSS;
    for (let number = 0; number < INPUTS_PER_SEED; number++) {
      const { bytes, isSealed } = inputOf(target, random);
      attack(target, bytes, isSealed, counts, tally);
      if (number % INPUTS_PER_MEMORY_CHECK > 0) continue;
      const grown = process.resourceUsage().maxRSS - peak;
      if (grown > MEMORY_KIB_MAX) tally.fail("memory", `${target.name}: ${grown} KiB`);
      peak += grown;
    }
    if (!isDeepStrictEqual(shapes, prototypeShapes())) tally.fail("prototype", target.name);
    if (counts.pastChecksum < counts.inputs * PAST_CHECKSUM_MIN) {
      tally.fail("tooShallow", `${target.name}: ${counts.pastChecksum} of ${counts.inputs}`);
    }
    tally.trials += counts.inputs;
    tally.count("pastChecksum", counts.pastChecksum);
    tally.count("accepted", counts.accepted);
    const sum = this.#counts.get(target.name) ?? { inputs: 0, pastChecksum: 0, accepted: 0, ms: 0 };
    for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += counts[name];
    this.#counts.set(target.name, sum);
  }

  details(): Readonly<Record<string, unknown>> {
    const all = [...this.#counts.values()];
    const perSecond = Object.fromEntries(
      [...this.#counts].map(([name, { inputs, ms }]) => [name, Math.round((inputs / ms) * 1000)]),
    );
    const least = Math.min(...all.map(({ inputs }) => inputs));
    return { decoders: targets.length, inputsPerDecoder: least, inputsPerSecond: perSecond };
  }

  async close(): Promise<void> {}
}

interface Input {
  readonly bytes: Uint8Array;
  /** Whether no checksum speaks against it. */
  readonly isSealed: boolean;
}

function inputOf({ corpus, seal }: Target, random: Random): Input {
  const clean = corpus[random(corpus.length)]!;
  const other = corpus[random(corpus.length)]!;
  const kind = random(8);
  if (kind === 0) {
    const bytes = Uint8Array.from({ length: random(200) }, () => random(256));
    return { bytes, isSealed: seal === undefined };
  }
  if (seal === undefined) return { bytes: mutated(clean, other, random), isSealed: true };
  const isSealed = kind < 6;
  const bytes = isSealed
    ? seal(mutated(clean, other, random))
    : mutated(seal(clean), other, random);
  return { bytes, isSealed };
}

function attack(
  target: Target,
  input: Uint8Array,
  isSealed: boolean,
  counts: Counts,
  tally: Tally,
): void {
  counts.inputs++;
  const copy = new Uint8Array(input);
  const begun = performance.now();
  let value: unknown;
  let thrown: unknown;
  let hasThrown = false;
  try {
    value = target.decode(input);
  } catch (error) {
    hasThrown = true;
    thrown = error;
  }
  const ms = performance.now() - begun;
  counts.ms += ms;
  if (ms > MILLISECONDS_MAX && isSlow(target, copy)) tally.fail("slow", describe(target, copy, ms));
  if (hasThrown) {
    if (!isTyped(thrown)) tally.fail("untyped", describe(target, copy, thrown));
    else if (isSealed && !checksumRefusals.test(thrown.message)) counts.pastChecksum++;
    return;
  }
  counts.accepted++;
  counts.pastChecksum++;
  if (Buffer.compare(input, copy) !== 0) tally.fail("changedInput", describe(target, copy, ""));
  if (target.encode !== undefined) compare(target, copy, value as never, tally);
}

function isTyped(error: unknown): error is Error {
  return (
    error instanceof CorruptionError ||
    error instanceof UnsupportedFormatError ||
    error instanceof IncompatibleSerializerError
  );
}

/** Whether it is the input that takes long, and not a machine that was busy. */
function isSlow(target: Target, input: Uint8Array): boolean {
  for (let again = 0; again < 3; again++) {
    const begun = performance.now();
    try {
      target.decode(new Uint8Array(input));
    } catch {
      // It was looked at before.
    }
    if (performance.now() - begun <= MILLISECONDS_MAX) return false;
  }
  return true;
}

function compare(target: Target, input: Uint8Array, value: never, tally: Tally): void {
  try {
    const first = target.encode!(value);
    if (target.isCanonical === true) {
      if (Buffer.compare(first, input) === 0) return;
      tally.fail("notCanonical", describe(target, input, hexOf(first)));
      return;
    }
    if (first.length === 0) return; // What says nothing, such as a damaged hint.
    const second = target.encode!(target.decode(new Uint8Array(first)) as never);
    if (Buffer.compare(first, second) === 0) return;
    tally.fail("notStable", describe(target, input, hexOf(second)));
  } catch (error) {
    tally.fail("notEncoded", describe(target, input, error));
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 200)).toString("hex");
}

function describe({ name }: Target, input: Uint8Array, what: unknown): string {
  return `${name}: ${hexOf(input)}: ${String(what)}`;
}

function prototypeShapes(): unknown {
  const prototypes = [Object, Array, Function, String, Number, Map, Uint8Array, Error];
  return prototypes.map(({ name, prototype }) => [name, Reflect.ownKeys(prototype as object)]);
}

export const fuzz: Part = {
  name: "fuzz",
  what: "every decoder of stored bytes, with inputs that its checksums let pass",
  unit: "inputs",
  asked: 10_000_000 * targets.length,
  sliceSeeds: 2,
  open: async () => new FuzzRun(),
};

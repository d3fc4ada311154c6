// The operators whose state accesses Gadget's study evaluates (Asyabi et al., "A New Benchmark Harness
// for Systematic and Robust Evaluation of Streaming State Stores", EuroSys 2022): tumbling, sliding and
// session windows, incremental and holistic; window, interval and continuous joins; aggregation.
import type { WindowStore } from "../stores/window-store.ts";
import { fold } from "../support/sequences.ts";
import type { Events } from "./events.ts";

export const operatorNames = [
  "tumbling-incremental",
  "tumbling-holistic",
  "sliding-incremental",
  "sliding-holistic",
  "session-incremental",
  "session-holistic",
  "tumbling-join",
  "sliding-join",
  "interval-join",
  "continuous-join",
  "continuous-aggregation",
] as const;
export type OperatorName = (typeof operatorNames)[number];

export interface Operator {
  /** One event, and what its watermark makes due. */
  process(event: Events): void;
  /** Of all results so far. */
  readonly output: number;
}

const windowMs = 5000;
const slideMs = 1000;
const sessionGapMs = 2000;
const intervalMs = 1000;

export function operatorOf(name: OperatorName, store: WindowStore): Operator {
  const [kind, how] = name.split("-");
  if (kind === "session") return new Sessions(store, how === "holistic");
  if (name === "interval-join") return new IntervalJoin(store);
  if (name === "continuous-join") return new ContinuousJoin(store);
  if (name === "continuous-aggregation") return new Aggregation(store);
  const slide = kind === "sliding" ? slideMs : windowMs;
  return how === "join"
    ? new WindowJoin(store, slide)
    : new Windows(store, slide, how !== "incremental");
}

/** Which keys are due when. Times are multiples of a step. */
class Dues {
  readonly #keys = new Map<number, Set<number>>();
  readonly #stepMs: number;
  #next = 0;

  constructor(stepMs: number) {
    this.#stepMs = stepMs;
  }

  add(atMs: number, key: number): void {
    const step = Math.ceil(atMs / this.#stepMs);
    const keys = this.#keys.get(step);
    if (keys === undefined) this.#keys.set(step, new Set([key]));
    else keys.add(key);
  }

  /** Calls back for all that is due up to then, in order. */
  advance(watermarkMs: number, due: (atMs: number, key: number) => void): void {
    for (; this.#next * this.#stepMs <= watermarkMs; this.#next++) {
      const keys = this.#keys.get(this.#next);
      if (keys === undefined) continue;
      this.#keys.delete(this.#next);
      for (const key of keys) due(this.#next * this.#stepMs, key);
    }
  }
}

/** The starts of the windows that hold a time. */
function* startsOf(timeMs: number, slide: number): Generator<number> {
  const last = Math.floor(timeMs / slide) * slide;
  for (let start = last; start > timeMs - windowMs && start >= 0; start -= slide) yield start;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

class Windows implements Operator {
  readonly #store: WindowStore;
  readonly #slide: number;
  readonly #isHolistic: boolean;
  readonly #dues: Dues;
  output = 0;

  constructor(store: WindowStore, slide: number, isHolistic: boolean) {
    this.#store = store;
    this.#slide = slide;
    this.#isHolistic = isHolistic;
    this.#dues = new Dues(slide);
  }

  process({ key, timeMs, value, watermarkMs }: Events): void {
    for (const start of startsOf(timeMs, this.#slide)) {
      if (this.#isHolistic) this.#store.append(key, start, value);
      else this.#store.putNumber(key, start, (this.#store.getNumber(key, start) ?? 0) + value);
      this.#dues.add(start + windowMs, key);
    }
    this.#dues.advance(watermarkMs, (endMs, dueKey) => this.#fire(dueKey, endMs - windowMs));
  }

  #fire(key: number, start: number): void {
    if (this.#isHolistic) {
      this.output = fold(this.output, sumOf(this.#store.list(key, start)));
      this.#store.removeList(key, start);
    } else {
      this.output = fold(this.output, this.#store.getNumber(key, start));
      this.#store.removeNumber(key, start);
    }
  }
}

/** A window of its own for each row of a session: where it ends, and what is in it. */
const sessionEnd = 1;
const sessionContent = 2;

class Sessions implements Operator {
  readonly #store: WindowStore;
  readonly #isHolistic: boolean;
  readonly #dues = new Dues(100);
  output = 0;

  constructor(store: WindowStore, isHolistic: boolean) {
    this.#store = store;
    this.#isHolistic = isHolistic;
  }

  process({ key, timeMs, value, watermarkMs }: Events): void {
    const store = this.#store;
    const end = store.getNumber(key, sessionEnd);
    if (end !== undefined && timeMs >= end) this.#fire(key);
    if (this.#isHolistic) store.append(key, sessionContent, value);
    else store.putNumber(key, sessionContent, (store.getNumber(key, sessionContent) ?? 0) + value);
    if (end === undefined || timeMs + sessionGapMs > end) {
      store.putNumber(key, sessionEnd, timeMs + sessionGapMs);
      this.#dues.add(timeMs + sessionGapMs, key);
    }
    this.#dues.advance(watermarkMs, (atMs, dueKey) => {
      const ends = store.getNumber(dueKey, sessionEnd);
      if (ends !== undefined && ends <= atMs) this.#fire(dueKey);
    });
  }

  #fire(key: number): void {
    const store = this.#store;
    if (this.#isHolistic) {
      this.output = fold(this.output, sumOf(store.list(key, sessionContent)));
      store.removeList(key, sessionContent);
    } else {
      this.output = fold(this.output, store.getNumber(key, sessionContent));
      store.removeNumber(key, sessionContent);
    }
    store.removeNumber(key, sessionEnd);
  }
}

/** Left rows lie in even windows, right ones in odd ones. */
function sideOf(start: number, isLeft: boolean): number {
  return 2 * start + (isLeft ? 0 : 1);
}

class WindowJoin implements Operator {
  readonly #store: WindowStore;
  readonly #slide: number;
  readonly #dues: Dues;
  output = 0;

  constructor(store: WindowStore, slide: number) {
    this.#store = store;
    this.#slide = slide;
    this.#dues = new Dues(slide);
  }

  process({ key, timeMs, value, isLeft, watermarkMs }: Events): void {
    for (const start of startsOf(timeMs, this.#slide)) {
      this.#store.append(key, sideOf(start, isLeft), value);
      this.#dues.add(start + windowMs, key);
    }
    this.#dues.advance(watermarkMs, (endMs, dueKey) => this.#fire(dueKey, endMs - windowMs));
  }

  #fire(key: number, start: number): void {
    const left = this.#store.list(key, sideOf(start, true));
    const right = this.#store.list(key, sideOf(start, false));
    for (const one of left) {
      for (const other of right) this.output = fold(this.output, one * other);
    }
    if (left.length > 0) this.#store.removeList(key, sideOf(start, true));
    if (right.length > 0) this.#store.removeList(key, sideOf(start, false));
  }
}

/** Rows of both sides whose times are at most an interval apart: each side is kept in buckets of one. */
class IntervalJoin implements Operator {
  readonly #store: WindowStore;
  readonly #dues = new Dues(intervalMs);
  output = 0;

  constructor(store: WindowStore) {
    this.#store = store;
  }

  process({ key, timeMs, value, isLeft, watermarkMs }: Events): void {
    const bucket = Math.floor(timeMs / intervalMs);
    for (let near = Math.max(0, bucket - 1); near <= bucket + 1; near++) {
      const rows = this.#store.list(key, sideOf(near, !isLeft));
      for (let i = 0; i < rows.length; i += 2) {
        if (Math.abs(rows[i]! - timeMs) > intervalMs) continue;
        this.output = fold(this.output, value * rows[i + 1]!);
      }
    }
    this.#store.append(key, sideOf(bucket, isLeft), timeMs);
    this.#store.append(key, sideOf(bucket, isLeft), value);
    this.#dues.add((bucket + 2) * intervalMs, key);
    this.#dues.advance(watermarkMs - intervalMs, (atMs, dueKey) => {
      const old = atMs / intervalMs - 2;
      this.#store.removeList(dueKey, sideOf(old, true));
      this.#store.removeList(dueKey, sideOf(old, false));
    });
  }
}

/** A right row matches all left ones of its key so far, and ends them. */
class ContinuousJoin implements Operator {
  readonly #store: WindowStore;
  output = 0;

  constructor(store: WindowStore) {
    this.#store = store;
  }

  process({ key, value, isLeft }: Events): void {
    if (isLeft) {
      this.#store.append(key, 0, value);
      return;
    }
    const rows = this.#store.list(key, 0);
    for (const row of rows) this.output = fold(this.output, row * value);
    if (rows.length > 0) this.#store.removeList(key, 0);
  }
}

class Aggregation implements Operator {
  readonly #store: WindowStore;
  output = 0;

  constructor(store: WindowStore) {
    this.#store = store;
  }

  process({ key, value }: Events): void {
    const sum = (this.#store.getNumber(key, 0) ?? 0) + value;
    this.#store.putNumber(key, 0, sum);
    this.output = fold(this.output, sum);
  }
}

// What is printed, as plain data: ratios, the gate of the checksums, and why a figure is missing.
import { type Spread, spreadOf } from "../support/statistics.ts";

/** Rates of one contestant, one a repetition; in the same order for all that took turns. */
export interface Rates {
  readonly name: string;
  readonly perRepetition: readonly number[];
}

export interface RivalRow {
  readonly id: string;
  readonly name: string;
  /** Ours by theirs: of rates at least what is asked, of costs at most. Null without a figure. */
  readonly value: number | null;
  readonly asked: number | null;
  readonly bound: "at least" | "at most" | null;
  /** Null where nothing was asked, or measured. */
  readonly ok: boolean | null;
  readonly unit: "×";
  readonly rivalName: string;
  readonly ours?: number | undefined;
  readonly rival?: number | undefined;
  readonly figuresUnit?: string | undefined;
  readonly min?: number | undefined;
  readonly median?: number | undefined;
  readonly max?: number | undefined;
  readonly repetitions?: number | undefined;
  readonly notRun?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

export interface Question {
  readonly id: string;
  readonly name: string;
  readonly asked: number | null;
  readonly bound: "at least" | "at most" | null;
  readonly figuresUnit: string;
}

/** The ratio of each repetition, so that what slowed the machine in one meets both sides. */
export function ratiosOf(ours: Rates, rival: Rates): Spread {
  if (ours.perRepetition.length !== rival.perRepetition.length) {
    throw new Error(`${ours.name} and ${rival.name} did not take turns`);
  }
  return spreadOf(ours.perRepetition.map((rate, i) => rate / rival.perRepetition[i]!));
}

export function ratioRow(
  question: Question,
  ours: Rates,
  rival: Rates,
  details?: Readonly<Record<string, unknown>>,
): RivalRow {
  const { id, name, asked, bound, figuresUnit } = question;
  const spread = ratiosOf(ours, rival);
  return {
    id,
    name,
    value: spread.median,
    asked,
    bound,
    ok: isKept(spread.median, asked, bound),
    unit: "×",
    rivalName: rival.name,
    ours: spreadOf(ours.perRepetition).median,
    rival: spreadOf(rival.perRepetition).median,
    figuresUnit,
    ...spread,
    repetitions: ours.perRepetition.length,
    details,
  };
}

function isKept(value: number, asked: number | null, bound: Question["bound"]): boolean | null {
  if (asked === null || bound === null) return null;
  return bound === "at least" ? value >= asked : value <= asked;
}

/** A rival that could not be measured has its row all the same. */
export function notRunRow(question: Question, rivalName: string, because: string): RivalRow {
  const { id, name, asked, bound } = question;
  const notRun = `not run, because ${because}`;
  return { id, name, value: null, asked, bound, ok: null, unit: "×", rivalName, notRun };
}

/** The one with the best median: the setting that a claim has to hold against. */
export function bestOf(rivals: readonly Rates[], best: "highest" | "lowest"): Rates | undefined {
  const sign = best === "highest" ? 1 : -1;
  const medianOf = (rates: Rates): number => sign * spreadOf(rates.perRepetition).median;
  return rivals.toSorted((a, b) => medianOf(b) - medianOf(a))[0];
}

/** Undefined if all are equal, else what differs: then no figure is printed. */
export function differenceOf(
  checksums: readonly { readonly name: string; readonly checksum: string }[],
): string | undefined {
  if (new Set(checksums.map(({ checksum }) => checksum)).size <= 1) return undefined;
  const list = checksums.map(({ name, checksum }) => `${name} ${checksum}`).join(", ");
  return `the results differ: ${list}`;
}

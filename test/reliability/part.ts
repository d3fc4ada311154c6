// What a part of the programme is: something that can be tried with a seed, again and again.
export interface TrialResult {
  /** What counts: a seed may stand for many, such as inputs of a decoder. */
  readonly trials: number;
  /** What was tried, or went wrong, by kind. */
  readonly kinds: Readonly<Record<string, number>>;
  /** One line each, without line breaks. */
  readonly failures: readonly string[];
}

export interface PartRun {
  trial(seed: number): Promise<TrialResult>;
  /** What else the part has to say of this run. */
  details?(): Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

export interface Part {
  readonly name: string;
  /** For the help: what is done to what. */
  readonly what: string;
  /** What a trial is, and how many are asked for in all. */
  readonly unit: string;
  readonly asked: number;
  /** What is asked for besides: so many of a kind, in all. */
  readonly also?: { readonly kind: string; readonly asked: number } | undefined;
  /** Seeds of a slice for CI. */
  readonly sliceSeeds: number;
  /** Where there is only so much to try: its seeds are 1 to this, and begin again. */
  readonly lastSeed?: number | undefined;
  /** A trial that takes longer is stuck, and ends the part. @defaultValue 120 */
  readonly trialSecondsMax?: number | undefined;
  /** Why it cannot run on this machine, if it cannot. */
  obstacle?(): string | undefined;
  open(): Promise<PartRun>;
}

/** Adds up results, for parts that try several things with one seed. */
export class Tally implements TrialResult {
  trials = 0;
  readonly kinds: Record<string, number> = {};
  readonly failures: string[] = [];

  count(kind: string, by = 1): void {
    this.kinds[kind] = (this.kinds[kind] ?? 0) + by;
  }

  fail(kind: string, what: string): void {
    this.count(kind);
    this.failures.push(`${kind}: ${what.replaceAll(/\s+/g, " ").slice(0, 400)}`);
  }

  add(other: TrialResult): void {
    this.trials += other.trials;
    for (const [kind, by] of Object.entries(other.kinds)) this.count(kind, by);
    this.failures.push(...other.failures);
  }
}

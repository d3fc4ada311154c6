// `npm test` stays below four minutes: what is long takes a sample there, and everything in CI, which
// sets VARVE_LONG=1 (.ci/run).
export const isLong: boolean = process.env["VARVE_LONG"] === "1";

/** Every so manieth, from the first on; all of them in CI. */
export function sample<T>(items: readonly T[], every: number): readonly T[] {
  return isLong ? items : items.filter((_item, index) => index % every === 0);
}

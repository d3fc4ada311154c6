// Names of the files in a LevelDB directory (db/filename.cc).

export const CURRENT_NAME = "CURRENT";

export function sstName(number: number): string {
  return `${padded(number)}.ldb`;
}

/** What releases of LevelDB before 1.14 wrote, and what this one still reads. */
export function oldSstName(number: number): string {
  return `${padded(number)}.sst`;
}

export function logName(number: number): string {
  return `${padded(number)}.log`;
}

export function manifestName(number: number): string {
  return `MANIFEST-${padded(number)}`;
}

/** The highest number of a WAL among the names, undefined if there is none. */
export function newestLogNumber(names: readonly string[]): number | undefined {
  let newest: number | undefined;
  for (const name of names) {
    const digits = /^(\d+)\.log$/.exec(name)?.[1];
    if (digits === undefined) continue;
    newest = Math.max(newest ?? 0, Number(digits));
  }
  return newest;
}

function padded(number: number): string {
  return String(number).padStart(6, "0");
}

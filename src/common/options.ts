import { InvalidArgumentError } from "../errors.ts";

/** Refuses option names that do not exist, so that a misspelt one is not silently a default. */
export function refuseUnknownOptions(
  what: string,
  options: object,
  known: readonly string[],
): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    throw new InvalidArgumentError(
      `${what}: unknown option "${name}"; the options are ${known.join(", ")}`,
    );
  }
}

/** The value, or the default when it is undefined; refuses what is not an integer in the range. */
export function integerOption(
  name: string,
  value: number | undefined,
  defaultValue: number,
  min: number,
  max: number,
): number {
  if (value === undefined) return defaultValue;
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(
      `${name} must be an integer from ${min} to ${max}, got ${String(value)}`,
    );
  }
  return value;
}

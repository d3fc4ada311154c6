// How the lists of cases write one down.
import type { ErrorCode } from "../../src/errors.ts";
import type { BaseName, HostileCase, Objects } from "./case-files.ts";
import type { Base } from "./craft.ts";

export type Bases = Readonly<Record<BaseName, Base>>;

export const CORRUPTION: ErrorCode = "VARVE_CORRUPTION";
export const UNSUPPORTED: ErrorCode = "VARVE_UNSUPPORTED_FORMAT";
export const STORAGE: ErrorCode = "VARVE_STORAGE";

/** What most cases have alike is left out. */
export type CaseSpec = Pick<HostileCase, "name" | "base" | "reason" | "code"> &
  Partial<Omit<HostileCase, "name" | "base" | "reason" | "code">>;

export function caseOf(spec: CaseSpec): HostileCase {
  return {
    refusedAt: "opening",
    scanMayPass: false,
    objects: new Map(),
    removed: [],
    tricks: [],
    ...spec,
  };
}

/** A case of some objects that differ. */
export function crafted(
  base: BaseName,
  name: string,
  reason: string,
  objects: Objects,
  code: ErrorCode = CORRUPTION,
  more: Partial<HostileCase> = {},
): HostileCase {
  return caseOf({ base, name: `${base}-${name}`, reason, code, objects, ...more });
}

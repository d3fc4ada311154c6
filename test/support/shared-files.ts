import type { SharedFile } from "../../src/api/keyed-state-backend.ts";

/** The file whose id is this number. */
export function fileOf(number: number): SharedFile {
  const id = number.toString(16).padStart(32, "0");
  return { id, lengthBytes: number, sha256: `${id}${id}` };
}

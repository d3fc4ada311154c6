// The planted bugs. Each is a mistake that somebody could make, and has made elsewhere.
import type { Mutant } from "./patch.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "metadata-of-two-spellings",
    file: "src/format/metadata.ts",
    find: "if (canonicalJson(metadata) !== text) {",
    replace: "if (canonicalJson(metadata).length === 0) {",
    part: "fuzz",
    seed: 1,
    seeds: 1,
  },
  {
    name: "keys-of-two-spellings",
    file: "src/format/key-codec.ts",
    find: "if (digits[0] === (isNegative ? 0xff : 0)) throw cut(cursor.offset);",
    replace: "",
    part: "fuzz",
    seed: 1,
    seeds: 1,
  },
  {
    name: "list-row-of-any-length",
    file: "src/format/list-row.ts",
    find: "if (row.length < LIST_PACKED_HEADER_BYTES) throw cut();",
    replace: "",
    part: "fuzz",
    seed: 1,
    seeds: 1,
  },
];

// Writes the hostile checkpoints into test/fixtures/hostile/: the intact ones if there are none yet, and
// every case from them, always the same bytes. Run by hand after a case was added or changed:
// node dist/test/hostile/make-fixtures.js
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import {
  FIXTURES,
  type HostileCase,
  baseDirectory,
  casePath,
  encodeCase,
  readObjects,
} from "./case-files.ts";
import { listCases } from "./cases-list.ts";
import { logCases } from "./cases-log.ts";
import { metadataCases } from "./cases-metadata.ts";
import { rowCases } from "./cases-rows.ts";
import { storageCases } from "./cases-storage.ts";
import { indexAndEndCases } from "./cases-table-end.ts";
import { blockAndRowCases } from "./cases-table.ts";
import type { Bases } from "./case-spec.ts";
import { Base } from "./craft.ts";
import { writeBases } from "./make-bases.ts";

export function readBases(): Bases {
  const base = (name: "lsm" | "memory" | "canonical"): Base =>
    new Base(name, readObjects(baseDirectory(name)));
  return { lsm: base("lsm"), memory: base("memory"), canonical: base("canonical") };
}

/** Every case, made anew from the committed intact checkpoints. */
export function makeCases(): readonly HostileCase[] {
  const bases = readBases();
  const cases = [
    ...metadataCases(bases),
    ...listCases(bases),
    ...blockAndRowCases(bases),
    ...indexAndEndCases(bases),
    ...rowCases(bases),
    ...storageCases(bases),
    ...logCases(bases),
  ];
  const names = new Set<string>();
  for (const { name } of cases) {
    assert.ok(!names.has(name), `${name} is given twice`);
    names.add(name);
  }
  return cases;
}

if (basename(process.argv[1] ?? "") === "make-fixtures.js") {
  await writeBases();
  rmSync(join(FIXTURES, "cases"), { recursive: true, force: true });
  mkdirSync(join(FIXTURES, "cases"), { recursive: true });
  const cases = makeCases();
  for (const one of cases) writeFileSync(casePath(one.name), encodeCase(one));
  process.stdout.write(`${cases.length} cases\n`);
}

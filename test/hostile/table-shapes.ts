// What the lists of table cases share.
import type { HostileCase, Objects } from "./case-files.ts";
import { CORRUPTION, UNSUPPORTED, crafted } from "./case-spec.ts";
import type { Base } from "./craft.ts";
import { type Row, SEQUENCE, intactRows, withTable } from "./craft-rows.ts";
import {
  type CraftedBlock,
  type CraftedEntry,
  type CraftedTable,
  internalKey,
} from "./craft-table.ts";

export const rows: readonly Row[] = intactRows();
export const entries: readonly CraftedEntry[] = rows.map(({ key, row }) => ({
  key: internalKey(key, SEQUENCE),
  value: row,
}));
export const intact: CraftedBlock = { entries };
export const first: CraftedEntry = entries[0]!;
export const last: CraftedEntry = entries.at(-1)!;

/** The intact entries with some fields of one of them changed. */
export function changed(index: number, change: Partial<CraftedEntry>): CraftedBlock {
  return { entries: entries.map((entry, at) => (at === index ? { ...entry, ...change } : entry)) };
}

/** Shapes that are refused as of another version. */
export const unsupported: readonly string[] = ["tag-unknown", "part-unknown"];

export type Shape = readonly [
  name: string,
  reason: string,
  table: CraftedTable | Uint8Array,
  said?: Parameters<typeof withTable>[2],
];

export interface ShapeList {
  readonly shapes: readonly Shape[];
  /** Names of what a scan may pass: it does not look at what they are about. */
  readonly unseen: readonly string[];
}

/** Whole checkpoints with these tables. */
export function shaped(base: Base, { shapes, unseen }: ShapeList): HostileCase[] {
  return shapes.map(([name, reason, table, said]) => {
    const objects: Objects = withTable(base, table, said);
    const scanMayPass = unseen.includes(name);
    const code = unsupported.includes(name) ? UNSUPPORTED : CORRUPTION;
    return crafted("lsm", `table-${name}`, reason, objects, code, { scanMayPass });
  });
}

export const one = (block: CraftedBlock): CraftedTable => ({ blocks: [block] });

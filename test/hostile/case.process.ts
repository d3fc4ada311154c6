// Runs one case in a process of its own: node case.process.js <name, or path of a case> <directory>.
// Prints what came of it as one line of JSON.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MIB, openStateHost } from "../../src/index.ts";
import { LAID_OUT, decodeCase, layOut, readCase } from "./case-files.ts";
import { attemptAll, faultsOf, listingOf } from "./run-case.ts";

export interface CaseReport {
  readonly isSkipped: boolean;
  readonly faults: readonly string[];
  /** Ways that accepted what they have to refuse. */
  readonly wronglyAccepted: number;
  readonly isChanged: boolean;
}

const [name = "", root = ""] = process.argv.slice(2);
const one = name.endsWith(".json") ? decodeCase(readFileSync(name, "utf8")) : readCase(name);

async function run(): Promise<CaseReport> {
  const place = layOut(one, root);
  if (place === undefined) {
    return { isSkipped: true, faults: [], wronglyAccepted: 0, isChanged: false };
  }
  // From this call on a tracer looks for effects: laying out is our own.
  mkdirSync(join(root, LAID_OUT));
  const before = [listingOf(place.storage), listingOf(place.outside)];
  const host = await openStateHost({ memoryBudgetBytes: 48 * MIB });
  const attempts = await attemptAll(one, place, host, "threads");
  await host.close();
  const after = [listingOf(place.storage), listingOf(place.outside)];
  return {
    isSkipped: false,
    faults: faultsOf(one, attempts),
    wronglyAccepted: attempts.filter((a) => a.mustReject && a.outcome === "accepted").length,
    isChanged: JSON.stringify(before) !== JSON.stringify(after),
  };
}

process.stdout.write(`${JSON.stringify(await run())}\n`);

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { accountKey, replay, taskOf, transferAt } from "../../reliability/exactly-once/bank.ts";
import { checkCommitted } from "../../reliability/exactly-once/check-committed.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const seed = 1;
const tasks = 2;
const sinkOf = (account: number): number => taskOf(account, tasks);
const areApart = (at: number): boolean =>
  sinkOf(transferAt(seed, at).from) !== sinkOf(transferAt(seed, at).to);
const firstApart = (wanted: boolean): number => {
  let at = 0;
  while (areApart(at) !== wanted) at++;
  return at;
};

/** What the checker says of the output of the transfers before `to`, without the positions left out. */
function faultsOf(to: number, from: number, leftOut: readonly number[]): string[] {
  const root = temporaryDirectory();
  const rows: string[][] = [[], []];
  replay(seed, to, (position, account, sequence) => {
    if (leftOut.includes(position)) return;
    rows[sinkOf(account)]!.push(`${position},${accountKey(account)},${sequence}\n`);
  });
  const directories = rows.map((lines, sink) => {
    const directory = join(root, `output-${sink}`);
    mkdirSync(directory);
    writeFileSync(join(directory, "1.csv"), lines.join(""));
    return directory;
  });
  return [...checkCommitted({ directories, seed, from, to, sinkOf }).keys()];
}

describe("checker of a bank's committed output", () => {
  test("finds nothing in what is whole", () => {
    assert.deepEqual(faultsOf(40, 40, []), []);
  });

  test("lets the sides of a transfer be apart only at two sinks, and only before the restore", () => {
    const two = firstApart(true);
    assert.deepEqual(faultsOf(two + 1, 0, [two * 2]), []);
    assert.deepEqual(faultsOf(two + 1, two + 1, [two * 2]), ["lost"]);
    const one = firstApart(false);
    assert.deepEqual(faultsOf(one + 1, 0, [one * 2]), ["torn"]);
    assert.deepEqual(faultsOf(one + 1, 0, [one * 2 + 1]), ["torn"]);
    assert.deepEqual(faultsOf(one + 1, 0, [one * 2, one * 2 + 1]), []);
  });
});

// Compares what the job left behind with what it must be: every row of every state, every output row.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { Differences } from "./differences.ts";
import type { ExpectedResults } from "./expected-results.ts";
import type { ExpectedState } from "./expected-states.ts";
import { forEachLine } from "./text-lines.ts";

/** Compares a state's dump. `take` gets every line. */
export function compareState(
  path: string,
  state: ExpectedState,
  differences: Differences,
  take: (key: string, value: string) => void,
): void {
  const met = new Uint8Array(state.numberCount);
  let metCount = 0;
  forEachLine(path, (line) => {
    const tab = line.indexOf("\t");
    const key = line.slice(0, tab);
    const value = line.slice(tab + 1);
    take(key, value);
    const row = state.find(key);
    if (row === undefined) {
      differences.wrong(`${state.name}: key ${key} should not exist`);
    } else if (met[row.number] === 1) {
      differences.duplicated(`${state.name}: key ${key} came twice`);
    } else {
      met[row.number] = 1;
      metCount++;
      if (row.value !== value) {
        differences.wrong(`${state.name}: ${key} is ${value} instead of ${row.value}`);
      }
    }
  });
  if (metCount === state.rowCount) return;
  for (const [key, number] of state.keys()) {
    if (met[number] === 0) differences.lost(`${state.name}: key ${key}`);
  }
}

/** Compares all committed files; a pending one should not be left. */
export function compareOutput(
  directory: string,
  expected: ExpectedResults,
  differences: Differences,
): void {
  const met = new Uint8Array(expected.runningCounts.length);
  let metCount = 0;
  for (const name of readdirSync(directory).sort()) {
    if (!name.endsWith(".csv")) {
      differences.wrong(`output: ${name} was left pending`);
      continue;
    }
    forEachLine(join(directory, name), (line) => {
      const position = Number(line.slice(0, line.indexOf(",")));
      const flights = expected.runningCounts[position] ?? 0;
      if (flights === 0) {
        differences.wrong(`output: ${name} has the row ${line}, which should not exist`);
      } else if (met[position] === 1) {
        differences.duplicated(`output: ${name} repeats the row of position ${position}`);
      } else {
        met[position] = 1;
        metCount++;
        const route = expected.routes[expected.routeNumbers[position]!]!.name;
        const wanted = `${position},${route},${flights}`;
        if (line !== wanted) differences.wrong(`output: ${line} instead of ${wanted}`);
      }
    });
  }
  if (metCount === expected.acceptedCount) return;
  for (let position = 0; position < met.length; position++) {
    if (expected.runningCounts[position] !== 0 && met[position] === 0) {
      differences.lost(`output: the row of position ${position}`);
    }
  }
}

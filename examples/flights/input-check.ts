// Reads the whole input before anything is started, so that a damaged file is refused while there is
// nothing to clean up.
//   I1. The known data set is known by its hash: with another content in the same size it is damaged.
//   I2. Of other files each column must be what the footer states: Parquet checks no checksum for us.
//   I3. Other files are read in a process of their own, because damage can end the reader's process.
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { FlightFile, InputError } from "./flight-file.ts";
import type { FlightColumns } from "./flight-file.ts";

/** flights-3m.parquet of vega-datasets 3.2.1. */
const KNOWN_BYTES = 13_493_022;
const KNOWN_SHA256 = "dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0";

/** Reading three million records takes two seconds; damage can make the reader turn in circles. */
const CHECK_MS_MAX = 120_000;

/** From the checking process. */
export type InputAnswer =
  { readonly kind: "intact" } | { readonly kind: "refused"; readonly message: string };

/** Opens the file if it is intact, else throws InputError. */
export async function checkInput(path: string, limit: number | undefined): Promise<FlightFile> {
  if (!(await isKnown(path))) await checkElsewhere(path, limit);
  return FlightFile.open(path, limit);
}

/** I1 */
async function isKnown(path: string): Promise<boolean> {
  const size = await stat(path).then(
    (status) => status.size,
    () => undefined, // FlightFile says what is wrong with it.
  );
  if (size !== KNOWN_BYTES) return false;
  const hash = createHash("sha256").update(await readFile(path));
  if (hash.digest("hex") === KNOWN_SHA256) return true;
  throw new InputError(
    `${path} is damaged: it has the size of flights-3m of vega-datasets, not its content`,
  );
}

/** I3 */
function checkElsewhere(path: string, limit: number | undefined): Promise<void> {
  const child = fork(new URL("./input-check.process.js", import.meta.url), {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    timeout: CHECK_MS_MAX,
    killSignal: "SIGKILL",
  });
  return new Promise((resolve, reject) => {
    child.on("message", (answer: InputAnswer) => {
      if (answer.kind === "intact") resolve();
      else reject(new InputError(answer.message));
    });
    child.on("error", reject);
    child.on("close", () =>
      reject(new InputError(`${path} is damaged: it cannot be read to its end`)),
    );
    child.send({ path, limit });
  });
}

/** I2. Call it in a process that may end. */
export async function checkColumns(path: string, limit: number | undefined): Promise<void> {
  const file = await FlightFile.open(path, limit);
  for (let index = 0; index < file.groups.length; index++) {
    const columns = await file.readGroup(index);
    for (const [name, found, stated] of ranges(file, index, columns)) {
      if (stated === undefined || (found.min === stated.min && found.max === stated.max)) continue;
      throw new InputError(
        `${path} is damaged: column "${name}", from record ${columns.firstRecord} on, reaches from ` +
          `${found.min} to ${found.max}, and the footer says from ${stated.min} to ${stated.max}`,
      );
    }
  }
}

interface Range {
  readonly min: number | string;
  readonly max: number | string;
}

type Comparison = readonly [name: string, found: Range, stated: Range | undefined];

function ranges(file: FlightFile, index: number, columns: FlightColumns): Comparison[] {
  const { minutes, delays, distances, origins, destinations } = columns;
  return [
    ["date", rangeOf(minutes), file.statedRange(index, "date")],
    ["delay", rangeOf(delays), file.statedRange(index, "delay")],
    ["distance", rangeOf(distances), file.statedRange(index, "distance")],
    ["origin", codeRangeOf(origins, file.airports), file.statedRange(index, "origin")],
    [
      "destination",
      codeRangeOf(destinations, file.airports),
      file.statedRange(index, "destination"),
    ],
  ];
}

function rangeOf(values: Int32Array): Range {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

function codeRangeOf(indexes: Uint16Array, airports: readonly string[]): Range {
  const codes = [...new Set(indexes)].map((index) => airports[index]!).sort();
  return { min: codes[0]!, max: codes.at(-1)! };
}

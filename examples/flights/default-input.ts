import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const DATA_SET = "vega-datasets/data/flights-3m.parquet";

/** Path of the Parquet file that `npm ci` installs. */
export const DEFAULT_INPUT: string = locate();

/** By hand: the package does not export its data files. */
function locate(): string {
  const directories = createRequire(import.meta.url).resolve.paths(DATA_SET) ?? [];
  const paths = directories.map((directory) => join(directory, DATA_SET));
  // Not installed: the error about the missing file names the likeliest place.
  return paths.find((path) => existsSync(path)) ?? `node_modules/${DATA_SET}`;
}

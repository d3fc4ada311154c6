import { createRequire } from "node:module";

const DATA_SET = "vega-datasets/data/flights-3m.parquet";

/** Path of the Parquet file that `npm ci` installs. */
export const DEFAULT_INPUT: string = locate();

function locate(): string {
  try {
    return createRequire(import.meta.url).resolve(DATA_SET);
  } catch {
    // Not installed, or not exported: the path of a clone says in the error where to look.
    return `node_modules/${DATA_SET}`;
  }
}
